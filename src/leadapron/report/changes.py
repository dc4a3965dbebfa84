"""What changed between two audits of one scope: each finding as it stood after the one, and after the other. Pure.

| change | after the earlier audit | after the later one |
|---|---|---|
| `opened` | not known | broken |
| `reopened` | closed or moved, then or in between | broken |
| `seen_again` | not observed, or not looked for | broken |
| `standing` | broken, maybe at the place from which its service moved | broken |
| `closed` | known, and not closed | closed: the same control was refuted |
| `moved` | known, and not closed | its service answers at another place, where the finding goes on |
| `not_observed` | any but not observed | looked for, and neither broken nor refuted |
| `not_asked` | broken | as before: this audit did not look there, or not so deep |
| `passed` | not known | closed or moved: it was opened in between |

A finding that is settled, or not observed, in both has not changed, and is not counted.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from leadapron.errors import InputError
from leadapron.model import AUDIT, Finding, FindingStatus, Observation, Run, RunStatus, Severity
from leadapron.report.owners import By, Group, Observed
from leadapron.report.view import is_active
from leadapron.store.history import SETTLED


class Change(enum.StrEnum):
    OPENED = "opened"
    REOPENED = "reopened"
    SEEN_AGAIN = "seen_again"
    STANDING = "standing"
    CLOSED = "closed"
    MOVED = "moved"
    NOT_OBSERVED = "not_observed"
    NOT_ASKED = "not_asked"
    PASSED = "passed"


class _State(enum.Enum):
    NONE = enum.auto()
    BROKEN = enum.auto()
    """seen so by this audit"""
    UNASKED = enum.auto()
    """seen so by an earlier one; this one did not look"""
    UNSEEN = enum.auto()
    SETTLED = enum.auto()


_BROKEN_NOW = {
    _State.NONE: Change.OPENED,
    _State.SETTLED: Change.REOPENED,
    _State.UNSEEN: Change.SEEN_AGAIN,
    _State.UNASKED: Change.SEEN_AGAIN,
    _State.BROKEN: Change.STANDING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the store has of one: its findings as they stood when it was over."""

    run: Run
    findings: Sequence[Finding]
    observations: Sequence[Observation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    change: Change
    finding: Finding
    """as it stands after the later audit"""
    group: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    run: Run
    since: Run
    by: By
    changed: tuple[Changed, ...]
    """all, `standing` included: by change, the most severe first"""

    def count(self, group: Group | None = None) -> dict[Change, int]:
        """How many, of one group or of all; each change is there."""
        counted = Counter(each.change for each in self.changed if group in (None, each.group))
        return {change: counted[change] for change in Change}

    def severities(self, change: Change) -> dict[Severity, int]:
        counted = Counter(each.finding.severity for each in self.changed if each.change is change)
        return {severity: counted[severity] for severity in Severity}

    @property
    def differs(self) -> tuple[str, ...]:
        """What the two audits did otherwise: where anything is named, what opened may have been there before."""
        one, other = self.since, self.run
        doors = [() if run.method is None else run.method.doors for run in (one, other)]
        found = {
            "catalogue": one.catalogue != other.catalogue,
            "doors": doors[0] != doors[1],
            "ports": one.ports != other.ports,
            "scope": one.scope_sha256 != other.scope_sha256,
        }
        return tuple(name for name, is_other in found.items() if is_other)

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(sorted({each.group for each in self.changed}))


def changes(earlier: Audit, later: Audit, by: By, elsewhere: Collection[dt.datetime] = ()) -> Changes:
    """Raises InputError for audits that cannot be compared. A finding is its service's owner's: as the later audit saw it,
    else as the earlier one did.

    `elsewhere`: when runs of other scopes began. The store carries their findings along; those that such a run saw last,
    and that the earlier audit did not see, are none of these two.
    """
    _check_comparable(earlier.run, later.run)
    before = {finding.key: finding for finding in earlier.findings}
    observed, observed_before = Observed(later.observations), Observed(earlier.observations)
    found = []
    for finding in later.findings:
        if finding.last_seen in elsewhere and _state(before.get(finding.key), earlier.run) is not _State.BROKEN:
            continue
        if (change := _change(before, earlier.run, finding, later.run)) is not None:
            seen = observed if observed.of(finding.service) is not None else observed_before
            found.append(Changed(change=change, finding=finding, group=seen.group(finding, by)))
    return Changes(run=later.run, since=earlier.run, by=by, changed=tuple(sorted(found, key=_order)))


def audit_before(run: Run, runs: Iterable[Run]) -> Run:
    """The latest complete audit of the same scope and vantage before this one. Raises InputError where there is none."""
    alike = [
        each
        for each in runs
        if each.status is RunStatus.COMPLETE and _is_alike(each, run) and each.started_at < run.started_at
    ]
    if not alike:
        raise InputError(f"no complete audit of scope {run.scope_id} before run {run.id}; name one with --since")
    return max(alike, key=lambda each: (each.started_at, each.id))


def _is_alike(one: Run, other: Run) -> bool:
    kinds = {one.kind, other.kind}
    return kinds == {AUDIT} and (one.scope_id, one.vantage.kind) == (other.scope_id, other.vantage.kind)


def _check_comparable(earlier: Run, later: Run) -> None:
    if not _is_alike(earlier, later):
        raise InputError(
            f"runs {earlier.id} and {later.id} are not audits of one scope from one kind of vantage; choose two that are"
        )
    if earlier.started_at >= later.started_at:
        raise InputError(f"run {earlier.id} did not begin before run {later.id}; --since names the earlier one")
    for run in (earlier, later):
        if run.status is RunStatus.RUNNING:
            raise InputError(f"run {run.id} goes on, or was killed; resume it, or name another")


def _change(before: Mapping[str, Finding], earlier: Run, finding: Finding, later: Run) -> Change | None:
    was, now = _state(before.get(finding.key), earlier), _state(finding, later)
    if now is _State.BROKEN:
        came_from = finding.moved_from
        if was is _State.NONE and came_from is not None and came_from.key in before:
            return Change.STANDING
        return Change.REOPENED if finding.status is FindingStatus.REOPENED else _BROKEN_NOW[was]
    if now is _State.SETTLED:
        if was in (_State.NONE, _State.SETTLED):
            return Change.PASSED if was is _State.NONE else None
        return Change.CLOSED if finding.status is FindingStatus.CLOSED else Change.MOVED
    if now is _State.UNSEEN:
        return None if was is _State.UNSEEN else Change.NOT_OBSERVED
    return Change.NOT_ASKED if was is _State.BROKEN else None


def _state(finding: Finding | None, run: Run) -> _State:
    if finding is None:
        return _State.NONE
    if finding.status in SETTLED:
        return _State.SETTLED
    if finding.status is FindingStatus.NOT_OBSERVED:
        return _State.UNSEEN
    return _State.BROKEN if is_active(finding, run) else _State.UNASKED


def _order(changed: Changed) -> tuple[object, ...]:
    finding, endpoint = changed.finding, changed.finding.service.endpoint
    where = (endpoint.address.version, int(endpoint.address), endpoint.port, finding.service.resource)
    return list(Change).index(changed.change), -finding.severity.rank, finding.control, where
