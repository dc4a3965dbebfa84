"""A run by several workers finds what one process finds, whoever is lost on the way; without Dask, on PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from audits import Silent
from cluster.crews import LocalCrew
from leadapron.cli.demo import _estate
from leadapron.cluster.begin import audit_with, check
from leadapron.cluster.order import Order
from leadapron.errors import InputError
from leadapron.lab.compare import compare
from leadapron.model import Run, RunStatus
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope
from leadapron.report.json import document
from leadapron.report.load import load_view
from leadapron.scope.audit_log import verify
from leadapron.scope.grant import load_scope
from leadapron.settings import data_directory
from leadapron.store.leases import HOSTS, SWEEP, Leases, is_finished, partition_of
from leadapron.store.store import Store
from postgres import ADDRESS, Postgres

OPTIONS = Options(sweep_timeout=1.0, hello_timeout=2.0)
pytestmark = pytest.mark.usefixtures("disarmed_afterwards")


class Place:
    """The estate of the lab, its scope, and an empty database."""

    def __init__(self, folder: Path, postgres: Postgres, estate: dict[str, Any]) -> None:
        self.folder, self.estate = folder, estate
        self.url = postgres.url(postgres.create())
        self.scope = folder / "scope.toml"
        ours = f'[infrastructure]\nallow = ["{ADDRESS}:{postgres.port}"]\n'
        self.scope.write_text(f"{estate['scope']}\n{ours}")

    def audit(self, crew: LocalCrew, *, resume: bool = False, seats: int = 3, shards: int = 8) -> Run:
        run, _ = audit_with(
            crew,
            self.scope,
            url=self.url,
            seats=seats,
            shards=shards,
            resume=resume,
            options=OPTIONS,
            progress=Silent(),
        )
        return run

    def partition(self) -> int:
        """The one in which all of the estate lies."""
        return partition_of(ip_address("127.77.20.1"))

    def alone(self) -> Run:
        run, _ = audit_scope(self.scope, url=self.url, resume=False, options=OPTIONS, progress=Silent())
        return run

    def report(self, run: Run) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.dumps(document(load_view(self.url, run.id)), default=str))
        return found


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    with _estate(2020) as estate:
        yield Place(tmp_path, postgres, estate)


@pytest.fixture
def crew() -> Iterator[LocalCrew]:
    made = LocalCrew(3)
    yield made
    made.close()


def seen(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says of the estate, without what is drawn by lot: whom a census asked."""
    services = {}
    for each in report["services"]:
        census = each["census"] and {name: value for name, value in each["census"].items() if name != "present"}
        services[str(each["endpoint"]), each["protocol"], each["resource"]] = {**each, "census": census}
    unknowns = sorted(json.dumps(each, sort_keys=True) for each in report["unknowns"])
    findings = sorted((each["key"], each["control"], each["severity"]) for each in report["findings"])
    return {"services": services, "unknowns": unknowns, "findings": findings, "totals": report["totals"]}


