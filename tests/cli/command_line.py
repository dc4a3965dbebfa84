"""The command line as its users start it: a process of its own, with a data directory and an environment of its own."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from leadapron.model import Run, RunStatus, Vantage, VantageKind
from leadapron.scope.audit_log import in_use
from leadapron.store.store import Store

TIMEOUT = 60
FOREIGN = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "LC_ALL", "LEADAPRON_STORE", "LEADAPRON_DATA")


def environment(folder: Path, **changes: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return clean | {"LEADAPRON_DATA": str(folder / "data")} | changes


def start(folder: Path, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """A process; its pipes are the caller's to read. `folder` is also where it works."""
    changes = options.pop("changes", {})
    return subprocess.Popen(
        [sys.executable, "-m", "leadapron", *map(str, arguments)],
        cwd=folder,
        env=environment(folder, **changes),
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options},
    )


def leadapron(folder: Path, *arguments: object, answer: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    """Run to the end. `changes` are those of the environment, `answer` is what stdin holds."""
    return subprocess.run(
        [sys.executable, "-m", "leadapron", *map(str, arguments)],
        check=False,
        cwd=folder,
        env=environment(folder, **changes),
        input=answer,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def store_run(folder: Path, number: int = 1, *, status: RunStatus = RunStatus.COMPLETE, days_old: int = 0) -> Run:
    """Put a run into the default store of `folder`."""
    run = Run(
        id=f"run-{number}",
        kind="audit",
        scope_id="own-estate",
        scope_sha256="0" * 64,
        vantage=Vantage(kind=VantageKind.OFFICE, name="desk"),
        version="0",
        started_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=days_old),
        status=status,
    )
    with Store.open(f"sqlite:///{folder / 'data' / 'leadapron.db'}") as store:
        store.create_run(run, permutation_key="00")
    directory = folder / "data" / "runs" / run.id
    directory.mkdir(parents=True)
    (directory / "audit.jsonl").touch()
    return run


def is_under_way(folder: Path) -> bool:
    """Whether an audit of the data directory of `folder` goes on, and is in its store: its log has a first entry."""
    logs = [path for path in (folder / "data").glob("runs/*/audit.jsonl") if in_use(path)]
    return any(log.stat().st_size for log in logs)


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.05)
