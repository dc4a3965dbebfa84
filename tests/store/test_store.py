"""The store: private, migrated, idempotent; and the life of a finding over runs."""

from __future__ import annotations

import datetime as dt
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from leadapron.assess.keys import finding_key
from leadapron.errors import InputError, StoreError
from leadapron.model import (
    AUDIT,
    VERIFY,
    Access,
    Count,
    Counts,
    Endpoint,
    Failed,
    Finding,
    FindingStatus,
    Observation,
    Owner,
    Product,
    Reason,
    Run,
    RunStatus,
    Service,
    Severity,
    Stage,
    Unknown,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.store import tables
from leadapron.store.chunk import SweepChunk
from leadapron.store.store import Store

ENDPOINT = Endpoint(address=ip_address("198.18.0.9"), port=104, name="pacs.hospital.example")
SERVICE = Service(endpoint=ENDPOINT, protocol="dicom", resource="ANY-SCP")


def run(number: int) -> Run:
    return Run(
        id=f"run-{number}",
        kind="audit",
        scope_id="s",
        scope_sha256="0" * 64,
        vantage=Vantage(kind=VantageKind.INTERNET, name="here"),
        version="0",
        started_at=dt.datetime(2026, 11, number, 12, tzinfo=dt.UTC),
        ports=(104, 11112),
    )


def observation(listed: Verdict, resource: str = "ANY-SCP") -> Observation:
    return Observation(
        service=replace(SERVICE, resource=resource),
        access=Access(reach=Verdict.PROVEN, list=listed),
        counts=Counts(studies=Count.at_least(7), images=Count.exact(9)),
        product=Product(toolkit="OFFIS DCMTK 3.6.7", candidates=("A", "B")),
        owner=Owner(grant="g", country="DE"),
        facts={"associated": True, "find_answers": 7},
        unknowns=(Failed(stage=Stage.COUNT, reason=Reason.LIMIT),),
    )


def finding(control: str = "LA-11") -> Finding:
    return Finding(
        key=finding_key(VantageKind.INTERNET, SERVICE, control),
        control=control,
        title="t",
        severity=Severity.HIGH,
        service=SERVICE,
        evidence={"studies": 7},
        remedy="r",
    )


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with Store.open(store_url) as opened:
        yield opened


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    with Store.open(f"sqlite:///{folder / 's.db'}") as store:
        store.create_run(run(1), "00")

        assert {path.name for path in folder.iterdir()} >= {"s.db", "s.db-wal"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_migrations_lead_to_the_tables(store: Store) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_a_store_of_a_newer_version_is_one_line(store: Store, store_url: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"^the store was written by a newer version[^\n]+$"):
        Store.open(store_url)


def test_a_file_that_is_no_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError) as caught:
        Store.open(f"sqlite:///{tmp_path / 'x.db'}")
    assert "\n" not in str(caught.value)


def test_everything_comes_back_as_it_went_in(store: Store) -> None:
    store.create_run(run(1), "abcd")
    seen = observation(Verdict.PROVEN)
    unknown = Unknown(endpoint="198.18.0.0/24", stage=Stage.CONNECT, reason=Reason.TIMEOUT, count=3)
    store.record_observations("run-1", [seen])
    store.record_observations("run-1", [seen])
    store.record_unknowns("run-1", [unknown])
    store.record_unknowns("run-1", [unknown])

    assert store.run() == store.run("run") == run(1)
    assert store.permutation_key("run-1") == "abcd"
    assert store.observations("run-1") == [seen]
    assert store.unknowns("run-1") == [unknown]
    with pytest.raises(InputError):
        store.run("other")


def test_a_run_of_an_earlier_version_names_no_catalogue(store: Store) -> None:
    store.create_run(replace(run(1), catalogue="ab"), "00")
    assert store.run().catalogue == "ab"

    with store._engine.begin() as connection:
        data = connection.execute(sa.select(tables.runs.c.data)).scalar_one()
        del data["catalogue"]
        connection.execute(sa.update(tables.runs).values(data=data))

    assert store.run() == run(1)


def test_progress_is_merged_and_counted_once(store: Store) -> None:
    store.create_run(run(1), "00")
    for start, stop in ((0, 10), (20, 30), (10, 20), (0, 10), (50, 60)):
        chunk = SweepChunk(start=start, stop=stop, outcomes={"refused": stop - start}, hits=[ENDPOINT])
        store.record_chunks("run-1", [chunk])

    assert store.progress("run-1") == [(0, 30), (50, 60)]
    assert store.outcomes("run-1") == {"refused": 40}
    assert store.outcomes_in_order("run-1") == [(start, start + 10, {"refused": 10}) for start in (0, 10, 20, 50)]
    assert store.hits("run-1") == [ENDPOINT]


def test_what_is_no_service_any_more_when_a_run_has_gone_on_is_not_observed(store: Store) -> None:
    """As what was stopped among the first of a middlebox, and is known to be one by now."""
    store.create_run(run(1), "00")
    others = [observation(Verdict.PROVEN, resource=f"TITLE{number}") for number in range(1200)]
    store.record_observations("run-1", [observation(Verdict.UNKNOWN), *others])
    assert len(store.observations("run-1")) == 1201

    store.record_observations("run-1", others[:700])

    assert {seen.service.resource for seen in store.observations("run-1")} == {
        f"TITLE{number}" for number in range(700)
    }


def test_a_chunk_done_in_part_says_what_waits_until_it_is_done(store: Store) -> None:
    store.create_run(run(1), "00")
    waiting = bytes([1, 0, 0, 1] * 25 + [1])
    part = SweepChunk(start=10, stop=111, outcomes={"refused": 50}, hits=[ENDPOINT], waiting=waiting)
    others = [SweepChunk(start=1000 + start, stop=1001 + start, outcomes={"refused": 1}) for start in range(1200)]
    store.record_chunks("run-1", [part, *others])

    assert store.chunks_in_part("run-1") == [replace(part, hits=())]
    assert store.progress("run-1") == [(1000, 2200)]
    assert store.outcomes("run-1") == {"refused": 1250}
    assert store.outcomes_in_order("run-1") == [
        (10, 111, {"refused": 50}),
        *((start, start + 1, {"refused": 1}) for start in range(1000, 2200)),
    ]
    assert store.hits("run-1") == [ENDPOINT]

    store.record_chunks("run-1", [replace(part, outcomes={"refused": 101}, waiting=bytes(101))])

    assert store.chunks_in_part("run-1") == []
    assert store.progress("run-1") == [(10, 111), (1000, 2200)]
    assert store.outcomes("run-1") == {"refused": 1301}


def test_the_first_result_of_a_job_stays(store: Store) -> None:
    store.create_run(run(1), "00")
    store.record_attempt("run-1", ENDPOINT, "dicom", "hello", {"first": 1})
    store.record_attempt("run-1", ENDPOINT, "dicom", "hello", {"second": 2})

    assert store.attempts("run-1") == {(ENDPOINT, "dicom"): {"hello": {"first": 1}}}

    store.record_attempt("run-1", ENDPOINT, "dicom", "hello", {"third": 3}, again=True)

    assert store.attempts("run-1") == {(ENDPOINT, "dicom"): {"hello": {"third": 3}}}


def test_times_are_compared_byte_by_byte(store: Store) -> None:
    """Collations of languages look past a point or a sign, and put 12:00:00.5 before 12:00:00."""
    noon = run(1).started_at
    half = dt.timedelta(microseconds=500_000)
    for number, moment in enumerate((noon + half, noon, noon - half)):
        store.create_run(replace(run(1), id=f"run-{number}", started_at=moment), "00")

    assert [each.id for each in store.runs()] == ["run-0", "run-1", "run-2"]
    assert store.purge(noon, dry_run=True) == ["run-2"]


def test_attempts_come_in_one_order(store: Store) -> None:
    store.create_run(run(1), "00")
    jobs = ["hello", "Hello", "list-2", "list.1", "list", "\u00e9"]
    for job in jobs:
        store.record_attempt("run-1", ENDPOINT, "dicom", job, {"first": 1})
    store.record_attempt("run-1", ENDPOINT, "dicom", jobs[0], {"second": 1}, again=True)

    assert list(store.attempts("run-1")[ENDPOINT, "dicom"]) == sorted(jobs)


def test_only_an_unfinished_run_is_resumed(store: Store) -> None:
    store.create_run(run(1), "00")
    assert store.resumable_run("0" * 64, run(1).vantage) == run(1)
    store.finish_run("run-1", RunStatus.COMPLETE, "", run(1).started_at, "head")
    assert store.resumable_run("0" * 64, run(1).vantage) is None
    assert store.resumable_run("1" * 64, run(1).vantage) is None


def test_the_run_of_a_verify_is_neither_the_latest_nor_resumed(store: Store) -> None:
    verify = replace(run(2), kind="verify")
    store.create_run(verify, "00")
    with pytest.raises(InputError, match="no run yet"):
        store.run()
    assert store.resumable_run("0" * 64, run(1).vantage) is None

    store.create_run(run(1), "00")

    assert store.run() == run(1)
    assert store.resumable_run("0" * 64, run(1).vantage) == run(1)
    assert store.run("run-2") == store.runs()[0] == verify


def after(store: Store, number: int, broken: bool, seen: Verdict | None, *, covered: bool = True) -> Finding:
    """How the finding stands after run `number`."""
    store.create_run(run(number), "00")
    observed = {} if seen is None else {SERVICE: observation(seen)}
    for _ in range(2):  # the second time changes nothing
        (stands,) = store.apply_findings(
            run(number),
            [finding()] if broken else [],
            observed,
            refuted=lambda _control, observed: observed.access.list is Verdict.REFUSED,
            covered=lambda _service, _control: covered,
        )
    assert store.findings(f"run-{number}") == [stands]
    return stands


def test_a_finding_is_closed_by_a_refusal_and_by_nothing_less(store: Store) -> None:
    first = after(store, 1, True, Verdict.PROVEN)
    assert (first.status, first.first_seen, first.last_seen) == (
        FindingStatus.NEW,
        run(1).started_at,
        run(1).started_at,
    )
    assert after(store, 2, True, Verdict.PROVEN).status is FindingStatus.OPEN
    assert after(store, 3, False, None).status is FindingStatus.NOT_OBSERVED
    assert after(store, 4, False, Verdict.UNKNOWN).status is FindingStatus.NOT_OBSERVED
    assert after(store, 5, True, Verdict.PROVEN).status is FindingStatus.OPEN
    assert after(store, 6, False, None, covered=False).status is FindingStatus.OPEN
    closed = after(store, 7, False, Verdict.REFUSED)
    assert (closed.status, closed.first_seen, closed.last_seen) == (
        FindingStatus.CLOSED,
        run(1).started_at,
        run(5).started_at,
    )
    assert after(store, 8, False, None).status is FindingStatus.CLOSED
    assert after(store, 8, False, None, covered=False).status is FindingStatus.CLOSED
    assert after(store, 9, True, Verdict.PROVEN).status is FindingStatus.REOPENED


def test_a_refusal_closes_wherever_it_was_seen(store: Store) -> None:
    after(store, 1, True, Verdict.PROVEN)

    assert after(store, 2, False, Verdict.REFUSED, covered=False).status is FindingStatus.CLOSED


def test_findings_of_one_key_are_one_the_worst(store: Store) -> None:
    store.create_run(run(1), "00")
    twice = [replace(finding("LA-01"), severity=severity) for severity in (Severity.MEDIUM, Severity.HIGH)]

    for findings in (twice, twice[::-1]):
        (stands,) = store.apply_findings(
            run(1), findings, {}, refuted=lambda *_: False, covered=lambda _service, _control: True
        )
        assert (stands.severity, stands.status) == (Severity.HIGH, FindingStatus.NEW)


def test_refusals_are_kept_once(store: Store) -> None:
    store.create_run(run(1), "00")
    places = [Endpoint(address=ip_address(address), port=104) for address in ("198.18.0.9", "2001:db8::1")]
    store.record_refusals("run-1", places[::-1])
    store.record_refusals("run-1", places)
    store.record_refusals("run-1", [])

    assert store.refusals("run-1") == places


def test_a_title_that_no_longer_works_closes_what_its_endpoint_refutes(store: Store) -> None:
    after(store, 1, True, Verdict.PROVEN)
    store.create_run(run(2), "00")
    rejected = observation(Verdict.REFUSED, resource="")

    (stands,) = store.apply_findings(
        run(2),
        [],
        {rejected.service: rejected},
        refuted=lambda _control, observed: observed.access.list is Verdict.REFUSED,
        covered=lambda _service, _control: False,
    )

    assert stands.status is FindingStatus.CLOSED


def test_purge_deletes_old_runs_with_everything_of_theirs(store: Store) -> None:
    after(store, 1, True, Verdict.PROVEN)
    store.record_observations("run-1", [observation(Verdict.PROVEN)])
    store.create_run(run(20), "00")

    before = dt.datetime(2026, 11, 10, tzinfo=dt.UTC)
    assert store.purge(before, dry_run=True) == ["run-1"]
    assert len(store.runs()) == 2
    assert store.purge(before) == ["run-1"]

    assert [left.id for left in store.runs()] == ["run-20"]
    with store._engine.connect() as connection:
        for table in (tables.observations, tables.findings):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def test_a_disk_that_is_full_is_one_line_and_what_was_written_is_kept(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.create_run(run(1), permutation_key="00")
        store._engine.dispose()

        def fill(connection: sqlite3.Connection, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        sa.event.listen(store._engine, "connect", fill)
        with pytest.raises(StoreError) as raised:
            store.record_attempt("run-1", ENDPOINT, "dicom", "hello", {"big": list(range(100_000))})
        assert "disk is full" in str(raised.value)
        assert "\n" not in str(raised.value)
        assert "INSERT" not in str(raised.value)
        assert store.run().id == "run-1"


def test_what_never_goes_on_is_known_and_keeps_no_lists(store: Store) -> None:
    """The last audit of a scope may go on; one that ended for good, one that another followed, and a check may not."""
    begun = run(1).started_at
    for number, (name, kind) in enumerate([("old", AUDIT), ("check", VERIFY), ("new", AUDIT)], 1):
        store.create_run(replace(run(number), id=name, kind=kind), permutation_key="00")
        store.record_attempt(name, ENDPOINT, "dicom", "ask:X", {"inquiry": {}}, shown=b"x" * 12)
        store.finish_run(name, RunStatus.STOPPED, "", begun, "")
    assert {each.id for each in store.superseded()} == {"old", "check"}
    assert [raw for _, _, _, raw in store.shown_studies("new")] == [b"x" * 12]
    store.finish_run("new", RunStatus.COMPLETE, "", begun, "")
    assert {each.id for each in store.superseded()} == {"old", "check", "new"}
    assert list(store.shown_studies("new")) == []


def test_a_job_that_is_asked_again_has_the_list_of_its_last_answer(store: Store) -> None:
    store.create_run(run(1), permutation_key="00")
    for shown in (b"a" * 12, b"b" * 12, b""):
        store.record_attempt("run-1", ENDPOINT, "dicom", "ask:X", {"inquiry": {}}, shown=shown, again=True)
        assert [raw for _, _, _, raw in store.shown_studies("run-1")] == ([shown] if shown else [])
