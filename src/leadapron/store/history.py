"""The life of a finding over runs. Silence never closes one.

| before | in this run | becomes |
|---|---|---|
| not known | broken | new |
| new, open, not observed, reopened | broken | open |
| closed | broken | reopened |
| any but closed | the same service (or, where it is gone, all at its endpoint) refutes it | closed |
| any but closed | looked for, and not seen, or seen without an answer | not observed |
| any | not looked for: another address or port, or not as deep as the control needs | as before |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leadapron.model import Address, Finding, FindingStatus, Observation, Run, Service, Verdict

Covered = Callable[[Service, str], bool]
Refuted = Callable[[str, Observation], bool]


def advance(
    run: Run,
    before: Sequence[Finding],
    findings: Sequence[Finding],
    observed: Mapping[Service, Observation],
    *,
    refuted: Refuted,
    covered: Covered,
) -> list[Finding]:
    """How all findings of the run's vantage kind stand after it. Pure, and so idempotent.

    `refuted(control, observation)`: the observation shows that the control is met. `covered(service, control)`: the run
    looked there, deep enough to see whether the control is broken. Findings of one key (about an endpoint, broken by
    several of its services) become one, the worst.
    """
    known = {finding.key: finding for finding in before}
    after: list[Finding] = []
    for finding in _worst_by_key(findings):
        earlier = known.pop(finding.key, None)
        after.append(
            replace(
                finding,
                status=_present(earlier),
                first_seen=earlier.first_seen if earlier else run.started_at,
                last_seen=run.started_at,
            )
        )
    after += [_absent(earlier, observed, refuted, covered) for earlier in known.values()]
    return after


def is_refuted(finding: Finding, observed: Mapping[Service, Observation], refuted: Refuted) -> bool:
    """Whether what a run observed closes the finding, or would if it were open."""
    seen = _observed(finding.service, observed)
    return bool(seen) and all(refuted(finding.control, observation) for observation in seen)


def _worst_by_key(findings: Sequence[Finding]) -> list[Finding]:
    worst: dict[str, Finding] = {}
    for finding in findings:
        known = worst.setdefault(finding.key, finding)
        if finding.severity.rank > known.severity.rank:
            worst[finding.key] = finding
    return list(worst.values())


def _observed(service: Service, observed: Mapping[Service, Observation]) -> list[Observation]:
    """What was seen of a service: of itself, else of its endpoint (a title that no longer works has no service)."""
    there = [seen for seen in observed.values() if _identity(seen.service)[:3] == _identity(service)[:3]]
    itself = [seen for seen in there if seen.service.resource == service.resource]
    # What a certificate opens, and what a stranger gets, are two services; a port that refuses refuses both.
    return itself or [
        seen for seen in there if seen.certified == service.is_certified or seen.access.reach is Verdict.REFUSED
    ]


def _present(earlier: Finding | None) -> FindingStatus:
    if earlier is None:
        return FindingStatus.NEW
    return FindingStatus.REOPENED if earlier.status is FindingStatus.CLOSED else FindingStatus.OPEN


def _absent(earlier: Finding, observed: Mapping[Service, Observation], refuted: Refuted, covered: Covered) -> Finding:
    if earlier.status is FindingStatus.CLOSED:
        return earlier
    if is_refuted(earlier, observed, refuted):
        return replace(earlier, status=FindingStatus.CLOSED)
    if not covered(earlier.service, earlier.control):
        return earlier
    return replace(earlier, status=FindingStatus.NOT_OBSERVED)


def _identity(service: Service) -> tuple[str, Address, int, str]:
    """A service without the name that led to it, which may change."""
    return service.protocol, service.endpoint.address, service.endpoint.port, service.resource
