"""`leadapron demo`, beyond what `tests/test_pipeline.py` holds: mistakes, a stop, and an estate that is not as it says."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from command_line import leadapron, start, wait_for

from leadapron.cli import demo as module
from leadapron.scope.audit_log import in_use


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_directory_that_cannot_be_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    result = leadapron(tmp_path, "demo", "--output", name)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "--output" in result.stderr


def test_it_uses_no_store_but_its_own_and_ends_all_that_it_started(tmp_path: Path) -> None:
    result = leadapron(tmp_path, "demo", "--seed", "3")

    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"Report: {tmp_path}/leadapron-demo/report.html\n")
    assert [path.name for path in tmp_path.iterdir()] == ["leadapron-demo"]
    assert estates() == set()


def test_stopped_it_exits_with_3_compares_nothing_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Ctrl-C goes to the whole group of processes, the estate's too."""
    process = start(tmp_path, "demo", start_new_session=True, changes={"TMPDIR": str(tmp_path)})
    wait_for(lambda: any(map(in_use, tmp_path.glob("leadapron-*/runs/*/audit.jsonl"))), "audit under way")

    import os

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert "Traceback" not in err
    assert "truth" not in out
    assert estates() == set()


def test_a_difference_from_the_truth_is_named_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leadapron(tmp_path, "demo").returncode == 0
    directory = tmp_path / "leadapron-demo"
    service = json.loads((directory / "report.json").read_text())["services"][0]
    truth = {
        "address": service["endpoint"]["address"],
        "port": service["endpoint"]["port"],
        "resource": service["resource"],
        "what": "open archive",
        "access": {"list": "refused"},
        "counts": {},
        "unknown": None,
    }

    code = module._compare_and_report(f"sqlite:///{directory / 'demo.db'}", directory, [truth])

    out, err = capsys.readouterr()
    assert code == 3
    assert "(open archive): list is proven, in truth refused" in err
    assert "The audit missed the truth." in out


def estates() -> set[int]:
    """Demo estates whose parent has left them behind."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"leadapron.lab" in status.read_bytes() and _parent(status.parent) == 1:
                found.add(int(status.parent.name))
        except OSError:
            continue
    return found


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_seed_that_makes_no_estate_is_one_line(tmp_path: Path) -> None:
    from leadapron.cli.demo import MAX_SEED
    from leadapron.lab import estate

    assert MAX_SEED == estate.MAX_SEED
    for seed in (-1, MAX_SEED + 1):
        result = leadapron(tmp_path, "demo", "--seed", str(seed))

        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert "--seed" in result.stderr