def meanwhile(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def test_three_workers_find_what_one_process_finds(place: Place, crew: LocalCrew) -> None:
    run = place.audit(crew)
    assert (run.status, run.why) == (RunStatus.COMPLETE, "")
    report = place.report(run)
    assert compare(place.estate["truth"], report) == []
    alone = place.report(place.alone())
    assert seen(report) == seen(alone)

    with Store.open(place.url) as store:
        leases = Leases(store._engine, run.id)
        assert all(each.is_done for each in leases.all(SWEEP))
        assert is_finished(leases.all(HOSTS))
        shifts = leases.shifts()
    assert {shift.worker for shift in shifts} >= {"worker-1", "worker-2", "worker-3"}
    folder = data_directory() / "runs" / run.id
    log = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    heads = {each["facts"]["holder"]: each["facts"]["head"] for each in log if each["event"] == "shift"}
    assert verify(folder / "audit.jsonl").head == run.audit_head
    for shift in shifts:
        chain = verify(folder / "shifts" / f"{shift.holder}.jsonl")
        assert (chain.entries, chain.head) == (shift.entries, heads[shift.holder])
    assert list((folder / "shifts").glob("*.files")) == []


def test_the_shift_that_is_killed_costs_nothing_but_time(place: Place, crew: LocalCrew) -> None:
    """`kill -9` of who asks the hosts, while it does: its partitions go to others, and nothing that is known is asked
    again."""
    killed = []

    def kill() -> None:
        with Store.open(place.url) as store:
            wait_for(lambda: bool(store.runs()) and len(store.attempts(store.runs()[0].id)) > 3)
            run_id = store.runs()[0].id
            leases = Leases(store._engine, run_id)
            (at, *_) = [each for each in leases.all(HOSTS) if each.holder and each.number == place.partition()]
            (name,) = [shift.worker for shift in leases.shifts() if shift.holder == at.holder]
            killed.append((name, store.attempts(run_id)))
            crew.kill(name)

    thread = meanwhile(kill)
    run = place.audit(crew)
    thread.join()
    assert (run.status, run.why) == (RunStatus.COMPLETE, "")
    assert compare(place.estate["truth"], place.report(run)) == []
    ((name, before),) = killed
    with Store.open(place.url) as store:
        after, leases = store.attempts(run.id), Leases(store._engine, run.id)
        over = {shift.worker: shift.is_over for shift in leases.shifts()}
    assert not over[name], "it could not say that it was over"
    assert sum(over.values()) >= 2
    assert all(after[door][job] == made for door, jobs in before.items() for job, made in jobs.items())


def test_a_stop_reaches_every_worker_within_seconds_and_the_run_goes_on(place: Place, crew: LocalCrew) -> None:
    began = []

    def stop() -> None:
        with Store.open(place.url) as store:
            wait_for(lambda: bool(store.runs()) and len(store.hits(store.runs()[0].id)) > 0)
            (data_directory() / "runs" / store.runs()[0].id / "stop").touch()
            began.append(time.monotonic())

    thread = meanwhile(stop)
    run = place.audit(crew)
    assert time.monotonic() - began[0] < 8
    thread.join()
    assert (run.status, run.why) == (RunStatus.STOPPED, "stopped by `leadapron stop`")
    with Store.open(place.url) as store:
        assert Leases(store._engine, run.id).seated() == 0

    crew.most = 3
    again = place.audit(crew, resume=True)
    assert (again.id, again.status) == (run.id, RunStatus.COMPLETE)
    assert compare(place.estate["truth"], place.report(again)) == []


def test_a_scope_that_changes_ends_it(place: Place, crew: LocalCrew) -> None:
    def change() -> None:
        with Store.open(place.url) as store:
            wait_for(lambda: bool(store.runs()) and Leases(store._engine, store.runs()[0].id).seated() > 0)
        place.scope.write_text(place.scope.read_text() + "\n# later\n")

    thread = meanwhile(change)
    run = place.audit(crew)
    thread.join()
    assert run.status is RunStatus.STOPPED
    assert run.why.startswith("the scope file changed: while a cluster works")


def test_workers_that_always_fail_end_it_with_what_they_say(place: Place, crew: LocalCrew) -> None:
    class Misled(LocalCrew):
        def call(self, order: Order) -> None:
            super().call(replace(order, luggage=replace(order.luggage, files={})))

        def faults(self) -> Sequence[str]:
            return [why for why in self.ended if why]

    misled = Misled(1)
    try:
        run = place.audit(misled, seats=1)
    finally:
        misled.close()
    assert run.status is RunStatus.STOPPED
    assert "workers fail:" in run.why
    assert "cannot be read" in run.why


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ('[[zone]]\nname = "mri"\nnetworks = ["127.77.20.1/32"]\ngap_seconds = 2\n', "wants a gap"),
        ("", "the scheduler is not in"),
    ],
)
def test_what_a_cluster_cannot_keep_is_refused_before_it_begins(place: Place, extra: str, says: str) -> None:
    place.scope.write_text(place.scope.read_text() + extra)
    with pytest.raises(InputError, match=says):
        check(load_scope(place.scope), url=place.url, scheduler=("192.0.2.1", 8786))


def test_a_store_that_workers_do_not_reach_is_refused(place: Place) -> None:
    with pytest.raises(InputError, match="a store that its workers reach"):
        check(load_scope(place.scope), url=f"sqlite:///{place.folder / 's.db'}", scheduler=None)
