"""`leadapron files`: numbers, exit codes, and no name of a file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import environment, leadapron

from file_trees import CANARY, made_up, on_disk


def test_a_folder_is_counted_and_nothing_of_it_is_shown(tmp_path: Path) -> None:
    root, truth = made_up(1)
    on_disk(root, tmp_path / "share")

    plain = leadapron(tmp_path, "files", "share")
    asked = leadapron(tmp_path, "--debug", "files", "share", "--json", "--full")

    assert (plain.returncode, plain.stderr) == (0, "")
    assert f"images\t{truth.images}\n" in plain.stdout
    document = json.loads(asked.stdout)
    assert document["images"] == {
        "value": truth.images,
        "low": truth.images,
        "high": truth.images,
        "kind": "exact",
        "source": "enumerated",
    }
    assert document["studies"]["value"] == truth.studies
    assert document["census"]["present"]["PatientName"] == document["census"]["sampled"]
    assert document["facts"]["files.ransom_notes"] == 1
    for done in (plain, asked):
        assert CANARY.lower() not in (done.stdout + done.stderr).lower()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("none", "file"):
        done = leadapron(tmp_path, "files", path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{path}: ") and done.stderr.count("\n") == 1


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = leadapron(tmp_path, "files", "empty")
    assert done.returncode == 0
    assert "entries\t0: 0 files, 0 folders" in done.stdout


@pytest.mark.parametrize("names", ["d" * 40, [f"d{number}" for number in range(40)]])
def test_a_folder_that_was_not_seen_whole_is_said_so(names: Sequence[str], tmp_path: Path) -> None:
    deep = tmp_path / "share" / Path(*names)
    deep.mkdir(parents=True)
    done = leadapron(tmp_path, "files", "share")
    assert done.returncode == 3
    assert "not known\tcount: limit" in done.stdout


def test_a_table_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    root, _ = made_up(2)
    on_disk(root, tmp_path / "share")
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "leadapron", "files", "share"],
            cwd=tmp_path,
            env=environment(tmp_path, COLUMNS="80", TERM="xterm", NO_COLOR="1"),
            stdout=theirs,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    plain = "".join(part.split("m", 1)[-1] if number else part for number, part in enumerate(shown.split("\x1b[")))
    assert "images" in plain
    assert max(map(len, plain.splitlines())) <= 80
