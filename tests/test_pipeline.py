"""The audit as a whole, on the demo estate and on hosts of our own: truth, kill and resume, the three laws."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scope_file import write_scope


@pytest.fixture
def estate() -> Iterator[dict[str, Any]]:
    """The demo estate in its own process."""
    command = [sys.executable, "-m", "leadapron.lab", "--seed", "7"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        made = json.loads(process.stdout.readline())
        try:
            yield made
        finally:
            process.stdin.close()
            made["asked"] = json.loads(process.stdout.read())
            process.wait(timeout=20)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "LEADAPRON_DATA": str(folder / "data")}


def command(folder: Path, scope: Path, *options: str) -> list[str]:
    store = f"sqlite:///{folder / 'store.db'}"
    return [sys.executable, "-m", "leadapron", "audit", str(scope), "--store", store, "--json", "--quiet", *options]


def test_the_demo_finds_the_truth_and_leaves_private_files(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "leadapron", "demo", "-o", str(tmp_path / "demo"), "--quiet"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "found exactly what the estate holds" in result.stdout
    for name in ("report.html", "report.json", "demo.db", "scope.toml"):
        assert stat.S_IMODE((tmp_path / "demo" / name).stat().st_mode) == 0o600, name


def test_a_stop_keeps_what_was_measured_and_exits_with_3(estate: dict[str, Any], tmp_path: Path) -> None:
    scope = tmp_path / "scope.toml"
    scope.write_text(estate["scope"])
    process = subprocess.Popen(
        command(tmp_path, scope), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("data/runs/*/audit.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=30)

    assert process.returncode == 3, err.decode()
    assert json.loads(out)["run"]["status"] == "stopped"


def test_a_scope_of_silence_is_blind_and_not_safe(tmp_path: Path) -> None:
    """Nothing but timeouts: the run says that it saw nothing."""
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.9/32"], ports=[9])
    script = (
        "import sys, leadapron.net.wide as wide\n"
        "async def deaf(self, source, sink, **options):\n"
        "    for target in source: sink(target, wide.Outcome.TIMEOUT, b'')\n"
        "    return wide.WideStats(targets=1, asked=1, concurrency=1, postponed=0, cpu=0.0, stalled=0.0)\n"
        "wide.WideEngine.drive = deaf\n"
        "sys.argv = ['leadapron', *sys.argv[1:]]\n"
        "from leadapron.cli.main import run\n"
        "run()\n"
    )
    arguments = command(tmp_path, scope)[3:]
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
    )

    assert result.returncode == 3, result.stderr
    assert json.loads(result.stdout)["run"]["status"] == "blind"


def test_the_audit_log_names_each_grant_and_its_letter(tmp_path: Path) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.9/32"], ports=[9])
    (tmp_path / "letter.txt").write_text("You may.\n")
    scope.write_text(scope.read_text().replace("networks", 'document = "letter.txt"\nnetworks', 1))

    subprocess.run(command(tmp_path, scope), check=False, capture_output=True, env=environment(tmp_path), timeout=60)

    (log,) = tmp_path.glob("data/runs/*/audit.jsonl")
    told = [json.loads(line) for line in log.read_text().splitlines()]
    digest = hashlib.sha256(b"You may.\n").hexdigest()
    assert [line["event"] for line in told[:2]] == ["run", "grant"]
    assert told[1]["facts"] == {"id": "g", "reference": "TEST", "document_sha256": digest}


def test_a_mistake_in_the_scope_is_one_line_and_exit_2(tmp_path: Path) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.1/24"], ports=[104])

    result = subprocess.run(
        command(tmp_path, scope), check=False, capture_output=True, text=True, env=environment(tmp_path), timeout=60
    )

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"{scope}:" in result.stderr
    assert not (tmp_path / "store.db").exists()


def test_help_imports_neither_sqlalchemy_nor_numpy_nor_pydicom() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['leadapron', '--help']\n"
        "from leadapron.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print(sorted({'sqlalchemy', 'numpy', 'pydicom', 'alembic', 'jinja2'} & set(sys.modules)), file=sys.stderr)\n"
    )

    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)

    assert result.stderr.strip() == "[]"


def test_no_core_dump_and_no_readable_file(tmp_path: Path) -> None:
    script = "from leadapron import settings; settings.protect_process(); print(settings.is_dumpable())"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)

    assert result.stdout.strip() == "False"
