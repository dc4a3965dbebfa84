"""A run by several workers finds what one process finds, whoever is lost on the way; without Dask, on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audits import Silent
from cluster.crews import LocalCrew
from leadapron.cli.demo import _estate
from leadapron.cluster.begin import audit_with
from leadapron.lab.compare import compare
from leadapron.model import Run, RunStatus
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope
from leadapron.report.json import document
from leadapron.report.load import load_view
from leadapron.scope.audit_log import verify
from leadapron.settings import data_directory
from leadapron.store.leases import HOSTS, SWEEP, Leases, is_finished
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

    def audit(self, crew: LocalCrew, *, resume: bool = False, seats: int = 3, shards: int = 12) -> Run:
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
    """What a report says of the estate, without what belongs to one run."""
    services = sorted(
        json.dumps({name: value for name, value in each.items() if name not in ("run",)}, sort_keys=True)
        for each in report["services"]
    )
    unknowns = sorted(json.dumps(each, sort_keys=True) for each in report["unknowns"])
    findings = sorted((each["key"], each["control"]) for each in report["findings"])
    return {"services": services, "unknowns": unknowns, "findings": findings, "totals": report["totals"]}


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
