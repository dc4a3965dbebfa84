"""Progress on stderr: a Rich bar on a terminal, plain lines where it is none."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

_TITLES = {
    "discover": "Discover: ask each address and port",
    "identify": "Identify: first handshake",
    "assess": "Assess: what does a stranger get",
}
LINE_INTERVAL = 5.0
"""Seconds between two plain lines of a phase."""
WINDOW, SAMPLE_INTERVAL = 10.0, 0.5
"""Seconds that a rate is taken over, and between two looks at it."""
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(slots=True)
class _Phase:
    """One of those that go on at the same time. `before` was done by an earlier process."""

    name: str
    total: int
    done: int
    before: int
    began: float
    last_line: float
    ended: float | None = None
    bar: TaskID | None = None
    figures: Counter[str] = field(default_factory=Counter)
    samples: deque[tuple[float, int]] = field(default_factory=deque)
    """moments, and how much had been moved by then"""

    @property
    def moved(self) -> int:
        """By this process: what is done, or what was asked, where the answers are waited for together."""
        return max(self.done - self.before, self.figures["asked"])

    def note(self, now: float) -> None:
        """Keep what the rate of the last `WINDOW` seconds is reckoned from."""
        samples = self.samples
        if not samples:
            samples.append((self.began, 0))
        if now - samples[-1][0] >= SAMPLE_INTERVAL:
            samples.append((now, self.moved))
        while len(samples) > 1 and samples[1][0] <= now - WINDOW:
            samples.popleft()

    def per_second(self, now: float) -> float:
        since, moved = self.samples[0] if self.samples else (self.began, 0)
        return (self.moved - moved) / max(now - since, 0.001)

    def average(self, now: float) -> float:
        return self.moved / max(now - self.began, 0.001)

    def counted(self, *names: str) -> list[str]:
        return [f"{self.figures[name]:,} {name}" for name in names if self.figures[name]]

    def left(self, now: float) -> str:
        rate = self.per_second(now)
        if self.done - self.before < self.moved == self.total - self.before:
            return "waiting for the last answers"
        return f"{_span((self.total - self.before - self.moved) / rate)} left" if rate else "time left unknown"


class _Told(ProgressColumn):
    """Beside a bar: reckoned anew each time that it is drawn, also while nothing moves."""

    def __init__(self, told: Callable[[TaskID], str]) -> None:
        super().__init__()
        self._told = told

    def render(self, task: Task) -> Text:
        return Text(self._told(task.id), no_wrap=True, overflow="ellipsis")


class TerminalProgress:
    """`leadapron.pipeline.Progress` for people. Not for several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._phases: dict[str, _Phase] = {}
        self._drawn: dict[TaskID, _Phase] = {}
        self.has_begun = False
        """whether a phase began: from there on something may have been touched"""

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal and not self._console.is_dumb_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}", justify="right"),
                _Told(self._beside),
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
            begun.bar = self._bars.add_task(phase.capitalize(), total=total, completed=done)
            self._drawn[begun.bar] = begun
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
        at.note(now)
        if self._bars is not None and at.bar is not None:
            self._bars.update(at.bar, completed=at.done)
        elif now - at.last_line >= LINE_INTERVAL:
            at.last_line = now
            told = [_rate(at.per_second(now)), *at.counted("asked", "reached", "lost"), *self._left(at, now)]
            self._line(f"{phase}: {at.done:,} of {at.total:,}, {', '.join(told)}")

    def end(self, phase: str) -> None:
        if (at := self._phases.pop(phase, None)) is None:
            return
        at.ended = time.monotonic()
        if self._bars is None:
            told = [_rate(at.average(at.ended)), *at.counted("reached", "lost")]
            self._line(f"{phase}: {at.done:,} of {at.total:,} done ({', '.join(told)})")

    def _beside(self, bar: TaskID) -> str:
        """What matters most first, since a narrow terminal cuts the end."""
        if (at := self._drawn.get(bar)) is None:
            return ""
        if at.ended is not None:
            return ", ".join([_rate(at.average(at.ended)), *at.counted("lost", "reached")])
        now = time.monotonic()
        at.note(now)
        return ", ".join([_rate(at.per_second(now)), *self._left(at, now), *at.counted("lost", "reached", "asked")])

    def _left(self, at: _Phase, now: float) -> Iterator[str]:
        """Of what comes after the sweep nobody knows how much it will be, as long as there is a sweep."""
        if at.name == "discover" or "discover" not in self._phases:
            yield at.left(now)

    def _line(self, text: str) -> None:
        if self._quiet:
            return
        try:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        except OSError:  # who read it is gone, or has no room; the audit is not
            self._quiet = True


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s" if per_second >= 2.95 or not per_second else f"{per_second:.1f}/s"


def _span(seconds: float) -> str:
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"
