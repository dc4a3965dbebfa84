"""From an observation to findings: which controls a service breaks, how badly, and by what evidence. Pure."""

from __future__ import annotations

from leadapron.assess import cves
from leadapron.assess.catalogue import COUNT_FIELDS, Control, catalogue
from leadapron.assess.keys import finding_key
from leadapron.assess.remedies import remedy
from leadapron.assess.severity import rate
from leadapron.model import Count, Finding, Observation, VantageKind
from leadapron.scope.doors import is_of


def judge(observation: Observation, vantage: VantageKind) -> list[Finding]:
    """The worst first, then by control. A middlebox has none: what answers everywhere is no service."""
    if observation.middlebox:
        return []
    findings = [
        finding for control in catalogue().values() if (finding := _finding(control, observation, vantage)) is not None
    ]
    return sorted(findings, key=lambda finding: (-finding.severity.rank, finding.control))


def refuted(control_id: str, observation: Observation) -> bool:
    """Whether there is positive evidence that the control is met. False for an unknown control.

    Not the opposite of a finding: where we could not see, neither holds. Both never do.
    """
    control = catalogue().get(control_id)
    return (
        control is not None
        and not observation.middlebox
        and _is_about(control, observation)
        and control.refuted.holds(observation, None)
        and not any(control.when.holds(observation, kind) for kind in VantageKind)
    )


def _is_about(control: Control, observation: Observation) -> bool:
    return is_of(observation.service.protocol, control.protocols) and (control.certified or not observation.certified)


def _finding(control: Control, observation: Observation, vantage: VantageKind) -> Finding | None:
    if not _is_about(control, observation) or not control.when.holds(observation, vantage):
        return None
    severity = rate(control, observation, vantage)
    if severity is None:
        return None
    return Finding(
        key=finding_key(vantage, observation.service, control.id),
        control=control.id,
        title=control.text("en").title,
        severity=severity,
        service=observation.service,
        evidence=_evidence(control, observation),
        remedy=remedy(control, observation.product, "en"),
    )


def _evidence(control: Control, observation: Observation) -> dict[str, int | bool | str]:
    """Numbers, booleans and names of our own catalogue, in the control's order; what is not known is left out."""
    evidence: dict[str, int | bool | str] = {}
    for key in control.evidence:
        value = _value(key, observation)
        if value is not None:
            evidence[key] = value
    return evidence


def _value(key: str, observation: Observation) -> int | bool | str | None:
    if key in cves.EVIDENCE:
        return cves.evidence(observation.product).get(key)
    name, _, end = key.rpartition(".")
    if name in COUNT_FIELDS:
        count: Count | None = getattr(observation.counts, name)
        return None if count is None else (count.low if end == "low" else count.high)
    return observation.facts.get(key)
