"""The engine of the wide stages: many addresses, milliseconds each, one raw `epoll` loop in pure Python.

Two uses. A connect sweep (`hello` None) asks only whether a port is open. A first handshake sends one prebuilt
request to each target, collects the answer until `whole` says that it can be read, says farewell and closes.

Why it is fast and why it never calls a live host silent is in `docs/adr/0002-wide-stage.md`. In short: the socket of a
refused connection connects anew, a socket is registered once, deadlines are kept per burst, handshakes save two
packets. All that came in time is read before a deadline is enforced, and deadlines stand still while this process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import heapq
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypedDict, Unpack

from leadapron.net.gaps import GappedTurnstile, Gaps
from leadapron.net.hosts import Hosts
from leadapron.net.line import (
    AWAITING,
    CONNECTING,
    SENDING,
    Line,
    address_text,
    has_source,
    open_socket,
    permitted_sockets,
)
from leadapron.net.target import Outcome, Target, of_error
from leadapron.net.turnstile import ReadyAt, Turnstile

__all__ = ["Outcome", "Target", "WideEngine", "WideStats"]

BURST = 64
"""Connections that are begun between two looks at the events: answers go before new questions."""
READ_SIZE = 4096
TICK = 0.1
"""Seconds; the longest sleep, so that a stop is noticed."""
STALL = 0.1
"""Seconds of our own work between two looks at the events; what goes beyond is not counted against the targets."""
RETRY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2, 3.2, 3.2, 3.2)
"""Seconds between attempts when this machine has no local port or file left: about the time that they are held."""
RETRYING = 64

_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_IN_PROGRESS = errno.EINPROGRESS
_TCP, _QUICKACK, _MORE = int(socket.IPPROTO_TCP), socket.TCP_QUICKACK, int(socket.MSG_MORE)
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_READABLE = select.EPOLLIN | select.EPOLLRDHUP | _BROKEN
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_STARVED = _NO_FILES | {errno.EADDRNOTAVAIL, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC}
"""This machine is out of something: says nothing about the target."""

Sink = Callable[[Target, Outcome, bytes], object]
"""Told of each target once, with what it had answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideStats:
    """What a run did, and what this machine let it do."""

    targets: int
    asked: int
    """sockets at once that the caller wanted"""
    concurrency: int
    """that there were files for; less than `asked` is worth telling the user"""
    postponed: int
    """attempts put off for want of a local port or file"""
    cpu: float
    """seconds of processor time, with what the sink did"""
    stalled: float
    """seconds in which deadlines stood still, since this process was busy or suspended"""


