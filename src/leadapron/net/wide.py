"""The wide stages: one raw epoll loop over thousands of sockets, for the connect sweep and for the first handshake.

Pure Python at the kernel's pace: no asyncio (with 15,000 sockets and short timeouts its queues turn live hosts into
timeouts), no object per target beside one list. Deadlines lie in a queue, since every target has the same timeout.
"""

from __future__ import annotations

import enum
import errno
import heapq
import resource
import select
import socket
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from leadapron.errors import OutOfScope
from leadapron.model import Reason

BURST = 64
"""Connections begun between two looks at what has come in."""
RESERVED_FILES = 64
"""Open files left for the store, logs and everything else."""
MAX_WAITING = 8192
"""Targets held back because their network or host is not yet due."""
BACK_OFF = 0.05
"""Seconds without new connections after the kernel ran out of ports or files."""
STOP_INTERVAL = 0.2

_EVENTS = 1024
_READ = 65_536


class Target(NamedTuple):
    """`address` as a number; `tag` comes back with the outcome."""

    address: int
    version: int
    port: int
    tag: Any = None


class Outcome(enum.StrEnum):
    CONNECTED = "connected"
    """sweep: the handshake of TCP was completed"""
    ANSWERED = "answered"
    """hello: an answer, whole or as far as it came before the peer closed"""
    REFUSED = "refused"
    TIMEOUT = "timeout"
    """no connection in time"""
    SILENT = "silent"
    """hello: a connection, but no whole answer in time"""
    UNREACHABLE = "unreachable"
    RESET = "reset"
    """before the connection was complete"""
    CLOSED = "closed"
    """hello: reset, or closed without a byte"""
    FLOODED = "flooded"
    """hello: more bytes than any answer has"""
    OUT_OF_SCOPE = "out_of_scope"
    STOPPED = "stopped"

    @property
    def connected(self) -> bool:
        """Whether there was a connection."""
        return self in (Outcome.CONNECTED, Outcome.ANSWERED, Outcome.SILENT, Outcome.CLOSED, Outcome.FLOODED)

    @property
    def reason(self) -> Reason:
        """The reason of a failed attempt. Not for CONNECTED and ANSWERED."""
        return _REASONS[self]


_REASONS = {
    Outcome.REFUSED: Reason.REFUSED,
    Outcome.TIMEOUT: Reason.TIMEOUT,
    Outcome.SILENT: Reason.TIMEOUT,
    Outcome.UNREACHABLE: Reason.UNREACHABLE,
    Outcome.RESET: Reason.RESET,
    Outcome.CLOSED: Reason.RESET,
    Outcome.FLOODED: Reason.LIMIT,
    Outcome.OUT_OF_SCOPE: Reason.OUT_OF_SCOPE,
    Outcome.STOPPED: Reason.STOPPED,
}

_CONNECT_ERRORS = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.UNREACHABLE,
    errno.EACCES: Outcome.UNREACHABLE,
    errno.EPERM: Outcome.UNREACHABLE,
    errno.ECONNRESET: Outcome.RESET,
}
_EXHAUSTED = (errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)

Sink = Callable[[Target, Outcome, bytes], None]


class _Open(list[Any]):
    """One connection: [socket, target, whether connected, bytes received]. A list: nothing in Python is faster."""

    __slots__ = ()


def file_limit() -> int:
    """Raise the soft limit of open files to the hard one; how many sockets fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, hard - RESERVED_FILES)


class WideEngine:
    """Visits targets. One instance runs one source at a time.

    `concurrency` sockets at most, fewer where the limit of open files says so; `timeout` in seconds from the first
    packet to the end; `ready_at(address, version)` gives the moment (monotonic clock) at which a target may be visited.
    """

    def __init__(
        self, *, concurrency: int, timeout: float, ready_at: Callable[[int, int], float] | None = None
    ) -> None:
        self.concurrency = min(concurrency, file_limit())
        self.timeout, self.ready_at = timeout, ready_at

    def run(
        self,
        source: Iterator[Target],
        sink: Sink,
        *,
        hello: bytes | None = None,
        whole: Callable[[bytes], int] = len,
        farewell: bytes = b"",
        max_answer: int = _READ,
        exclusive: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Visit every target of `source`; each comes back through `sink` exactly once.

        Without `hello` a target is done once it is connected. With it, `hello` is sent, bytes are collected until
        `whole` is true of them, `farewell` is sent. `exclusive`: never two connections to one address at once.
        """
        _Loop(self, source, sink, hello, whole, farewell, max_answer, exclusive, should_stop).run()


