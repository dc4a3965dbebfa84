"""The bookkeeping of the connect sweep: which targets are still to be asked, and what is kept of those that were.

The permutation is cut into chunks of about a second of pace. A chunk is one row: how many of its targets ended in which
way, and a bit for each that is still to be asked. Rows of chunks that changed are written every `WRITE_INTERVAL`
seconds, so that a process that is killed repeats, of the whole sweep:

- connections that were under way: nobody knows how they would have ended;
- connections that ended within the last `WRITE_INTERVAL` seconds.

Less would take a write before each packet, and would leave targets of which nobody knows whether they were asked.
Targets that we did not ask (the gate said no, a stop, no local port left) stay waiting, and are asked on resume.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from leadapron.discover.space import MAX_SIZE, Intervals, TargetSpace
from leadapron.discover.spaces import Spaces
from leadapron.model import Address, Endpoint, RunStatus, Stage, Unknown
from leadapron.net.pace import NETWORK_BITS
from leadapron.net.target import Outcome, Target
from leadapron.pipeline_control import Progress
from leadapron.scope.decision import Denied
from leadapron.scope.gate import REASONS, Gate
from leadapron.scope.grant import Pace
from leadapron.store.chunk import SweepChunk

if TYPE_CHECKING:
    from leadapron.discover.space import Batch

WRITE_INTERVAL = 0.25
"""Seconds between two writes of what came to be known."""
SMALLEST_CHUNK, LARGEST_CHUNK = 64, 4096
"""Targets."""

NOT_ASKED = frozenset({Outcome.OUT_OF_SCOPE, Outcome.EXHAUSTED, Outcome.STOPPED})
"""Outcomes that say nothing about the target: it was not asked, or not to the end."""

_TELL_NOTHING = (Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.RESET)

MOST_IN_PIECE = 1 << 18
"""Targets of a piece that is asked without connections."""

Write = Callable[[Sequence[SweepChunk]], None]
Decided = Callable[[int, int, int, Mapping[Denied, int]], None]
"""Told of each chunk (start, stop) before it is swept: how many of its targets the gate permits, and denies, by reason."""


def chunk_size(pace: Pace, intervals4: Intervals, intervals6: Intervals, most: int = LARGEST_CHUNK) -> int:
    """Targets that the pace lets through in about a second: the rate of all networks together, or the overall one."""
    networks = sum(
        (last >> NETWORK_BITS[version]) - (first >> NETWORK_BITS[version]) + 1
        for version, intervals in ((4, intervals4), (6, intervals6))
        for first, last in intervals
    )
    rate = min(pace.connections_per_second, pace.per_network * networks)
    return int(min(max(rate, SMALLEST_CHUNK), most))


def pieces(
    in_part: Sequence[SweepChunk],
    missing: Sequence[tuple[int, int]],
    size: int,
    ends: Callable[[int], int] = lambda _: MAX_SIZE,
) -> Iterator[SweepChunk]:
    """What is still to be asked: what is done in part, then the rest in chunks of `size`, which do not reach beyond
    `ends(start)`."""
    yield from in_part
    for first, last in missing:
        start = first
        while start < last:
            stop = min(start + size, last, ends(start))
            yield SweepChunk(start=start, stop=stop, outcomes={})
            start = stop


def within(
    part: range, done: list[tuple[int, int]], in_part: Sequence[SweepChunk]
) -> tuple[list[SweepChunk], list[tuple[int, int]]]:
    """What is in part, and what is missing, of a part of the space. A chunk belongs where it starts."""
    here = [chunk for chunk in in_part if part.start <= chunk.start < part.stop]
    known = [*done, *((chunk.start, chunk.stop) for chunk in in_part)]
    cut = [(max(start, part.start), min(stop, part.stop)) for start, stop in missing(known, part.stop)]
    return here, [(start, stop) for start, stop in cut if start < stop]


def left_in(in_part: Sequence[SweepChunk], missing: Sequence[tuple[int, int]]) -> int:
    """Targets that are still to be asked."""
    return sum(stop - start for start, stop in missing) + sum(sum(chunk.waiting) for chunk in in_part)


class _Chunk:
    """A chunk that was begun; its targets carry it."""

    __slots__ = ("hits", "is_changed", "outcomes", "start", "stop", "waiting")

    def __init__(self, known: SweepChunk) -> None:
        self.start, self.stop = known.start, known.stop
        self.outcomes = Counter(known.outcomes)
        self.waiting = bytearray(known.waiting or b"\1" * (known.stop - known.start))
        self.hits: list[Endpoint] = []
        """not written yet"""
        self.is_changed = False

    def stored(self) -> SweepChunk:
        return SweepChunk(
            start=self.start, stop=self.stop, outcomes=dict(self.outcomes), hits=self.hits, waiting=bytes(self.waiting)
        )


class Sweep:
    """One sweep by connections, first or resumed: the source and the sink of the wide engine.

    `in_part` and `missing` are what is still to be asked (see `within`); `names` are those that led to addresses; `told`
    hears of each endpoint that was reached, once it is written.
    """

    def __init__(
        self,
        space: TargetSpace | Spaces,
        gate: Gate,
        *,
        size: int,
        in_part: Sequence[SweepChunk],
        missing: Sequence[tuple[int, int]],
        write: Write,
        decided: Decided,
        progress: Progress,
        names: Mapping[Address, str] | None = None,
        told: Callable[[Endpoint], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._space, self._gate, self._write_chunks = space, gate, write
        self._decided, self._progress, self._clock = decided, progress, clock
        self._names, self._told = names or {}, told
        self._pieces = pieces(in_part, missing, size, lambda start: space.stretch(start)[0])
        self._changed: list[_Chunk] = []
        self._write_at = clock() + WRITE_INTERVAL
        self.left = left_in(in_part, missing)
        """targets that are still to be asked"""
        self.not_asked: Counter[Outcome] = Counter()
        """why targets were left out this time; not those that a stop kept from their turn"""

    def targets(self) -> Iterator[Target]:
        for _, targets in self.chunks():
            yield from targets

    def chunks(self) -> Iterator[tuple[int, list[Target]]]:
        """Each chunk by where it starts, with the targets that may be asked, once it has been `decided`."""
        for piece in self._pieces:
            yield piece.start, self._chunk(_Chunk(piece))

    def _chunk(self, chunk: _Chunk) -> list[Target]:
        targets, denied = self._permitted(chunk, self._space.batch(chunk.start, chunk.stop - chunk.start))
        self._decided(chunk.start, chunk.stop, len(targets), denied)
        if denied:
            self.not_asked[Outcome.OUT_OF_SCOPE] += denied.total()
            self._progress.advance("discover", denied.total())
        return targets

    def _permitted(self, chunk: _Chunk, batch: Batch) -> tuple[list[Target], Counter[Denied]]:
        """The targets of the chunk that wait and may be asked right now, and why others that wait may not be."""
        waiting = chunk.waiting
        numbers = self._gate.denials4(batch.addresses4, batch.ports4).tolist()
        targets = [
            Target(address, 4, port, (chunk, place))
            for place, (address, port, number) in enumerate(
                zip(batch.addresses4.tolist(), batch.ports4.tolist(), numbers, strict=True)
            )
            if not number and waiting[place]
        ]
        denied = Counter(
            reason
            for place, number in enumerate(numbers if any(numbers) else ())
            if (reason := REASONS[number]) is not None and waiting[place]
        )
        for place, (address, port) in enumerate(batch.targets6, len(numbers)):
            if not waiting[place]:
                continue
            if (why := self._gate.denied_at(IPv6Address(address), port)) is None:
                targets.append(Target(address, 6, port, (chunk, place)))
            else:
                denied[why] += 1
        return targets, denied

    def record(self, target: Target, outcome: Outcome, _answer: bytes) -> None:
        """The sink of the engine."""
        chunk, place = target.tag
        if outcome in NOT_ASKED:
            if outcome is not Outcome.STOPPED:
                self.not_asked[outcome] += 1
                self._progress.advance("discover", 1)
            return
        chunk.waiting[place] = 0
        chunk.outcomes[outcome.value] += 1
        self.left -= 1
        if outcome is Outcome.CONNECTED:
            address = IPv4Address(target.address) if target.version == 4 else IPv6Address(target.address)
            chunk.hits.append(Endpoint(address=address, port=target.port, name=self._names.get(address, "")))
        if not chunk.is_changed:
            chunk.is_changed = True
            self._changed.append(chunk)
        self._progress.advance("discover", 1, reached=int(outcome is Outcome.CONNECTED))

    def polled(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """`should_stop` for the engine, which asks it many times a second: what is due is written on the way."""

        def poll() -> bool:
            if (now := self._clock()) >= self._write_at:
                self._write_at = now + WRITE_INTERVAL
                self.write()
            return should_stop()

        return poll

    def write(self) -> None:
        """Write all that is known."""
        if self._changed:
            self._write_chunks([chunk.stored() for chunk in self._changed])
        hits = [hit for chunk in self._changed for hit in chunk.hits]
        for chunk in self._changed:
            chunk.hits, chunk.is_changed = [], False
        self._changed.clear()
        for hit in hits:
            self._told(hit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How far a sweep came, over all its runs. `not_asked` and `left` as in `Sweep`."""

    outcomes: Mapping[Outcome, int]
    not_asked: Mapping[Outcome, int] = field(default_factory=dict)
    left: int = 0

    @property
    def tried(self) -> int:
        return sum(self.outcomes.values())

    def unknowns(self, scope_id: str) -> Iterator[Unknown]:
        """What the sweep could not tell: no answer is not "nothing there", and what was not asked even less."""
        counts = {outcome: self.outcomes.get(outcome, 0) for outcome in _TELL_NOTHING} | dict(self.not_asked)
        counts[Outcome.STOPPED] = max(self.left - sum(self.not_asked.values()), 0)
        for outcome, count in counts.items():
            if count:
                yield Unknown(endpoint=f"scope {scope_id}", stage=Stage.CONNECT, reason=outcome.reason, count=count)

    def status(self, *, stopped: str, is_left_out: bool) -> tuple[RunStatus, str]:
        """The status of the run, and why. `is_left_out`: behind the sweep, something was not asked."""
        if stopped:
            return RunStatus.STOPPED, stopped
        silent = self.outcomes.get(Outcome.TIMEOUT, 0) + self.outcomes.get(Outcome.UNREACHABLE, 0)
        if self.tried and silent == self.tried:
            return RunStatus.BLIND, "not one target answered, not even with a refusal: is our own way out blocked?"
        if self.not_asked.get(Outcome.EXHAUSTED):
            return (
                RunStatus.INCOMPLETE,
                "this machine had no local port or open file left for some targets, or lost answers",
            )
        if not self.tried:
            return RunStatus.INCOMPLETE, "nothing in the scope may be probed right now"
        if self.left or is_left_out:
            return RunStatus.INCOMPLETE, "parts of the scope may not be probed right now (window, or narrowed)"
        return RunStatus.COMPLETE, ""


def missing(done: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    """The intervals of [0, total) that `done` leaves."""
    position = 0
    for start, stop in sorted(done):
        if start > position:
            yield position, start
        position = max(position, stop)
    if position < total:
        yield position, total
