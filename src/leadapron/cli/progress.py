"""Progress on stderr: a Rich bar on a terminal, plain lines where it is none."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_TITLES = {
    "discover": "Discover: connect to each address and port",
    "identify": "Identify: first handshake",
    "assess": "Assess: what does a stranger get",
}
LINE_INTERVAL = 5.0
"""Seconds between two plain lines."""


class TerminalProgress:
    """`leadapron.pipeline.Progress` for people."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._phase, self._total, self._done = "", 0, 0
        self._began = self._last_line = 0.0
        self._began_at = 0
        self._figures: Counter[str] = Counter()

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal and not self._console.is_dumb_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=16),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    @property
    def has_begun(self) -> bool:
        """Whether a stage began: from there on something may have been touched."""
        return bool(self._phase)

    def begin(self, phase: str, total: int, done: int) -> None:
        self._phase, self._total, self._done = phase, total, done
        self._began = self._last_line = time.monotonic()
        self._began_at = done
        self._figures.clear()
        if self._bars is not None:
            self._task = self._bars.add_task(phase.capitalize(), total=total, completed=done, rate="")
        else:
            self._line(f"{_TITLES.get(phase, phase)}: {total:,} to do" + (f", {done:,} done before" if done else ""))

    def advance(self, amount: int, **figures: int) -> None:
        self._done += amount
        self._figures.update(figures)
        now = time.monotonic()
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, advance=amount, rate=self._rate(now))
        elif now - self._last_line >= LINE_INTERVAL:
            self._last_line = now
            self._line(f"{self._phase}: {self._done:,} of {self._total:,}, {self._rate(now)}, {self._left(now)}")

    def end(self) -> None:
        now = time.monotonic()
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, rate=self._rate(now))
            self._task = None
        else:
            reached = f", {self._figures['reached']:,} reached" if "reached" in self._figures else ""
            self._line(f"{self._phase}: {self._done:,} of {self._total:,} done{reached} ({self._rate(now)})")

    def _per_second(self, now: float) -> float:
        return (self._done - self._began_at) / max(now - self._began, 0.001)

    def _rate(self, now: float) -> str:
        return f"{self._per_second(now):,.0f}/s"

    def _left(self, now: float) -> str:
        rate = self._per_second(now)
        return f"{(self._total - self._done) / rate:,.0f} s left" if rate else "time left unknown"

    def _line(self, text: str) -> None:
        if self._quiet:
            return
        try:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except OSError:  # who read it is gone, or has no room; the audit is not
            self._quiet = True
