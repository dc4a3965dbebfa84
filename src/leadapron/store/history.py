"""The life of a finding over runs. Silence never closes one.

| before | in this run | becomes |
|---|---|---|
| not known | broken | new |
| new, open, not observed, reopened | broken | open |
| closed | broken | reopened |
| any but closed | the same service (or, where it is gone, all at its endpoint) refutes it | closed |
| any but closed | not seen, or seen without an answer | not observed |
| any | out of this run's scope | as before |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from leadapron.model import Address, Finding, FindingStatus, Observation, Run, Service


def advance(
    run: Run,
    before: Sequence[Finding],
    findings: Sequence[Finding],
    observed: Mapping[Service, Observation],
    *,
    refuted: Callable[[str, Observation], bool],
    covered: Callable[[Address], bool],
) -> list[Finding]:
    """How all findings of the run's vantage kind stand after it. Pure, and so idempotent.

    `refuted(control, observation)`: the observation shows that the control is met. `covered(address)`: the run looked
    there.
    """
    known = {finding.key: finding for finding in before}
    after: list[Finding] = []
    for finding in findings:
        earlier = known.pop(finding.key, None)
        after.append(
            replace(
                finding,
                status=_present(earlier),
                first_seen=earlier.first_seen if earlier else run.started_at,
                last_seen=run.started_at,
            )
        )
    after += [_absent(earlier, _observed(earlier.service, observed), refuted, covered) for earlier in known.values()]
    return after


def _observed(service: Service, observed: Mapping[Service, Observation]) -> list[Observation]:
    """What was seen of a service: of itself, else of its endpoint (a title that no longer works has no service)."""
    there = [seen for seen in observed.values() if _identity(seen.service)[:3] == _identity(service)[:3]]
    return [seen for seen in there if seen.service.resource == service.resource] or there


def _present(earlier: Finding | None) -> FindingStatus:
    if earlier is None:
        return FindingStatus.NEW
    return FindingStatus.REOPENED if earlier.status is FindingStatus.CLOSED else FindingStatus.OPEN


def _absent(
    earlier: Finding,
    seen: list[Observation],
    refuted: Callable[[str, Observation], bool],
    covered: Callable[[Address], bool],
) -> Finding:
    if earlier.status is FindingStatus.CLOSED or not covered(earlier.service.endpoint.address):
        return earlier
    closed = bool(seen) and all(refuted(earlier.control, observation) for observation in seen)
    return replace(earlier, status=FindingStatus.CLOSED if closed else FindingStatus.NOT_OBSERVED)


def _identity(service: Service) -> tuple[str, Address, int, str]:
    """A service without the name that led to it, which may change."""
    return service.protocol, service.endpoint.address, service.endpoint.port, service.resource
