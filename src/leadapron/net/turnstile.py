"""Which target of the wide stages is next: the order of the source, put off by the pace and by busy hosts."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from leadapron.net.target import Target

LOOKAHEAD = 512
"""Targets that are taken from the source before their moment of the pace, so that a busy network holds up no other."""
QUEUED = 65_536
"""Targets that wait for another connection to their host (`exclusive`)."""

ReadyAt = Callable[[int, int], float]
"""(address, version) to the moment from which it may be connected to: `Pace.ready_at`."""


class Turnstile:
    """Which target is next: the order of the source, put off by the pace and by `exclusive`."""

    def __init__(
        self,
        source: Iterator[Target],
        ready_at: ReadyAt | None,
        clock: Callable[[], float],
        *,
        exclusive: bool,
    ) -> None:
        self._source, self._ready_at, self._clock, self.is_exclusive = source, ready_at, clock, exclusive
        self._is_plain = ready_at is None and not exclusive
        self._waiting: list[tuple[float, int, Target]] = []
        self._serial = 0
        self._hosts: dict[tuple[int, int], deque[Target] | None] = {}
        self._queued = 0
        self._freed: deque[Target] = deque()
        self._is_dry = False

    def next(self, now: float, room: int) -> Target | None:
        """The next target that may be connected to at once. `room`: sockets left, also for those that wait."""
        if self._is_plain:
            return self._take()
        waiting = self._waiting
        if waiting and waiting[0][0] <= now:
            return heapq.heappop(waiting)[-1]
        room = min(room, LOOKAHEAD)
        while len(waiting) < room and (target := self._fresh()) is not None:
            if self._ready_at is None:
                return target
            ready = self._ready_at(target.address, target.version)
            if ready <= self._clock():
                return target
            self._serial += 1
            heapq.heappush(waiting, (ready, self._serial, target))
        return None

    def _fresh(self) -> Target | None:
        """The next target whose host is free. In exclusive mode the host is busy from here to `release`."""
        if self._freed:
            return self._freed.popleft()
        while self._queued < QUEUED and (target := self._take()) is not None:
            if not self.is_exclusive or self._occupy(target):
                return target
        return None

    def _take(self) -> Target | None:
        target = next(self._source, None)
        self._is_dry = target is None
        return target

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
        host = target.version, target.address
        if behind := self._hosts.get(host):
            self._freed.append(behind.popleft())
            self._queued -= 1
        else:
            self._hosts.pop(host, None)

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
