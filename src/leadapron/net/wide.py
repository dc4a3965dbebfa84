"""The engine of the wide stages: many addresses, milliseconds each, one raw `epoll` loop in pure Python.

Two uses. A connect sweep (`hello` None) asks only whether a port is open. A first handshake sends one prebuilt request to
each target, collects the answer until `whole` says that it can be read, says farewell and closes.

What makes it fast, and what makes it right, is in `docs/adr/0002-wide-stage.md`. In short: no object is made for a
connection that is refused (its socket connects anew), one registration with `epoll` per socket, no timer per target. Nothing
is called late for our own slowness: every event that had happened by a deadline is read before the deadline is enforced,
and the clock of deadlines stands still while this process does.
"""

from __future__ import annotations

import enum
import errno
import heapq
import resource
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from leadapron.model import Reason

BURST = 64
"""Connections that are begun between two looks at the events: answers go before new questions."""
READ_SIZE = 4096
TICK = 0.1
"""Seconds; the longest sleep, so that a stop is noticed."""
STALL = 0.1
"""Seconds of our own work between two looks at the events; what goes beyond is not counted against the targets."""
LOOKAHEAD = 512
"""Targets that are taken from the source before their moment of the pace, so that a busy network holds up no other."""
QUEUED = 65_536
"""Targets that wait for another connection to their host (`exclusive`)."""
SPARE_FILES = 64
RETRY_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2, 3.2, 3.2, 3.2)
"""Seconds between attempts when this machine has no local port or file left: about the time that they are held."""
RETRYING = 64

Socket = socket.SocketType
"""The C type under `socket.socket`: the same audit events, a third of the cost."""

_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_TYPE = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_BROKEN = select.EPOLLERR | select.EPOLLHUP
_READABLE = select.EPOLLIN | select.EPOLLRDHUP | _BROKEN
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_STARVED = _NO_FILES | {errno.EADDRNOTAVAIL, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC}
"""This machine is out of something: says nothing about the target."""


class Target(NamedTuple):
    """One (address, port) to visit. `tag` is the caller's own and comes back with the outcome."""

    address: int
    version: int
    """4 or 6"""
    port: int
    tag: Any = None


class Outcome(enum.StrEnum):
    """How the visit to a target ended."""

    CONNECTED = "connected"
    """sweep: the port is open"""
    ANSWERED = "answered"
    """handshake: the answer is whole"""
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    """before we saw it connected"""
    SILENT = "silent"
    """handshake: connected, but no whole answer before the deadline"""
    HUNG_UP = "hung_up"
    """handshake: connected, then RST or FIN before the answer was whole"""
    OVERLONG = "overlong"
    """handshake: `max_answer` bytes, and still not whole"""
    EXHAUSTED = "exhausted"
    """ours: no local port or file to be had, in many attempts"""
    OUT_OF_SCOPE = "out_of_scope"
    STOPPED = "stopped"
    """taken from the source, not finished"""

    @property
    def connected(self) -> bool:
        """Whether the target is known to accept connections."""
        return self in _CONNECTED

    @property
    def reason(self) -> Reason:
        """Why the visit did not complete. KeyError for CONNECTED and ANSWERED: nothing failed."""
        return _REASONS[self]


_CONNECTED = frozenset({Outcome.CONNECTED, Outcome.ANSWERED, Outcome.SILENT, Outcome.HUNG_UP, Outcome.OVERLONG})
_REASONS = {
    Outcome.REFUSED: Reason.REFUSED,
    Outcome.TIMEOUT: Reason.TIMEOUT,
    Outcome.UNREACHABLE: Reason.UNREACHABLE,
    Outcome.RESET: Reason.RESET,
    Outcome.SILENT: Reason.TIMEOUT,
    Outcome.HUNG_UP: Reason.RESET,
    Outcome.OVERLONG: Reason.LIMIT,
    Outcome.EXHAUSTED: Reason.LIMIT,
    Outcome.OUT_OF_SCOPE: Reason.OUT_OF_SCOPE,
    Outcome.STOPPED: Reason.STOPPED,
}
_ERRORS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    errno.ECONNRESET: Outcome.RESET,
    errno.ECONNABORTED: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
}
"""Of connecting; every other error means unreachable."""

Sink = Callable[[Target, Outcome, bytes], object]
"""Told of each target once, with what it had answered."""
ReadyAt = Callable[[int, int], float]
"""(address, version) to the moment from which it may be connected to: `Pace.ready_at`."""


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
    stalled: float
    """seconds in which deadlines stood still, since this process was busy or suspended"""


