"""`leadapron audit` as a script meets it: exit codes, what is on which stream, and what an interrupt leaves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from command_line import environment, is_under_way, leadapron, start, wait_for

from leadapron.cli.audit import exit_code
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, Finding, FindingStatus, Run, RunStatus, Service, Severity, Vantage, VantageKind
from listening import listening
from scope_file import write_scope

ESCAPE = "\x1b"


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Path]:
    """A scope with one open archive of 23 studies in it."""
    with listening(Server(Behaviour(archives={"": made_up(1, 23)})).serve) as (endpoint,):
        yield write_scope(tmp_path / "scope.toml", networks=[f"{endpoint.address}/32"], ports=[endpoint.port])


def run(status: RunStatus) -> Run:
    return Run(
        id="r",
        kind="audit",
        scope_id="s",
        scope_sha256="00",
        vantage=Vantage(kind=VantageKind.OFFICE, name="desk"),
        version="0",
        started_at=dt.datetime.now(dt.UTC),
        status=status,
    )


def finding(severity: Severity) -> Finding:
    service = Service(endpoint=Endpoint(address=ip_address("198.18.0.1"), port=104), protocol="dicom")
    return Finding(key="k", control="LA-11", title="t", severity=severity, service=service, evidence={}, remedy="r")


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.COMPLETE])
@pytest.mark.parametrize("found", [[], [finding(Severity.CRITICAL)]])
def test_a_run_that_did_not_see_all_exits_with_3_whatever_it_found(status: RunStatus, found: list[Finding]) -> None:
    assert exit_code(run(status), found, Severity.HIGH) == 3


@pytest.mark.parametrize("worst", Severity)
@pytest.mark.parametrize("fail_on", Severity)
def test_a_complete_run_exits_with_1_from_the_severity_on(worst: Severity, fail_on: Severity) -> None:
    found = [finding(Severity.INFO), finding(worst)]

    assert exit_code(run(RunStatus.COMPLETE), found, fail_on) == int(worst.rank >= fail_on.rank)
    assert exit_code(run(RunStatus.COMPLETE), [], fail_on) == 0


@pytest.mark.parametrize("status", FindingStatus)
def test_what_is_closed_or_was_not_seen_by_this_run_does_not_fail_it(status: FindingStatus) -> None:
    this = run(RunStatus.COMPLETE)
    seen = dataclasses.replace(finding(Severity.CRITICAL), status=status, last_seen=this.started_at)
    elsewhere = dataclasses.replace(seen, last_seen=this.started_at - dt.timedelta(days=1))
    active = status in (FindingStatus.NEW, FindingStatus.OPEN, FindingStatus.REOPENED)

    assert exit_code(this, [seen], Severity.HIGH) == int(active)
    assert exit_code(this, [elsewhere], Severity.HIGH) == 0


def test_what_is_excused_does_not_fail_it() -> None:
    this = run(RunStatus.COMPLETE)
    seen = [dataclasses.replace(finding(Severity.HIGH), key=key) for key in ("a", "b")]

    assert exit_code(this, seen, Severity.HIGH, frozenset("ab")) == 0
    assert exit_code(this, seen, Severity.HIGH, frozenset("a")) == 1
    assert exit_code(run(RunStatus.STOPPED), seen, Severity.HIGH, frozenset("ab")) == 3


def test_the_result_is_on_stdout_and_the_progress_on_stderr(scope: Path, tmp_path: Path) -> None:
    result = leadapron(tmp_path, "audit", scope)

    assert result.returncode == 1, result.stderr
    assert "list 23 studies" in result.stdout.splitlines()[0]
    assert "to do" not in result.stdout
    first_lines = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert [each for each in first_lines if each in ("Discover", "Identify", "Assess")] == [
        "Discover",
        "Identify",
        "Assess",
    ]
    assert ESCAPE not in result.stdout + result.stderr


def test_json_is_all_of_stdout_and_quiet_is_all_of_stderr(scope: Path, tmp_path: Path) -> None:
    result = leadapron(tmp_path, "audit", scope, "--json", "--quiet", "--fail-on", "critical")

    report = json.loads(result.stdout)
    assert report["schema"] == "leadapron/report/1"
    worst = {finding["severity"] for finding in report["findings"]}
    assert result.returncode == int("critical" in worst)
    assert result.stderr == ""


def test_the_report_says_how_gently_it_asked_and_a_resume_says_how_it_went_on(scope: Path, tmp_path: Path) -> None:
    scope.write_text(scope.read_text() + "[budget]\nassociations = 11\nanswers = 1000\n")
    store = tmp_path / "data" / "leadapron.db"

    first = json.loads(leadapron(tmp_path, "audit", scope, "--json").stdout)["run"]
    page = leadapron(tmp_path, "report").stdout
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE runs SET status = 'stopped', data = json_set(data, '$.status', 'stopped')")
    connection.close()
    key = tmp_path / "data" / "runs" / first["id"] / "key"
    assert not key.exists(), "a run that is complete has no key any more"
    refused = leadapron(tmp_path, "audit", scope, "--resume")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "audit without --resume" in refused.stderr
    key.write_bytes(bytes(32))
    resumed = json.loads(leadapron(tmp_path, "audit", scope, "--json", "--resume", "--full").stdout)["run"]

    expected = {
        "connections_per_second": 5000,
        "per_network": 5000,
        "associations": 11,
        "queries": 40,
        "answers": 1000,
        "seconds": 60,
        "requests": 2000,
        "doors": ["dicom"],
        "packets_per_second": 0,
    }
    assert first["method"] == expected
    assert "At most 1,000 answers read from one service." in page
    assert "At most 5,000 connections a second." in page
    assert resumed["id"] == first["id"]
    assert resumed["method"] == expected | {"answers": 5_000_000, "requests": 5_000_000, "seconds": 3600}


def test_a_reader_that_leaves_does_not_change_the_exit_code(scope: Path, tmp_path: Path) -> None:
    process = start(tmp_path, "audit", scope)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()

    assert process.wait(60) == 1


def test_resume_without_an_unfinished_run_is_a_mistake(scope: Path, tmp_path: Path) -> None:
    assert leadapron(tmp_path, "audit", scope, "--quiet").returncode == 1

    result = leadapron(tmp_path, "audit", scope, "--resume")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "no unfinished run" in result.stderr


def test_a_mistake_beats_what_would_have_been_found(scope: Path, tmp_path: Path) -> None:
    scope.write_text(scope.read_text().replace('basis = "owner"', 'basis = "hope"'))

    result = leadapron(tmp_path, "audit", scope)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("full", [[], ["--full"]])
def test_how_to_go_on_repeats_what_was_asked_for(tmp_path: Path, full: list[str]) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["127.88.77.0/27"], ports=[9])
    scope.write_text(scope.read_text().replace("5000", "2"))
    process = start(tmp_path, "audit", "scope.toml", *full)
    wait_for(lambda: is_under_way(tmp_path), "audit under way")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert err.splitlines()[-1] == " ".join(["  leadapron audit --resume", *full, "scope.toml"])


FAILING = """
import sys
from leadapron.errors import StoreError
from leadapron.store.store import Store
def fail(self, *_, **__):
    raise StoreError("the disk is full")
