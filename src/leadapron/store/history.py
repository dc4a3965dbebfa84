"""The life of a finding over runs. Silence never closes one.

| before | in this run | becomes |
|---|---|---|
| not known | broken | new |
| new, open, not observed, reopened | broken | open |
| closed, moved | broken | reopened |
| any but closed | its service answers elsewhere, where the same control is broken | moved; there: open |
| any but closed | the same service (or, where it is gone, all at its endpoint) refutes it | closed |
| any but closed | looked for, and not seen, or seen without an answer | not observed |
| any | not looked for: another address or port, or not as deep as the control needs | as before |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from leadapron.assess.keys import finding_key
from leadapron.assess.moved import Move, Seen, by_place, place
from leadapron.model import Endpoint, Finding, FindingStatus, Moved, Observation, Run, Service, Verdict

SETTLED = frozenset({FindingStatus.CLOSED, FindingStatus.MOVED})
"""What stays so until the control is broken again at that place."""

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
    moves: Iterable[Move] = (),
) -> list[Finding]:
    """How all findings of the run's vantage kind stand after it. Pure, and so idempotent.

    `refuted(control, observation)`: the observation shows that the control is met. `covered(service, control)`: the run
    looked there, deep enough to see whether the control is broken. Findings of one key (about an endpoint, broken by
    several of its services) become one, the worst.
    """
    known = {finding.key: finding for finding in before}
    present = _worst_by_key(findings)
    linked = _linked(run, before, [finding for finding in present if finding.key not in known], moves)
    after: list[Finding] = []
    for finding in present:
        earlier = known.pop(finding.key, None)
        if (link := linked.get(finding.key)) is not None:
            elsewhere, move = link
            known[elsewhere.key] = replace(
                elsewhere, status=FindingStatus.MOVED, moved_to=_moved(finding, move.after, move)
            )
            earlier = replace(elsewhere, moved_from=_moved(elsewhere, move.before, move))
        after.append(
            replace(
                finding,
                status=_present(earlier),
                first_seen=earlier.first_seen if earlier else run.started_at,
                last_seen=run.started_at,
                moved_from=earlier.moved_from if earlier else None,
            )
        )
    there = by_place(observed.values())
    after += [_absent(earlier, there, refuted, covered) for earlier in known.values()]
    return after


def _linked(
    run: Run, before: Sequence[Finding], new: Sequence[Finding], moves: Iterable[Move]
) -> dict[str, tuple[Finding, Move]]:
    """By the key of a new finding: the finding whose key it would have at the place from which its service moved."""
    standing = {finding.key: finding for finding in before if finding.status not in SETTLED}
    moved_to = {(move.after.address, move.after.port, move.protocol): move for move in moves}
    found: dict[str, tuple[Finding, Move]] = {}
    for finding in new:
        if (move := moved_to.get(place(finding.service))) is None:
            continue
        was = replace(finding.service, endpoint=move.before)
        if (earlier := standing.get(finding_key(run.vantage.kind, was, finding.control))) is not None:
            found[finding.key] = earlier, move
    return found


def _moved(other: Finding, there: Endpoint, move: Move) -> Moved:
    return Moved(key=other.key, endpoint=there, because=move.because)


def is_refuted(finding: Finding, observed: Mapping[Service, Observation], refuted: Refuted) -> bool:
    """Whether what a run observed closes the finding, or would if it were open."""
    return _is_refuted(finding, by_place(observed.values()), refuted)


def _is_refuted(finding: Finding, observed: Seen, refuted: Refuted) -> bool:
    seen = _observed(finding.service, observed)
    return bool(seen) and all(refuted(finding.control, observation) for observation in seen)


def _worst_by_key(findings: Sequence[Finding]) -> list[Finding]:
    worst: dict[str, Finding] = {}
    for finding in findings:
        known = worst.setdefault(finding.key, finding)
        if finding.severity.rank > known.severity.rank:
            worst[finding.key] = finding
    return list(worst.values())


def _observed(service: Service, observed: Seen) -> list[Observation]:
    """What was seen of a service: of itself, else of its endpoint (a title that no longer works has no service)."""
    there = observed.get(place(service), ())
    itself = [seen for seen in there if seen.service.resource == service.resource]
    # What a certificate opens, and what a stranger gets, are two services; a port that refuses refuses both.
    return itself or [
        seen for seen in there if seen.certified == service.is_certified or seen.access.reach is Verdict.REFUSED
    ]


def _present(earlier: Finding | None) -> FindingStatus:
    if earlier is None:
        return FindingStatus.NEW
    return FindingStatus.REOPENED if earlier.status in SETTLED else FindingStatus.OPEN


def _absent(earlier: Finding, observed: Seen, refuted: Refuted, covered: Covered) -> Finding:
    if earlier.status in SETTLED:
        return earlier
    if _is_refuted(earlier, observed, refuted):
        return replace(earlier, status=FindingStatus.CLOSED)
    if not covered(earlier.service, earlier.control):
        return earlier
    return replace(earlier, status=FindingStatus.NOT_OBSERVED)