class WideEngine:
    """Visits targets, at most `concurrency` at once, each for at most `timeout` seconds from its first packet.

    `ready_at` None: no pace but the kernel's. `clock` is the one that `ready_at` and `gaps` speak of. `gaps` None: no
    zone has any.
    """

    def __init__(
        self,
        *,
        concurrency: int = 4096,
        timeout: float = 3.0,
        ready_at: ReadyAt | None = None,
        gaps: Gaps | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.concurrency, self.timeout, self.ready_at, self.clock = concurrency, timeout, ready_at, clock
        self.gaps = gaps

    def run(
        self,
        source: Iterable[Target],
        sink: Sink,
        *,
        exclusive: bool = False,
        hosts: Hosts | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        **exchange: Unpack[Exchanging],
    ) -> WideStats:
        """Visit every target of `source`, which is read as slots become free. Blocks until all have their outcome.

        `exclusive`: never two connections to one address at once, nor where others that share `hosts` have one.
        `should_stop` is asked many times a second. An exception of the source, the sink, `permits` or `whole` ends the run.
        """
        with contextlib.closing(self._visits(source, sink, _Exchange(**exchange), exclusive, hosts)) as visits:
            visits.run(should_stop)
        return visits.stats()

    async def drive(
        self,
        source: Iterable[Target],
        sink: Sink,
        *,
        exclusive: bool = False,
        hosts: Hosts | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        **exchange: Unpack[Exchanging],
    ) -> WideStats:
        """The same in the running event loop, beside what else goes on there."""
        with contextlib.closing(self._visits(source, sink, _Exchange(**exchange), exclusive, hosts)) as visits:
            await visits.drive(should_stop)
        return visits.stats()

    def _visits(
        self, source: Iterable[Target], sink: Sink, exchange: _Exchange, is_exclusive: bool, hosts: Hosts | None
    ) -> _Visits:
        made = Turnstile if self.gaps is None else partial(GappedTurnstile, gaps=self.gaps)
        queue = made(iter(source), self.ready_at, self.clock, exclusive=is_exclusive, hosts=hosts)
        return _Visits(self, queue, sink, exchange)


class Exchanging(TypedDict, total=False):
    """What is said to each target. Without a `hello`: nothing, only whether it accepts a connection."""

    hello: bytes | None
    whole: Callable[[bytes], int]
    """`whole(answer so far)` is 0 while more bytes are needed"""
    farewell: bytes
    max_answer: int
    permits: Callable[[Target], bool] | None
    """asked right before each dial"""


class _Exchange(NamedTuple):
    hello: bytes | None = None
    whole: Callable[[bytes], int] = bool
    farewell: bytes = b""
    max_answer: int = 65_536
    permits: Callable[[Target], bool] | None = None


class _Visits:
    """One run of the engine."""

    def __init__(self, engine: WideEngine, queue: Turnstile, sink: Sink, exchange: _Exchange) -> None:
        self._clock, self._timeout, self._asked = engine.clock, engine.timeout, engine.concurrency
        self._queue, self._sink, self._exchange = queue, sink, exchange
        self._hello, self._is_exclusive = exchange.hello, queue.is_exclusive
        self._concurrency = self._most = permitted_sockets(engine.concurrency)
        self._epoll = select.epoll()
        self._live: dict[int, Line] = {}
        self._idle: dict[int, list[Line]] = {4: [], 6: []}
        """lines whose socket may connect again, by IP version"""
        self._bare: list[Line] = []
        """lines without a socket"""
        self._turns: deque[tuple[float, list[Line]]] = deque()
        """deadline and lines of each burst; all have the same timeout, so they are in order"""
        self._turn: list[Line] = []
        self._retries: list[tuple[float, int, Target, int]] = []
        self._now = self._clock()
        self._stalled = self._cpu = 0.0
        self._targets = self._postponed = 0

    def run(self, should_stop: Callable[[], bool]) -> None:
        begun = time.thread_time()
        while not should_stop():
            if (patience := self._begin_all()) is None:
                break
            self._look(patience)
        else:
            self._stop()
        self._cpu = time.thread_time() - begun

    async def drive(self, should_stop: Callable[[], bool]) -> None:
        """`run`, asleep in the event loop in place of `epoll`, whose descriptor the loop watches."""
        loop, awake = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._epoll.fileno(), awake.set)
        try:
            while not should_stop():
                begun = time.thread_time()
                patience = self._begin_all()
                self._cpu += time.thread_time() - begun
                if patience is None:
                    return
                timer = loop.call_later(patience, awake.set)
                await awake.wait()
                timer.cancel()
                awake.clear()
                self._now = min(self._clock(), self._now + patience)  # what goes beyond is a stall
                begun = time.thread_time()
                self._look(0.0)
                self._cpu += time.thread_time() - begun
            self._stop()
        finally:
            loop.remove_reader(self._epoll.fileno())

    def _begin_all(self) -> float | None:
        """Begin what may begin. Seconds until there is something to do without an event, or None when all is done."""
        is_more = self._begin()
        if not (self._live or self._retries or is_more) and self._queue.is_empty():
            return None
        return 0.0 if is_more else self._patience(self._tick())

    def _look(self, patience: float) -> None:
        """Wait for events, and handle them."""
        live, polled = self._live, self._tick()
        events = self._epoll.poll(patience, self._most)
        self._now = self._clock()
        for fd, event in events:
            if (line := live.get(fd)) is None:
                continue
            if line.stage != AWAITING:
                self._on_event(line, event)
            elif event & _READABLE:
                self._receive(line)
        self._expire(polled)

    def close(self) -> None:
        for line in (*self._live.values(), *self._idle[4], *self._idle[6]):
            line.socket.close()
        self._epoll.close()

    def stats(self) -> WideStats:
        return WideStats(
            targets=self._targets,
            asked=self._asked,
            concurrency=self._concurrency,
            postponed=self._postponed,
            cpu=self._cpu,
            stalled=self._stalled,
        )

    # -- time ----------------------------------------------------------------------------------------------------------

    def _tick(self) -> float:
        """The time of deadlines: the clock without our stalls."""
        now = self._clock()
        self._stalled += max(0.0, now - self._now - STALL)
        self._now = now
        return now - self._stalled

    def _patience(self, now: float) -> float:
        """Seconds until there is something to do without an event."""
        moments = [self._retries[0][0]] if self._retries else []
        if len(self._live) < self._concurrency and (moment := self._queue.next_moment()) is not None:
            moments.append(moment)
        patience = min([TICK, *(moment - self._now for moment in moments)])
        if self._turns:
            patience = min(patience, self._turns[0][0] - now)
        return max(patience, 0.0)

    def _expire(self, polled: float) -> None:
        """End what was due when the events that are now handled were fetched: all that came in time has been read."""
        turns = self._turns
        while turns and turns[0][0] <= polled:
            _, turn = turns.popleft()
            for line in turn:
                if line.turn is turn:
                    connected = line.stage != CONNECTING
                    self._finish(line, Outcome.SILENT if connected else Outcome.TIMEOUT, line.answer)

    def _stop(self) -> None:
        for line in list(self._live.values()):
            self._finish(line, Outcome.STOPPED, line.answer)
        for target in [*(retry[2] for retry in self._retries), *self._queue.drain()]:
            self._tell(target, Outcome.STOPPED)

    # -- connecting ----------------------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Begin a burst of connections. Returns whether there may be more to begin right now."""
        now, retries, turn = self._clock(), self._retries, self._turn
        room = self._concurrency - len(self._live)
        left = min(BURST, room)
        while retries and left > 0 and retries[0][0] <= now:
            left -= 1
            self._connect(*heapq.heappop(retries)[2:])
        if left > 0 and len(retries) < RETRYING:
            targets = self._queue.take(now, room, left)
            left -= len(targets)
            for target in targets:
                self._connect(target, 0)
        if turn:
            self._turns.append((self._tick() + self._timeout, turn))
            self._turn = []
        return not left and len(self._live) < self._concurrency

    def _connect(self, target: Target, attempts: int) -> None:
        if (permits := self._exchange.permits) is not None and not permits(target):
            self._tell(target, Outcome.OUT_OF_SCOPE)
            return
        address, version, port, _ = target
        place = address_text(address, version), port
        try:
            line = self._line(version)
        except OSError as error:
            self._not_begun(target, place, error.errno or 0, attempts)
            return
        sock = line.socket
        try:
            if self._hello is not None:
                sock.setsockopt(_TCP, _QUICKACK, 0)
            error_number = sock.connect_ex(place)
        except PermissionError:
            self._idle[version].append(line)
            self._tell(target, Outcome.OUT_OF_SCOPE)
            return
        if error_number == _IN_PROGRESS or not error_number:
            line.target, line.place, line.stage, line.turn = target, place, CONNECTING, self._turn
            self._live[line.fd] = line
            self._turn.append(line)
        else:
            self._idle[version].append(line)
            self._not_begun(target, place, error_number, attempts)

    def _line(self, version: int) -> Line:
        """A line with a socket that is watched. Raises OSError."""
        if idle := self._idle[version]:
            return idle.pop()
        if (others := self._idle[10 - version]) and len(self._live) + len(others) >= self._concurrency:
            self._bare.append(others.pop())
            self._bare[-1].socket.close()
        opened = open_socket(version)
        fd = opened.fileno()
        try:
            self._epoll.register(fd, _EVENTS)
        except OSError:
            opened.close()
            raise
        line = self._bare.pop() if self._bare else Line()
        line.socket, line.fd = opened, fd
        return line

    def _not_begun(self, target: Target, place: tuple[str, int], error_number: int, attempts: int) -> None:
        """A connect that failed before its first packet: try again later if it was for want of something of ours."""
        starved = error_number in _STARVED
        if error_number == errno.EADDRNOTAVAIL and not has_source(target.version, place):
            starved = False
        if starved and attempts < len(RETRY_DELAYS):
            if error_number in _NO_FILES:
                self._concurrency = max(1, len(self._live))
            self._postponed += 1
            moment = self._clock() + RETRY_DELAYS[attempts]
            heapq.heappush(self._retries, (moment, self._postponed, target, attempts + 1))
        else:
            self._tell(target, Outcome.EXHAUSTED if starved else of_error(error_number))

    # -- events --------------------------------------------------------------------------------------------------------

    def _on_event(self, line: Line, event: int) -> None:
        """Of a line that is connecting, or has not sent hello whole."""
        if line.stage == CONNECTING:
            if event & _BROKEN:
                self._connect_failed(line)
                return
            if self._hello is None:
                self._finish(line, Outcome.REFUSED if line.is_to_itself() else Outcome.CONNECTED)
                return
            line.stage, line.unsent = SENDING, self._hello
        if self._send(line) and event & _READABLE:
            self._receive(line)

    def _connect_failed(self, line: Line) -> None:
        """Fetch the error by a second connect, which on Linux also makes the socket fit for another target."""
        target = line.target
        try:
            error_number = line.socket.connect_ex(line.place)
        except PermissionError:
            error_number = line.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._finish(line, of_error(error_number))
            return
        del self._live[line.fd]
        line.turn = None
        self._idle[target.version].append(line)
        self._tell(target, of_error(error_number))

    def _send(self, line: Line) -> bool:
        """Send what is left of hello. Returns whether the line is still open."""
        unsent = line.unsent
        try:
            sent = line.socket.send(unsent)
        except BlockingIOError:
            return True
        except OSError:
            self._finish(line, Outcome.HUNG_UP)
            return False
        if sent == len(unsent):
            line.stage = AWAITING
        else:
            line.unsent = unsent[sent:]
        return True

    def _receive(self, line: Line) -> None:
        """Read all there is; `epoll` tells of it only once."""
        exchange, sock = self._exchange, line.socket
        while True:
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                sock.setsockopt(_TCP, _QUICKACK, 1)
                return
            except OSError:
                data = b""
            if not data:
                self._finish(line, Outcome.HUNG_UP, line.answer)
                return
            line.answer = answer = line.answer + data
            if exchange.whole(answer):
                is_self = answer == self._hello and line.is_to_itself()
                self._finish(line, Outcome.REFUSED if is_self else Outcome.ANSWERED, b"" if is_self else answer)
                return
            if len(answer) >= exchange.max_answer:
                self._finish(line, Outcome.OVERLONG, answer[: exchange.max_answer])
                return

    # -- endings -------------------------------------------------------------------------------------------------------

    def _finish(self, line: Line, outcome: Outcome, answer: bytes = b"") -> None:
        """Leave a connection: farewell and FIN in one packet."""
        sock = line.socket
        if line.stage == AWAITING and (farewell := self._exchange.farewell):
            try:
                sock.send(farewell, _MORE)
            except OSError:
                pass
        sock.close()
        del self._live[line.fd]
        line.turn, line.answer = None, b""
        self._bare.append(line)
        self._tell(line.target, outcome, answer)

    def _tell(self, target: Target, outcome: Outcome, answer: bytes = b"") -> None:
        if self._is_exclusive:
            self._queue.release(target)
        self._targets += 1
        self._sink(target, outcome, answer)