class _Loop:
    def __init__(
        self,
        engine: WideEngine,
        source: Iterator[Target],
        sink: Sink,
        hello: bytes | None,
        whole: Callable[[bytes], int],
        farewell: bytes,
        max_answer: int,
        exclusive: bool,
        should_stop: Callable[[], bool],
    ) -> None:
        self.source, self.sink, self.hello, self.whole, self.farewell = source, sink, hello, whole, farewell
        self.max_answer, self.should_stop = max_answer, should_stop
        self.concurrency, self.timeout, self.ready_at = engine.concurrency, engine.timeout, engine.ready_at
        self.epoll = select.epoll()
        self.open: dict[int, _Open] = {}
        self.deadlines: deque[tuple[float, int, _Open]] = deque()
        self.waiting: list[tuple[float, int, Target]] = []
        self.sequence = 0
        self.exhausted = False
        self.paused_until = 0.0
        self.busy: dict[tuple[int, int], deque[Target]] | None = {} if exclusive else None
        self.held = 0

    def run(self) -> None:
        next_look = 0.0
        try:
            while True:
                now = time.monotonic()
                if now >= next_look:
                    next_look = now + STOP_INTERVAL
                    if self.should_stop():
                        self.stop()
                        return
                self.begin(now)
                if not self.open and self.exhausted and not self.waiting and not self.held:
                    return
                self.collect(now)
                self.expire(time.monotonic())
        finally:
            for connection in self.open.values():
                connection[0].close()
            self.epoll.close()

    # -- new connections -----------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        if now < self.paused_until:
            return
        for _ in range(BURST):
            if len(self.open) >= self.concurrency or (target := self.next_target(now)) is None:
                return
            if self.busy is not None:
                host = (target.version, target.address)
                if host in self.busy:
                    self.busy[host].append(target)
                    self.held += 1
                    continue
                self.busy[host] = deque()
            if not self.connect(target, now):
                return

    def next_target(self, now: float) -> Target | None:
        """The next target that is due, or None."""
        while True:
            if self.waiting and self.waiting[0][0] <= now:
                return heapq.heappop(self.waiting)[2]
            if self.exhausted or len(self.waiting) >= MAX_WAITING:
                return None
            target = next(self.source, None)
            if target is None:
                self.exhausted = True
                continue
            if self.ready_at is None or (due := self.ready_at(target.address, target.version)) <= now:
                return target
            self.wait(target, due)

    def wait(self, target: Target, due: float) -> None:
        self.sequence += 1
        heapq.heappush(self.waiting, (due, self.sequence, target))

    def connect(self, target: Target, now: float) -> bool:
        """Begin one connection; False when the kernel has no room for it now."""
        try:
            if target.version == 4:
                connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                host = socket.inet_ntoa(target.address.to_bytes(4, "big"))
            else:
                connection = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                host = socket.inet_ntop(socket.AF_INET6, target.address.to_bytes(16, "big"))
        except OSError:
            return self.back_off(target, now)
        try:
            error = connection.connect_ex((host, target.port))
        except OutOfScope:
            connection.close()
            self.done(target, Outcome.OUT_OF_SCOPE, b"")
            return True
        if error in (0, errno.EINPROGRESS):
            state = _Open((connection, target, False, b""))
            number = connection.fileno()
            self.open[number] = state
            self.deadlines.append((now + self.timeout, number, state))
            self.epoll.register(number, select.EPOLLOUT)
            return True
        connection.close()
        if error in _EXHAUSTED:
            return self.back_off(target, now)
        self.done(target, _CONNECT_ERRORS.get(error, Outcome.UNREACHABLE), b"")
        return True

    def back_off(self, target: Target, now: float) -> bool:
        self.paused_until = now + BACK_OFF
        if self.busy is not None:
            for later in self.busy.pop((target.version, target.address), ()):
                self.held -= 1
                self.wait(later, now)
        self.wait(target, now)
        return False

    # -- what comes in -------------------------------------------------------------------------------------------------

    def collect(self, now: float) -> None:
        patience = 0.05
        if not self.exhausted and len(self.open) < self.concurrency and len(self.waiting) < MAX_WAITING:
            patience = 0.0 if now >= self.paused_until else BACK_OFF
        if self.waiting and patience:
            patience = min(patience, max(0.0, self.waiting[0][0] - now))
        if not self.open:
            time.sleep(patience)
            return
        for number, event in self.epoll.poll(patience, _EVENTS):
            state = self.open[number]
            if state[2]:
                self.receive(number, state)
            else:
                self.connected(number, state, event)

    def connected(self, number: int, state: _Open, event: int) -> None:
        connection: socket.socket = state[0]
        if event & (select.EPOLLERR | select.EPOLLHUP):
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.close(number, state, _CONNECT_ERRORS.get(error, Outcome.UNREACHABLE))
                return
        if self.hello is None:
            self.close(number, state, Outcome.CONNECTED)
            return
        try:
            connection.send(self.hello)  # a fresh socket buffer holds any hello whole
        except OSError:
            self.close(number, state, Outcome.CLOSED)
            return
        state[2] = True
        self.epoll.modify(number, select.EPOLLIN)

    def receive(self, number: int, state: _Open) -> None:
        try:
            data = state[0].recv(_READ)
        except OSError:
            self.close(number, state, Outcome.ANSWERED if state[3] else Outcome.CLOSED)
            return
        answer = state[3] = state[3] + data if state[3] else data
        if not data:
            self.close(number, state, Outcome.ANSWERED if answer else Outcome.CLOSED)
        elif self.whole(answer):
            self.say_farewell(state[0])
            self.close(number, state, Outcome.ANSWERED)
        elif len(answer) > self.max_answer:
            self.close(number, state, Outcome.FLOODED)

    def say_farewell(self, connection: socket.socket) -> None:
        if self.farewell:
            try:
                connection.send(self.farewell)
            except OSError:
                return

    # -- ends ----------------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        deadlines = self.deadlines
        while deadlines:
            due, number, state = deadlines[0]
            if self.open.get(number) is not state:
                deadlines.popleft()
            elif due <= now:
                deadlines.popleft()
                self.close(number, state, Outcome.SILENT if state[2] else Outcome.TIMEOUT)
            else:
                return

    def close(self, number: int, state: _Open, outcome: Outcome) -> None:
        del self.open[number]
        state[0].close()
        self.done(state[1], outcome, state[3] if outcome is Outcome.ANSWERED else b"")

    def done(self, target: Target, outcome: Outcome, answer: bytes) -> None:
        if self.busy is not None:
            queued = self.busy.pop((target.version, target.address))
            if queued:
                self.held -= len(queued)
                now = time.monotonic()
                for later in queued:
                    self.wait(later, now)
        self.sink(target, outcome, answer)

    def stop(self) -> None:
        """Everything taken from the source and not finished comes back as stopped."""
        for number, state in list(self.open.items()):
            del self.open[number]
            state[0].close()
            self.sink(state[1], Outcome.STOPPED, b"")
        held = [target for queue in (self.busy or defaultdict(deque)).values() for target in queue]
        for target in [*held, *(target for _, _, target in self.waiting)]:
            self.sink(target, Outcome.STOPPED, b"")
