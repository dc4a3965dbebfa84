"""`leadapron demo`, beyond what `tests/test_pipeline.py` holds: mistakes, a stop, and an estate that is not as it says."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from command_line import leadapron, start, wait_for

from leadapron.cli import demo as module
from leadapron.lab import estate
from leadapron.scope.audit_log import in_use
from leadapron.settings import sqlite_url


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
        "census": {},
        "elsewhere": None,
        "own": 0,
        "genuineness": "patients",
    }

    url = sqlite_url(directory / "demo.db")
    code = module._compare_and_report(url, directory, [truth], json=False)

    out, err = capsys.readouterr()
    assert code == 3
    assert "(open archive): list is proven, in truth refused" in err
    assert "The audit missed the truth." in out

    assert module._compare_and_report(url, directory, [truth], json=True) == 3

    told = json.loads(capsys.readouterr().out)
    assert not told["found_the_truth"]
    assert "(open archive): list is proven, in truth refused" in told["differences"][0]


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
    assert module.MAX_SEED == estate.MAX_SEED
    for seed in (-1, module.MAX_SEED + 1):
        result = leadapron(tmp_path, "demo", "--seed", str(seed))

        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1
        assert "--seed" in result.stderr


def test_its_files_are_known_by_the_first_line_of_its_scope() -> None:
    assert (
        estate.scope({"dicom": [104], "buckets": [9000]}, "2026-11-01", "2026-11-02").splitlines()[0] == module.OWN_LINE
    )


def test_json_is_all_of_stdout_and_each_demo_begins_anew_in_any_directory(tmp_path: Path) -> None:
    name = "sp ace?x#y%20"
    for _ in range(2):
        result = leadapron(tmp_path, "demo", "--output", name, "--json", "--quiet")

        assert (result.returncode, result.stderr) == (0, "")
        told = json.loads(result.stdout)
        assert (told["found_the_truth"], told["differences"]) == (True, [])
        assert told["directory"] == str(tmp_path / name)
        assert {finding["status"] for finding in told["report"]["findings"]} == {"new"}
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        "scope.toml",
        "demo.db",
        "report.html",
        "report.json",
    }


@pytest.mark.parametrize("name", ["scope.toml", "report.html", "demo.db", "report.json"])
@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_no_demo_wrote_is_left_alone(tmp_path: Path, name: str, kind: str) -> None:
    mine = tmp_path / "here" / name
    mine.parent.mkdir()
    if kind == "folder":
        mine.mkdir()
    elif kind == "link":
        mine.symlink_to(tmp_path / "elsewhere")
    else:
        mine.write_text("version = 1\n")

    result = leadapron(tmp_path, "demo", "--output", "here")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"{mine.parent}: holds a {name} that no demo wrote; name another directory with --output\n"
    assert list(mine.parent.iterdir()) == [mine]
    assert not (tmp_path / "elsewhere").exists()


def test_files_of_an_earlier_demo_are_replaced_private_and_no_link_is_followed(tmp_path: Path) -> None:
    directory = tmp_path / "leadapron-demo"
    directory.mkdir()
    (tmp_path / "elsewhere").write_text("mine")
    (directory / "scope.toml").write_text(f"{module.OWN_LINE}\n")
    (directory / "demo.db").symlink_to(tmp_path / "elsewhere")
    (directory / "report.html").symlink_to(tmp_path / "elsewhere")
    (directory / "report.json").write_text("old")
    for path in directory.iterdir():
        path.chmod(0o644)

    assert leadapron(tmp_path, "demo", "--quiet").returncode == 0

    assert (tmp_path / "elsewhere").read_text() == "mine"
    assert {(path.is_symlink(), path.stat().st_mode & 0o777) for path in directory.iterdir()} == {(False, 0o600)}
