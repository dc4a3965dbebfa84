"""`leadapron survey compare`: tables, lines, JSON and exit codes, on a run in a store."""

from __future__ import annotations

import datetime as dt
import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from command_line import leadapron

from leadapron.lab.world.holdings import Holdings, Shelf
from leadapron.lab.world.model import Kind, Server, World
from leadapron.lab.world.studies import Collection, Whose
from leadapron.lab.world.truth import truth
from leadapron.model import (
    Access,
    Count,
    Counts,
    Endpoint,
    Genuineness,
    Observation,
    Owner,
    Run,
    RunStatus,
    Service,
    Unique,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.store.store import Store

PORT = 11112
COUNTRIES = ("DE", "FR", "IT")


def server(number: int) -> Server:
    of = Collection(seed=1, origin=number, studies=100, images=1_000 * number)
    return Server(
        address=ip_address(f"198.18.0.{number}"),  # type: ignore[arg-type]
        port=PORT,
        country=COUNTRIES[number % 3],
        kind=Kind.OPEN,
        whose=Whose.PATIENTS,
        holdings=Holdings(shelves=(Shelf(collection=of, count=100),)),
    )


SERVERS = tuple(server(number) for number in range(1, 41))
WORLD = World(seed=1, scale=1, countries_by="nobody", ranges=(), servers=SERVERS, boxes=())
IMAGES = sum(range(1, 41)) * 1_000


def store_run(folder: Path, left_out: int = 0) -> None:
    """A run that found all but so many of the servers."""
    found = SERVERS[left_out:]
    images = Count.exact(sum(each.holdings.images for each in found))
    run = Run(
        id="run-1",
        kind="audit",
        scope_id="world",
        scope_sha256="0" * 64,
        vantage=Vantage(kind=VantageKind.INTERNET, name="namespace"),
        version="0",
        started_at=dt.datetime(2026, 11, 28, tzinfo=dt.UTC),
        ports=(PORT,),
    )
    with Store.open(f"sqlite:///{folder / 's.db'}") as store:
        store.create_run(run, permutation_key="00")
        observations = [
            Observation(
                service=Service(endpoint=Endpoint(address=each.address, port=each.port), protocol="dicom"),
                access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=Verdict.PROVEN),
                counts=Counts(studies=Count.exact(100), images=Count.exact(each.holdings.images)),
                owner=Owner(grant="g", country=each.country),
                genuineness=Genuineness(verdict="patients", score=1.0),
            )
            for each in found
        ]
        store.record_observations(run.id, observations)
        studies = Count.exact(100 * len(found))
        store.update_unique(
            run.id, Unique(studies=studies, images=images, genuine_studies=studies, genuine_images=images)
        )
        store.finish_run(run.id, RunStatus.COMPLETE, "", dt.datetime(2026, 11, 28, 1, tzinfo=dt.UTC), "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "truth.json").write_text(json.dumps(truth(WORLD)))
    return tmp_path


def compare(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = leadapron(
        folder, "survey", "compare", "truth.json", *arguments, "--store", f"sqlite:///{folder / 's.db'}", NO_COLOR="1"
    )
    return done.returncode, done.stdout, done.stderr


def test_a_run_that_found_the_truth(folder: Path) -> None:
    store_run(folder)
    code, out, err = compare(folder)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:3] == [
        "The run found the truth.",
        "40 of 40 exposed servers were found; no false alarms.",
        "run run-1, complete",
    ]
    assert "images, as reported            820,000  820,000  +0.00 %  holds" in lines
    assert "Missed" not in out
    assert lines == [line.rstrip() for line in lines]


def test_a_run_that_missed_some(folder: Path) -> None:
    store_run(folder, 25)
    code, out, err = compare(folder, "run-1")
    assert (code, err) == (1, "")
    assert out.startswith("The run differs from the truth.\n15 of 40 exposed servers were found; no false alarms.\n")
    assert "Missed (20 of 25 shown)" in out.splitlines()
    first = out.split("shown)\n")[1].splitlines()[0]
    assert first.split("  ")[0] == f"198.18.0.25:{PORT}"
    assert "silent, closed, or not in the scope" in first
    assert "images, as reported            820,000  495,000  -39.63 %  misses" in out


def test_it_is_said_to_programs(folder: Path) -> None:
    store_run(folder, 1)
    code, out, _ = compare(folder, "--json")
    said = json.loads(out)
    assert code == 1
    assert (said["schema"], said["found_the_truth"]) == ("leadapron/survey-comparison/1", False)
    assert (said["exposed"], said["found"], said["run"], said["status"]) == (40, 39, "run-1", "complete")
    assert [missed["endpoint"] for missed in said["missed"]] == [f"198.18.0.1:{PORT}"]
    assert said["totals"]["images"] == {
        "truth": IMAGES,
        "found": {
            "value": IMAGES - 1_000,
            "low": IMAGES - 1_000,
            "high": IMAGES - 1_000,
            "kind": "exact",
            "source": "enumerated",
        },
        "error": pytest.approx(-1_000 / IMAGES),
        "holds_the_truth": False,
        "judged": True,
    }
    assert set(said["totals"]) == {
        *("images", "unique_images", "genuine_images", "unique_genuine_images", "studies", "unique_studies"),
    }
    assert set(said["countries"]) == set(COUNTRIES)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("run-9",), "run-9"), ((), "is no leadapron/world-truth/1")],
)
def test_what_is_not_there_is_a_mistake_of_one_line(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    store_run(folder)
    if not arguments:
        (folder / "truth.json").write_text("{}")
    code, out, err = compare(folder, *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_terminal_gets_tables(folder: Path) -> None:
    store_run(folder, 25)
    done = leadapron(
        folder,
        *("survey", "compare", "truth.json", "--store", f"sqlite:///{folder / 's.db'}"),
        FORCE_COLOR="1",
        COLUMNS="80",
        TERM="xterm-256color",
    )
    assert done.returncode == 1
    assert "\x1b[" in done.stdout
    plain = [line for line in done.stdout.splitlines() if "truth" in line and "error" in line]
    assert plain, "the columns have names"
