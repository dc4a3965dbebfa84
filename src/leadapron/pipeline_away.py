"""The sweep in processes of its own, from the side that gives the orders: by SYN packets in one, or by connections in
several. What they tell is logged, kept and passed on here; see `leadapron.pipeline_sweeper`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from leadapron.child import Child
from leadapron.model import DENIED, Address, Endpoint, SweepFigures
from leadapron.net.target import Outcome
from leadapron.pipeline_control import Control, Progress
from leadapron.pipeline_sweep import Decided, Write, left_in
from leadapron.pipeline_wire import Asked, Done, Ended, Message, Order, Reached, Withheld
from leadapron.pipeline_wire import Decided as DecidedMessage
from leadapron.scope.decision import Denied
from leadapron.store.chunk import SweepChunk

GRACE = 20.0
"""Seconds that a process has to hear the last answers and end, once it is to stop."""

TURN = 0.05
"""Seconds between two looks at what was told, and whether the sweep is held."""

Kept = Callable[[Sequence[Endpoint]], object]
"""Writes what was reached."""


class Books:
    """What the processes of one sweep told, and what is done about it."""

    def __init__(
        self,
        orders: Sequence[Order],
        *,
        write: Write,
        keep: Kept,
        refused: Callable[[Sequence[Endpoint]], object],
        decided: Decided,
        withheld: Callable[[Mapping[Denied, int]], object],
        told: Callable[[Endpoint], object],
        names: Mapping[Address, str],
        progress: Progress,
        known: Container[Endpoint] = (),
    ) -> None:
        """`keep` writes what was reached before `told` hears of it, but not of the `known`, who were reached by an earlier
        process and are asked again. `withheld` logs why what was decided was not asked. `refused` writes who of the wanted
        refused, before the chunk is done that they are in."""
        self._write_chunks, self._keep, self._refused, self._decided, self._told = write, keep, refused, decided, told
        self._withheld = withheld
        self._names, self._progress, self._known = names, progress, known
        self._waiting_before = {chunk.start: sum(chunk.waiting) for order in orders for chunk in order.in_part}
        self.left = sum(left_in(order.in_part, order.missing) for order in orders)
        """targets that are still to be asked"""
        self.not_asked: Counter[Outcome] = Counter()
        self.figures = sum((SweepFigures(method=order.method, untold=1) for order in orders), SweepFigures(method=""))
        self._probes = max((order.syn.probes for order in orders if order.syn is not None), default=1)
        self._packets = self._asked = 0
        """what was sent; targets that this makes, if all are silent"""
        self._chunks: list[SweepChunk] = []
        self._refusals: list[Endpoint] = []
        self._hits: list[Endpoint] = []

    def hear(self, message: Message) -> None:
        match message:
            case DecidedMessage(start, stop, permitted, denied):
                self._decided(start, stop, permitted, denied)
            case Withheld(reasons):
                self._withheld(reasons)
            case Asked(packets):
                self._packets += packets
                asked = self._packets // self._probes
                self._progress.advance("discover", 0, asked=asked - self._asked)
                self._asked = asked
            case Reached(places):
                self._hits += self._endpoints(places)
                self._progress.advance("discover", 0, reached=len(places))
            case Done(chunks, refused, not_asked):
                self._done(chunks)
                self._refusals += self._endpoints(refused)
                self.not_asked.update({Outcome(name): count for name, count in not_asked.items()})
            case Ended(_, figures):
                self.figures += replace(figures, untold=figures.untold - 1)
                self._not_asked_for(figures)

    def _done(self, chunks: Sequence[SweepChunk]) -> None:
        for chunk in chunks:
            before = self._waiting_before.get(chunk.start, chunk.stop - chunk.start)
            if after := sum(chunk.waiting):
                self._waiting_before[chunk.start] = after
            else:
                self._waiting_before.pop(chunk.start, None)
            self.left -= before - after
            self._progress.advance("discover", before - after, reached=len(chunk.hits))
            self._hits += [self._named(hit.address, hit.port) for hit in chunk.hits]
        self._chunks += chunks

    def _not_asked_for(self, figures: SweepFigures) -> None:
        """Of a sweep by packets, which learns of single ones only in sum."""
        self.not_asked[Outcome.EXHAUSTED] += figures.lost
        for name, count in figures.not_sent.items():
            self.not_asked[Outcome.OUT_OF_SCOPE if name == DENIED else Outcome.EXHAUSTED] += count
        self._progress.advance("discover", 0, lost=figures.lost)

    def _endpoints(self, places: Sequence[tuple[int, int]]) -> Iterator[Endpoint]:
        for address, port in places:
            yield self._named(IPv4Address(address), port)

    def _named(self, address: Address, port: int) -> Endpoint:
        return Endpoint(address=address, port=port, name=self._names.get(address, ""))

    def write(self) -> None:
        """What was told since the last time. Hits go before the chunks that they are in are done."""
        if self._hits:
            self._keep(self._hits)
        if self._refusals:
            self._refused(self._refusals)
        if self._chunks:
            self._write_chunks(self._chunks)
        hits, self._hits, self._refusals, self._chunks = self._hits, [], [], []
        for hit in hits:
            if hit not in self._known:
                self._told(hit)


class _Process:
    """One of them."""

    def __init__(self, order: Order, heard: Callable[[Message], object]) -> None:
        self._heard = heard
        self._child = Child("leadapron.cli.sweeper")
        self._pipe = self._child.pipe
        self._decided: list[int] = []
        """pieces that wait for their `go`"""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.why = "a process of the sweep ended before its time: was it killed, or out of memory?"
        self._say(order)
        loop.add_reader(self._pipe.fileno(), self._hear)

    def _hear(self) -> None:
        try:
            while not self.ended.done() and (message := self._next()) is not None:
                self._take(message)
        except Exception as error:  # noqa: BLE001 - a callback of the loop: whoever waits for `ended` raises it
            self._end(error)

    def _next(self) -> Message | None:
        """What lies in the pipe; None: nothing right now, or ever again."""
        try:
            return self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            self._end()
            return None

    def _take(self, message: Message) -> None:
        self._heard(message)
        if isinstance(message, DecidedMessage):
            self._decided.append(message.start)
        elif isinstance(message, Ended):
            self.why = message.why
            self._end()

    def _end(self, error: Exception | None = None) -> None:
        if self.ended.done():
            return
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)

    def go(self) -> None:
        """Whatever it has decided, it may ask."""
        for start in self._decided:
            self._say(start)
        self._decided.clear()

    def stop(self) -> None:
        self._say(None)

    def _say(self, what: Order | int | None) -> None:
        """Where nobody reads any more, what was told before still is to be heard."""
        with contextlib.suppress(OSError):
            self._pipe.send(what)

    def give_up(self) -> None:
        """It was told to stop and does not."""
        self.why = "a process of the sweep did not stop, and was killed"
        self._end()
        self._child.process.kill()

    def close(self) -> None:
        """It ends by itself now that nobody listens."""
        self._end()
        self._child.close(GRACE)


async def sweep_away(
    orders: Sequence[Order], books: Books, *, control: Control, is_held: Callable[[], bool] = lambda: False
) -> None:
    """Carry out the orders, each in a process of its own. While it `is_held`, no further piece is begun.

    A process that does not come to its end asks for a stop, with what it says or that it said nothing.
    """
    processes: list[_Process] = []
    try:
        processes += (_Process(order, books.hear) for order in orders)
        await _carried_out(processes, books, control, is_held)
    finally:
        for process in processes:
            process.close()
        books.write()


async def _carried_out(
    processes: Sequence[_Process], books: Books, control: Control, is_held: Callable[[], bool]
) -> None:
    stop_until = math.inf
    while running := [process for process in processes if not process.ended.done()]:
        now = time.monotonic()
        if stop_until == math.inf and control.should_stop():
            stop_until = now + GRACE
            for process in running:
                process.stop()
        for process in running:
            if now >= stop_until:
                process.give_up()
            elif stop_until == math.inf and not is_held():
                process.go()
        await asyncio.wait([process.ended for process in running], timeout=TURN, return_when=asyncio.FIRST_COMPLETED)
        books.write()
        for process in processes:
            if process.ended.done() and (process.ended.result() or process.why):
                control.request(process.why)
