from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from report_estate import PARTNER, RUN, STARTED, exposed, findings_of

from leadapron.errors import InputError
from leadapron.model import (
    VERIFY,
    Endpoint,
    Finding,
    FindingStatus,
    Moved,
    Observation,
    Run,
    RunStatus,
    Severity,
    Vantage,
    VantageKind,
)
from leadapron.report.changes import Audit, Change, Changes, audit_before, changes
from leadapron.report.owners import By

WEEK = dt.timedelta(days=7)
NEW, OPEN, CLOSED = FindingStatus.NEW, FindingStatus.OPEN, FindingStatus.CLOSED
UNSEEN, REOPENED, MOVED = FindingStatus.NOT_OBSERVED, FindingStatus.REOPENED, FindingStatus.MOVED
FIRST = dataclasses.replace(RUN, id="first", started_at=STARTED - WEEK)
LAST = dataclasses.replace(RUN, id="last")
BETWEEN = STARTED - dt.timedelta(days=3)
HERE = exposed("198.18.0.1")


def finding(status: FindingStatus, last_seen: dt.datetime, seen: Observation = HERE, **parts: object) -> Finding:
    (made,) = (each for each in findings_of([seen]) if each.control == "LA-11")
    changed = {"status": status, "first_seen": STARTED - 9 * WEEK, "last_seen": last_seen, **parts}
    return dataclasses.replace(made, **changed)  # type: ignore[arg-type]


def compared(
    before: Sequence[Finding], after: Sequence[Finding], seen: Sequence[Observation] = (HERE,), **parts: object
) -> Changes:
    earlier = Audit(run=FIRST, findings=before, observations=[HERE])
    return changes(earlier, Audit(run=LAST, findings=after, observations=seen), By.COUNTRY, **parts)  # type: ignore[arg-type]


THEN, NOW = FIRST.started_at, LAST.started_at


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, (NEW, NOW), Change.OPENED),
        (None, (OPEN, NOW), Change.OPENED),
        (None, (CLOSED, BETWEEN), Change.PASSED),
        (None, (MOVED, BETWEEN), Change.PASSED),
        (None, (UNSEEN, BETWEEN), Change.NOT_OBSERVED),
        (None, (OPEN, BETWEEN), None),
        ((NEW, THEN), (OPEN, NOW), Change.STANDING),
        ((NEW, THEN), (REOPENED, NOW), Change.REOPENED),
        ((OPEN, THEN), (CLOSED, THEN), Change.CLOSED),
        ((OPEN, THEN), (MOVED, THEN), Change.MOVED),
        ((OPEN, THEN), (UNSEEN, THEN), Change.NOT_OBSERVED),
        ((OPEN, THEN), (OPEN, THEN), Change.NOT_ASKED),
        ((OPEN, THEN), (OPEN, BETWEEN), Change.NOT_ASKED),
        ((OPEN, THEN - WEEK), (OPEN, NOW), Change.SEEN_AGAIN),
        ((OPEN, THEN - WEEK), (CLOSED, THEN - WEEK), Change.CLOSED),
        ((OPEN, THEN - WEEK), (UNSEEN, THEN - WEEK), Change.NOT_OBSERVED),
        ((OPEN, THEN - WEEK), (OPEN, THEN - WEEK), None),
        ((UNSEEN, THEN - WEEK), (OPEN, NOW), Change.SEEN_AGAIN),
        ((UNSEEN, THEN - WEEK), (CLOSED, THEN - WEEK), Change.CLOSED),
        ((UNSEEN, THEN - WEEK), (MOVED, THEN - WEEK), Change.MOVED),
        ((UNSEEN, THEN - WEEK), (UNSEEN, THEN - WEEK), None),
        ((CLOSED, THEN - WEEK), (REOPENED, NOW), Change.REOPENED),
        ((CLOSED, THEN - WEEK), (OPEN, NOW), Change.REOPENED),
        ((MOVED, THEN - WEEK), (REOPENED, NOW), Change.REOPENED),
        ((CLOSED, THEN - WEEK), (CLOSED, THEN - WEEK), None),
        ((MOVED, THEN - WEEK), (CLOSED, BETWEEN), None),
        ((CLOSED, THEN - WEEK), (UNSEEN, BETWEEN), Change.NOT_OBSERVED),
        ((CLOSED, THEN - WEEK), (OPEN, BETWEEN), None),
    ],
)
def test_each_way_from_one_standing_to_another(
    before: tuple[FindingStatus, dt.datetime] | None, after: tuple[FindingStatus, dt.datetime], change: Change | None
) -> None:
    made = compared([] if before is None else [finding(*before)], [finding(*after)])
    assert [each.change for each in made.changed] == ([] if change is None else [change])
    assert made.count() == {each: int(each is change) for each in Change}


