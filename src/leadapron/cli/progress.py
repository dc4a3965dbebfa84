"""Progress on stderr: a Rich bar on a terminal, plain lines where it is none."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_TITLES = {
    "discover": "Discover: connect to each address and port",
    "identify": "Identify: first handshake",
    "assess": "Assess: what does a stranger get",
}
LINE_INTERVAL = 5.0
"""Seconds between two plain lines of a phase."""


@dataclass(slots=True)
class _Phase:
    """One of those that go on at the same time. `before` was done by an earlier process."""

    name: str
    total: int
    done: int
    before: int
    began: float
    last_line: float
    bar: TaskID | None = None
    figures: Counter[str] = field(default_factory=Counter)

    def per_second(self, now: float) -> float:
        return (self.done - self.before) / max(now - self.began, 0.001)

    def rate(self, now: float) -> str:
        told = [f"{self.figures[each]:,} {each}" for each in ("reached", "lost") if self.figures[each]]
        return ", ".join([f"{self.per_second(now):,.0f}/s", *told])

    def left(self, now: float) -> str:
        rate = self.per_second(now)
        return f"{(self.total - self.done) / rate:,.0f} s left" if rate else "time left unknown"


class TerminalProgress:
    """`leadapron.pipeline.Progress` for people. Not for several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._phases: dict[str, _Phase] = {}
        self.has_begun = False
        """whether a phase began: from there on something may have been touched"""

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

    def begin(self, phase: str, total: int, done: int) -> None:
        now = time.monotonic()
        begun = self._phases[phase] = _Phase(phase, total, done, done, now, now)
        self.has_begun = True
        if self._bars is not None:
            begun.bar = self._bars.add_task(phase.capitalize(), total=total, completed=done, rate="")
        else:
            much = f": {total:,} to do" if total else ""
            self._line(f"{_TITLES.get(phase, phase)}{much}" + (f", {done:,} done before" if done else ""))

    def more(self, phase: str, amount: int) -> None:
        if phase not in self._phases:
            self.begin(phase, 0, 0)
        at = self._phases[phase]
        at.total += amount
        if self._bars is not None and at.bar is not None:
            self._bars.update(at.bar, total=at.total)

    def advance(self, phase: str, amount: int, **figures: int) -> None:
        at, now = self._phases[phase], time.monotonic()
        at.done += amount
        at.figures.update(figures)
        if self._bars is not None and at.bar is not None:
            self._bars.update(at.bar, advance=amount, rate=at.rate(now))
        elif now - at.last_line >= LINE_INTERVAL:
            at.last_line = now
            self._line(f"{phase}: {at.done:,} of {at.total:,}, {at.rate(now)}, {at.left(now)}")

    def end(self, phase: str) -> None:
        if (at := self._phases.pop(phase, None)) is None:
            return
        now = time.monotonic()
        if self._bars is not None and at.bar is not None:
            self._bars.update(at.bar, rate=at.rate(now))
        else:
            self._line(f"{phase}: {at.done:,} of {at.total:,} done ({at.rate(now)})")

    def _line(self, text: str) -> None:
        if self._quiet:
            return
        try:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except OSError:  # who read it is gone, or has no room; the audit is not
            self._quiet = True
