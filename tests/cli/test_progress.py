from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from leadapron.cli import progress as module
from leadapron.cli.progress import LINE_INTERVAL, TerminalProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one, for the test to change."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def sweep(progress: TerminalProgress, clock: list[float]) -> None:
    """100 targets at 8 a second, every tenth reached; 20 had been done before."""
    with progress:
        progress.begin("discover", 120, 20)
        for number in range(100):
            clock[0] += 0.125
            progress.advance("discover", 1, reached=int(number % 10 == 0))
        progress.end("discover")


def test_without_a_terminal_it_writes_plain_lines_with_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(TerminalProgress(), clock)

    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Discover: connect to each address and port: 120 to do, 20 done before",
        "discover: 60 of 120, 8/s, 4 reached, 8 s left",
        "discover: 100 of 120, 8/s, 8 reached, 2 s left",
        "discover: 120 of 120 done (8/s, 10 reached)",
    ]


def test_lines_are_seconds_apart_however_fast_it_goes(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        progress.begin("identify", 10_000, 0)
        for _ in range(10_000):
            clock[0] += LINE_INTERVAL / 4_000
            progress.advance("identify", 1)

    assert len(capsys.readouterr().err.splitlines()) == 1 + 2


def test_where_nothing_has_been_done_no_time_left_is_claimed(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalProgress()
    progress.begin("discover", 1_000_000, 0)
    clock[0] += LINE_INTERVAL
    progress.advance("discover", 0)

    assert capsys.readouterr().err.splitlines()[-1] == "discover: 0 of 1,000,000, 0/s, time left unknown"


def test_an_empty_phase_does_not_divide_by_zero(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        progress.begin("assess", 0, 0)
        progress.end("assess")

    assert capsys.readouterr().err.splitlines()[-1] == "assess: 0 of 0 done (0/s)"


def test_quiet_is_quiet(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    sweep(TerminalProgress(quiet=True), clock)

    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_does_not_end_the_audit(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        progress = TerminalProgress()
        with pytest.raises(BrokenPipeError):
            print("x", file=broken, flush=True)
        sweep(progress, clock)
        clock[0] = 0.0
    assert clock == [0.0]


def on_screen(clock: list[float], path: Path, term: str) -> str:
    with path.open("w+") as screen:
        progress = TerminalProgress()
        progress._console = Console(file=screen, force_terminal=True, width=80, no_color=True, _environ={"TERM": term})
        sweep(progress, clock)
        screen.seek(0)
        return screen.read()


def test_a_terminal_shows_a_bar(clock: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = on_screen(clock, tmp_path / "screen", "xterm-256color").replace("\r", "\n").split("\n")

    assert any("Discover" in row and "120/120" in row and "8/s" in row for row in rows)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_that_cannot_move_its_cursor_has_lines(
    clock: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on_screen(clock, tmp_path / "screen", "dumb") == ""
    assert "discover: 60 of 120, 8/s, 4 reached, 8 s left" in capsys.readouterr().err


def test_phases_go_on_at_the_same_time(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        progress.begin("discover", 100, 0)
        progress.more("identify", 3)
        progress.more("identify", 2)
        clock[0] += LINE_INTERVAL
        progress.advance("discover", 50, reached=5, lost=2)
        progress.advance("identify", 1)
        progress.end("discover")
        progress.end("identify")
        progress.end("assess")

    assert capsys.readouterr().err.splitlines() == [
        "Discover: connect to each address and port: 100 to do",
        "Identify: first handshake",
        "discover: 50 of 100, 10/s, 5 reached, 2 lost, 5 s left",
        "identify: 1 of 5, 0/s, 20 s left",
        "discover: 50 of 100 done (10/s, 5 reached, 2 lost)",
        "identify: 1 of 5 done (0/s)",
    ]