setattr(Store, sys.argv[1], fail)
sys.argv = ["leadapron", *sys.argv[2:]]
from leadapron.cli.main import run
run()
"""


@pytest.mark.parametrize(
    ("method", "code"), [("create_run", 2), ("record_chunks", 3), ("record_attempt", 3), ("observations", 3)]
)
def test_a_store_that_fails_is_a_mistake_only_before_anything_was_touched(
    scope: Path, tmp_path: Path, method: str, code: int
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FAILING, method, "audit", str(scope), "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
    )

    assert (result.returncode, result.stdout) == (code, "")
    first, *more = result.stderr.splitlines()
    assert first == "the disk is full"
    if code == 2:
        assert more == []
    elif method == "observations":
        assert more == [f"The run is kept: leadapron show {next((tmp_path / 'data' / 'runs').iterdir()).name}"]
    else:
        assert more[-1] == f"  leadapron audit --resume {scope}"


def test_a_result_that_cannot_be_written_does_not_make_a_run_untouched(scope: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(tmp_path, "audit", scope, "--quiet", stdout=full)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert err.startswith("stdout: No space left on device; the result is not whole\nThe run is kept: leadapron show ")


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_an_interrupt_exits_with_3_and_says_how_to_go_on(tmp_path: Path, signals: list[signal.Signals]) -> None:
    scope = write_scope(tmp_path / "my scope.toml", networks=["127.88.77.0/27"], ports=[9])
    scope.write_text(scope.read_text().replace("5000", "2"))
    process = start(tmp_path, "audit", "my scope.toml")
    wait_for(lambda: is_under_way(tmp_path), "audit under way")

    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "  leadapron audit --resume 'my scope.toml'"
    if len(signals) == 1:
        assert f"stopped by {signals[0].name}" in out
