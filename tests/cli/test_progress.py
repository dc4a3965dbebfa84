from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
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
        "Discover: ask each address and port: 120 to do, 20 done before",
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
        "Discover: ask each address and port: 100 to do",
        "Identify: first handshake",
        "discover: 50 of 100, 10/s, 5 reached, 2 lost, 5 s left",
        "identify: 1 of 5, 0.2/s",
        "discover: 50 of 100 done (10/s, 5 reached, 2 lost)",
        "identify: 1 of 5 done (0.2/s)",
    ]


def test_the_rate_is_that_of_the_last_seconds_and_at_the_end_that_of_all(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with TerminalProgress() as progress:
        progress.begin("discover", 10_000, 0)
        for second in range(60):
            clock[0] += 1
            progress.advance("discover", 10 if second < 30 else 100)
        progress.end("discover")

    lines = capsys.readouterr().err.splitlines()
    assert "discover: 250 of 10,000, 10/s, 16 min left" in lines
    assert "discover: 3,300 of 10,000, 100/s, 67 s left" in lines
    assert lines[-1] == "discover: 3,300 of 10,000 done (55/s)"


def test_targets_that_are_asked_move_it_before_their_answers_are_in(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a sweep by packets, which knows of a silent target only after the cool-down, of many at once."""
    with TerminalProgress() as progress:
        progress.begin("discover", 4000, 0)
        for second in range(1, 11):
            clock[0] += 1
            progress.advance("discover", 0, asked=400, reached=1)
            progress.advance("discover", 2000 if second == 10 else 0)
        progress.end("discover")

    assert capsys.readouterr().err.splitlines()[1:] == [
        "discover: 0 of 4,000, 400/s, 2,000 asked, 5 reached, 5 s left",
        "discover: 0 of 4,000, 400/s, 4,000 asked, 10 reached, waiting for the last answers",
        "discover: 2,000 of 4,000 done (400/s, 10 reached)",
    ]


@pytest.mark.parametrize(
    ("total", "left"),
    [(130, "120 s"), (3010, "50 min"), (86_410, "24 h"), (864_010, "10 d"), (10, "0 s")],
)
def test_the_time_that_is_left_is_told_in_one_unit(
    clock: list[float], capsys: pytest.CaptureFixture[str], total: int, left: str
) -> None:
    with TerminalProgress() as progress:
        progress.begin("discover", total, 0)
        clock[0] += 10
        progress.advance("discover", 10)

    assert capsys.readouterr().err.splitlines()[1].endswith(f", {'2 min' if left == '120 s' else left} left")


def on_terminal(path: Path, width: int, act: Callable[[TerminalProgress], object]) -> list[str]:
    """What the last drawing shows, line by line."""
    with path.open("w+") as screen:
        progress = TerminalProgress()
        progress._console = Console(
            file=screen, force_terminal=True, width=width, no_color=True, _environ={"TERM": "xterm-256color"}
        )
        with progress:
            act(progress)
            assert progress._bars is not None
            progress._bars.refresh()
            screen.seek(0, os.SEEK_END)
            before = screen.tell()
            progress._bars.refresh()
            screen.seek(before)
            drawn = screen.read()
    return [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in drawn.replace("\r", "\n").split("\n") if line
    ]


def all_of_ipv4(clock: list[float], progress: TerminalProgress) -> None:
    progress.begin("discover", 17_179_869_184, 0)
    progress.more("identify", 123_456)
    progress.more("assess", 12_345)
    for _ in range(20):
        clock[0] += 1
        progress.advance("discover", 557_123, reached=6172, lost=17)
        progress.advance("identify", 5000)
        progress.advance("assess", 7)


@pytest.mark.parametrize("width", [80, 120])
def test_a_sweep_of_all_of_ipv4_fits_a_terminal(clock: list[float], tmp_path: Path, width: int) -> None:
    lines = [line for line in on_terminal(tmp_path / "screen", width, lambda it: all_of_ipv4(clock, it)) if line]

    assert [line.split()[0] for line in lines] == ["Discover", "Identify", "Assess"]
    assert all(len(line) <= width for line in lines)
    assert "11,142,460/17,179,869,184 557,123/s, 9 h left" in lines[0]
    assert "100,000/123,456 5,000/s" in lines[1]
    assert "left" not in lines[1]
    if width == 120:
        assert "340 lost, 123,440 reached" in lines[0]


def test_once_the_sweep_is_over_the_others_know_their_end(clock: list[float], tmp_path: Path) -> None:
    def act(progress: TerminalProgress) -> None:
        all_of_ipv4(clock, progress)
        progress.end("discover")
        clock[0] += 5

    lines = on_terminal(tmp_path / "screen", 120, act)
    (identify,) = [line for line in lines if line.startswith("Identify")]
    assert re.search(r"100,000/123,456 [0-9,]+/s, [0-9]+ s left$", identify)
    (discover,) = [line for line in lines if line.startswith("Discover")]
    assert "left" not in discover
