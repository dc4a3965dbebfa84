from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import is_under_way, leadapron, start, store_run, wait_for

from leadapron.model import RunStatus
from leadapron.scope.audit_log import AuditLog
from scope_file import write_scope


def slow_scope(folder: Path) -> Path:
    """An audit of some seconds: closed ports of loopback, asked four a second."""
    scope = write_scope(folder / "scope.toml", networks=["127.88.77.0/28"], ports=[9])
    scope.write_text(scope.read_text().replace("5000", "4"))
    return scope


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An audit that is under way."""
    with start(tmp_path, "audit", slow_scope(tmp_path), "--json", "--quiet") as process:
        wait_for(lambda: is_under_way(tmp_path), "audit under way")
        try:
            yield process
        finally:
            process.kill()


def test_it_stops_a_running_audit_which_exits_with_3_and_says_how_to_go_on(
    audit: subprocess.Popen[str], tmp_path: Path
) -> None:
    stopped = leadapron(tmp_path, "stop")

    out, err = audit.communicate(timeout=30)

    (directory,) = tmp_path.glob("data/runs/*")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout.startswith(f"Run {directory.name} stops within seconds.")
    assert audit.returncode == 3
    assert json.loads(out)["run"]["status"] == "stopped"
    assert "\n  leadapron audit --resume " in err

    again = leadapron(tmp_path, "stop")
    assert again.returncode == 2
    assert again.stderr == f"run {directory.name} is stopped; nothing to stop here\n"

    resumed = leadapron(tmp_path, "audit", "scope.toml", "--resume", "--json")
    report = json.loads(resumed.stdout)
    assert resumed.returncode == 0, resumed.stderr
    assert (report["run"]["id"], report["run"]["status"]) == (directory.name, "complete")
    assert report["totals"]["endpoints_tried"] == 16


def test_a_resume_beside_a_run_takes_no_stop_away_that_is_meant_for_it(
    audit: subprocess.Popen[str], tmp_path: Path
) -> None:
    audit.send_signal(signal.SIGKILL)
    audit.wait(30)
    (directory,) = tmp_path.glob("data/runs/*")
    (directory / "stop").touch()
    with AuditLog.open(directory / "audit.jsonl"):
        beside = leadapron(tmp_path, "audit", "scope.toml", "--resume")

    assert beside.returncode == 2
    assert beside.stderr.count("\n") == 1
    assert "in use by another process" in beside.stderr
    assert (directory / "stop").exists()


def test_a_run_that_was_killed_is_not_running(audit: subprocess.Popen[str], tmp_path: Path) -> None:
    audit.send_signal(signal.SIGKILL)
    audit.wait(30)

    result = leadapron(tmp_path, "stop")

    assert result.returncode == 2
    assert "was killed, or runs elsewhere" in result.stderr


@pytest.mark.parametrize("run", ["", "run-1", "run"])
def test_a_run_that_has_ended_is_not_stopped(tmp_path: Path, run: str) -> None:
    store_run(tmp_path, status=RunStatus.COMPLETE)

    result = leadapron(tmp_path, "stop", *run.split())

    assert result.returncode == 2
    assert result.stderr == "run run-1 is complete; nothing to stop here\n"
    assert not (tmp_path / "data" / "runs" / "run-1" / "stop").exists()


def test_without_a_name_it_is_the_latest_run_that_is_running(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        store_run(tmp_path, number, status=RunStatus.RUNNING, days_old=10 - number)
    runs = tmp_path / "data" / "runs"
    with AuditLog.open(runs / "run-1" / "audit.jsonl"), AuditLog.open(runs / "run-2" / "audit.jsonl"):
        told = json.loads(leadapron(tmp_path, "stop", "--json").stdout)
        named = leadapron(tmp_path, "stop", "run-3")

    assert told == {"run": "run-2", "stopping": True}
    assert [path.parent.name for path in runs.glob("*/stop")] == ["run-2"]
    assert named.returncode == 2
