"""Decisions about findings: the last one counts, and none outlives its finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
import sqlalchemy as sa

from leadapron.errors import InputError
from leadapron.model import (
    Disposition,
    DispositionKind,
    Endpoint,
    Finding,
    FindingStatus,
    Run,
    Service,
    Severity,
    Vantage,
    VantageKind,
)
from leadapron.store import tables
from leadapron.store.store import Store

BEGAN = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
SERVICE = Service(endpoint=Endpoint(address=ip_address("198.18.0.9"), port=104), protocol="dicom")
RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="s",
    scope_sha256="0" * 64,
    vantage=Vantage(kind=VantageKind.OFFICE, name="here"),
    version="0",
    started_at=BEGAN,
)
KEYS = ("ab12000000000000", "ab13000000000000", "cd00000000000000")
DECIDED = Disposition(
    key=KEYS[0],
    kind=DispositionKind.PLANNED,
    until=dt.date(2027, 1, 31),
    owner="PACS team",
    why="after the update, 100 % of it",
    recorded_at=BEGAN,
    recorded_by="root",
)


def finding(key: str) -> Finding:
    return Finding(
        key=key, control="LA-11", title="t", severity=Severity.HIGH, service=SERVICE, evidence={}, remedy="r"
    )


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """With one run and its findings."""
    with Store.open(store_url) as opened:
        run_of(opened, RUN, *KEYS)
        yield opened


def run_of(store: Store, run: Run, *keys: str) -> None:
    store.create_run(run, "00")
    found = [finding(key) for key in keys]
    store.apply_findings(run, found, {}, refuted=lambda *_: False, covered=lambda *_: False)


@pytest.mark.parametrize("asked", [KEYS[2], "cd", "c", " CD "])
def test_a_finding_is_known_by_a_unique_beginning_of_its_key(store: Store, asked: str) -> None:
    found, kind = store.finding(asked)

    assert (found.key, kind) == (KEYS[2], VantageKind.OFFICE)


@pytest.mark.parametrize(
    ("asked", "said"),
    [("ab1", "more than one"), ("ef", "no finding 'ef'"), ("", "no key"), ("%", "no key"), ("LA-11", "no key")],
)
def test_any_other_is_one_line(store: Store, asked: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        store.finding(asked)
    assert "\n" not in str(caught.value)


def test_a_finding_is_given_as_it_stands(store: Store) -> None:
    run_of(store, replace(RUN, id="run-2", started_at=BEGAN + dt.timedelta(days=1)), *KEYS)

    assert store.finding("cd")[0].status is FindingStatus.OPEN


def test_the_last_decision_counts_and_the_earlier_ones_are_kept(store: Store) -> None:
    later = replace(DECIDED, kind=DispositionKind.FALSE_POSITIVE, until=None)
    for decided in (DECIDED, later, replace(DECIDED, key=KEYS[1])):
        store.record_disposition(decided)

    assert store.dispositions() == {KEYS[0]: later, KEYS[1]: replace(DECIDED, key=KEYS[1])}
    with store._engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.dispositions)).scalar() == 3


def test_what_is_withdrawn_brings_no_earlier_one_back(store: Store) -> None:
    store.record_disposition(DECIDED)
    store.record_disposition(replace(DECIDED, kind=DispositionKind.ACCEPTED))
    store.record_disposition(replace(DECIDED, key=KEYS[1]))
    store.withdraw_disposition(KEYS[0], at=BEGAN, by="root")

    assert store.dispositions().keys() == {KEYS[1]}
    with store._engine.connect() as connection:
        query = sa.select(tables.dispositions.c.withdrawn_at, tables.dispositions.c.withdrawn_by)
        rows = connection.execute(query.where(tables.dispositions.c.key == KEYS[0])).all()
    assert [tuple(row) for row in rows] == 2 * [(BEGAN.isoformat(), "root")]

    store.record_disposition(DECIDED)
    assert store.dispositions()[KEYS[0]] == DECIDED


def test_it_goes_with_the_last_run_that_knows_the_finding(store: Store) -> None:
    store.record_disposition(DECIDED)
    store.record_disposition(replace(DECIDED, key=KEYS[1]))
    later = BEGAN + dt.timedelta(days=1)
    store.create_run(replace(RUN, id="run-2", started_at=later), "00")
    with store._engine.begin() as connection:
        rows = sa.update(tables.findings).where(tables.findings.c.key == KEYS[0])
        connection.execute(rows.values(run_id="run-2"))

    store.purge(later, dry_run=True)
    assert store.dispositions().keys() == {KEYS[0], KEYS[1]}
    store.purge(later)
    assert store.dispositions().keys() == {KEYS[0]}


def test_it_holds_until_the_end_of_its_last_day() -> None:
    assert not DECIDED.is_expired(dt.date(2027, 1, 31))
    assert DECIDED.is_expired(dt.date(2027, 2, 1))
    assert not replace(DECIDED, until=None).is_expired(dt.date.max)