class WideEngine:
    """Visits targets, at most `concurrency` at once, each for at most `timeout` seconds from its first packet.

    `ready_at` None: no pace but the kernel's. `clock` is the one that `ready_at` speaks of.
    """

    def __init__(
        self,
        *,
        concurrency: int = 4096,
        timeout: float = 3.0,
        ready_at: ReadyAt | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.concurrency, self.timeout, self.ready_at, self.clock = concurrency, timeout, ready_at, clock

    def run(
        self,
        source: Iterable[Target],
        sink: Sink,
        *,
        hello: bytes | None = None,
        whole: Callable[[bytes], int] = bool,
        farewell: bytes = b"",
        max_answer: int = 65_536,
        exclusive: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> WideStats:
        """Visit every target of `source`, which is read as slots become free. Blocks until all have their outcome.

        `whole(answer so far)` is 0 while more bytes are needed. `exclusive`: never two connections to one address at once.
        `should_stop` is asked many times a second. An exception of the source, the sink or `whole` ends the run.
        """
        queue = _Queue(iter(source), self.ready_at, exclusive=exclusive)
        visits = _Visits(self, queue, sink, hello, whole, farewell, max_answer)
        try:
            visits.run(should_stop)
        finally:
            visits.close()
        return visits.stats()


class _Queue:
    """Which target is next: the order of the source, put off by the pace and by `exclusive`."""

    def __init__(self, source: Iterator[Target], ready_at: ReadyAt | None, *, exclusive: bool) -> None:
        self._source, self._ready_at, self._exclusive = source, ready_at, exclusive
        self._waiting: list[tuple[float, int, Target]] = []
        self._serial = 0
        self._hosts: dict[tuple[int, int], deque[Target] | None] = {}
        self._queued = 0
        self._freed: deque[Target] = deque()
        self._is_dry = False

    def next(self, now: float, room: int) -> Target | None:
        """The next target that may be connected to at once. `room`: sockets left, which those that wait need as well."""
        waiting = self._waiting
        if waiting and waiting[0][0] <= now:
            return heapq.heappop(waiting)[-1]
        room = min(room, LOOKAHEAD)
        while len(waiting) < room and (target := self._fresh()) is not None:
            if self._ready_at is None or (ready := self._ready_at(target.address, target.version)) <= now:
                return target
            self._serial += 1
            heapq.heappush(waiting, (ready, self._serial, target))
        return None

    def _fresh(self) -> Target | None:
        """The next target whose host is free. In exclusive mode the host is busy from here to `release`."""
        if self._freed:
            return self._freed.popleft()
        while not self._is_dry and self._queued < QUEUED:
            target = next(self._source, None)
            if target is None:
                self._is_dry = True
            elif not self._exclusive or self._occupy(target):
                return target
        return None

    def _occupy(self, target: Target) -> bool:
        host = target.version, target.address
        if host not in self._hosts:
            self._hosts[host] = None
            return True
        if (behind := self._hosts[host]) is None:
            behind = self._hosts[host] = deque()
        behind.append(target)
        self._queued += 1
        return False

    def release(self, target: Target) -> None:
        """The connection to the host of `target` is closed (`exclusive`)."""
        if not self._exclusive:
            return
        host = target.version, target.address
        if behind := self._hosts[host]:
            self._freed.append(behind.popleft())
            self._queued -= 1
        else:
            del self._hosts[host]

    def next_moment(self) -> float | None:
        """When the first one that waits for the pace may go."""
        return self._waiting[0][0] if self._waiting else None

    def is_empty(self) -> bool:
        return self._is_dry and not (self._waiting or self._freed or self._queued)

    def drain(self) -> Iterator[Target]:
        """Everything that was taken from the source and not yet handed out."""
        yield from (entry[-1] for entry in self._waiting)
        yield from self._freed
        for behind in self._hosts.values():
            yield from behind or ()
        self._waiting, self._hosts, self._queued, self._is_dry = [], {}, 0, True
        self._freed.clear()


class _Stage(enum.IntEnum):
    CONNECTING = 0
    SENDING = 1
    AWAITING = 2
    """hello is sent; an answer is under way"""


_CONNECTING, _SENDING, _AWAITING = _Stage


class _Line:
    """A socket and the target that it serves. Lines and, after a failed connect, their sockets serve many targets."""

    __slots__ = ("answer", "fd", "place", "socket", "stage", "target", "turn", "unsent")

    socket: Socket
    fd: int
    target: Target
    place: tuple[str, int]
    stage: _Stage
    turn: list[_Line] | None
    """the burst that it was begun in; None when it is idle"""
    unsent: bytes
    answer: bytes


class _Visits:
    """One run of the engine."""

    def __init__(
        self,
        engine: WideEngine,
        queue: _Queue,
        sink: Sink,
        hello: bytes | None,
        whole: Callable[[bytes], int],
        farewell: bytes,
        max_answer: int,
    ) -> None:
        self._clock, self._timeout, self._asked = engine.clock, engine.timeout, engine.concurrency
        self._queue, self._sink, self._whole = queue, sink, whole
        self._hello, self._farewell, self._max_answer = hello, farewell, max_answer
        self._concurrency = self._lowest = _permitted(engine.concurrency)
        self._epoll = select.epoll()
        self._live: dict[int, _Line] = {}
        self._idle: dict[int, list[_Line]] = {4: [], 6: []}
        """with a socket that may connect again"""
        self._bare: list[_Line] = []
        self._turns: deque[tuple[float, list[_Line]]] = deque()
        """(deadline, lines) of each burst; all have the same timeout, so they are in order"""
        self._turn: list[_Line] = []
        self._retries: list[tuple[float, int, Target]] = []
        self._attempts: dict[int, int] = {}
        self._stalled = 0.0
        self._targets = self._postponed = 0