def test_a_service_that_moved_takes_its_finding_along() -> None:
    """It is told once, at the earlier place: at the new one nothing was opened."""
    there = exposed("198.18.0.2")
    earlier, came = finding(OPEN, THEN), finding(OPEN, NOW, there)
    to = Moved(key=came.key, endpoint=there.service.endpoint, because=("key",))
    come_from = Moved(key=earlier.key, endpoint=HERE.service.endpoint, because=("key",))
    after = [
        dataclasses.replace(earlier, status=MOVED, moved_to=to),
        dataclasses.replace(came, moved_from=come_from),
    ]
    assert {each.change: each.finding.key for each in compared([earlier], after, [there]).changed} == {
        Change.MOVED: earlier.key,
        Change.STANDING: came.key,
    }
    unknown_place = Moved(key="0" * 16, endpoint=Endpoint(address=ip_address("198.18.0.9"), port=104), because=("key",))
    (alone,) = compared([], [dataclasses.replace(came, moved_from=unknown_place)], [there]).changed
    assert alone.change is Change.OPENED


def test_a_finding_is_counted_with_its_owner_now_or_then() -> None:
    theirs = exposed("198.18.0.2", owner=PARTNER)
    gone = finding(CLOSED, THEN)
    made = compared([finding(OPEN, THEN)], [gone, finding(NEW, NOW, theirs)], [theirs])
    assert [(each.change, each.group.name) for each in made.changed] == [(Change.OPENED, "IT"), (Change.CLOSED, "DE")]
    assert [group.name for group in made.groups] == ["DE", "IT"]
    assert made.count(made.groups[0])[Change.CLOSED] == 1
    assert made.count(made.groups[0])[Change.OPENED] == 0
    assert made.severities(Change.OPENED) == {severity: int(severity is gone.severity) for severity in Severity}


def test_findings_of_other_scopes_are_carried_along_and_not_counted() -> None:
    others = {BETWEEN, THEN - WEEK}
    for before, after in (
        ((OPEN, THEN - WEEK), (CLOSED, THEN - WEEK)),
        (None, (CLOSED, BETWEEN)),
        (None, (UNSEEN, BETWEEN)),
    ):
        earlier = [] if before is None else [finding(*before)]
        assert compared(earlier, [finding(*after)]).changed
        assert not compared(earlier, [finding(*after)], elsewhere=others).changed
    (ours,) = compared([finding(OPEN, THEN)], [finding(CLOSED, BETWEEN)], elsewhere=others).changed
    assert ours.change is Change.CLOSED


@pytest.mark.parametrize(
    ("earlier", "later", "says"),
    [
        ({"scope_id": "other"}, {}, "not audits of one scope"),
        ({"kind": VERIFY}, {}, "not audits of one scope"),
        ({}, {"kind": VERIFY}, "not audits of one scope"),
        ({"vantage": Vantage(kind=VantageKind.CLINICAL, name="x")}, {}, "from one kind of vantage"),
        ({"started_at": NOW}, {}, "did not begin before"),
        ({"started_at": NOW + WEEK}, {}, "did not begin before"),
        ({"status": RunStatus.RUNNING}, {}, "run first goes on"),
        ({}, {"status": RunStatus.RUNNING}, "run last goes on"),
    ],
)
def test_what_cannot_be_compared_is_a_mistake(earlier: dict[str, object], later: dict[str, object], says: str) -> None:
    runs = dataclasses.replace(FIRST, **earlier), dataclasses.replace(LAST, **later)  # type: ignore[arg-type]
    one, other = (Audit(run=run, findings=[], observations=[]) for run in runs)
    with pytest.raises(InputError, match=says):
        changes(one, other, By.COUNTRY)


def test_the_audit_before_is_the_latest_complete_one_of_the_scope() -> None:
    def run(name: str, days: int, **parts: object) -> Run:
        changed = {"id": name, "started_at": NOW - dt.timedelta(days=days), **parts}
        return dataclasses.replace(LAST, **changed)  # type: ignore[arg-type]

    others = [
        run("after", -1),
        run("other", 1, scope_id="other"),
        run("check", 2, kind=VERIFY),
        run("stopped", 3, status=RunStatus.STOPPED),
        run("clinical", 4, vantage=Vantage(kind=VantageKind.CLINICAL, name="x")),
    ]
    assert audit_before(LAST, [LAST, *others, run("this", 5), run("earlier", 6)]).id == "this"
    with pytest.raises(InputError, match="no complete audit of scope own-estate before run last"):
        audit_before(LAST, [LAST, *others])
