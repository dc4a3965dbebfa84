"""Which target of the wide stages is next: the order of the source, put off by the pace and by busy hosts."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

from leadapron.net.feed import Feed
from leadapron.net.hosts import Hosts
from leadapron.net.target import Target

LOOKAHEAD = 512
"""Targets that are taken from the source before their moment of the pace, so that a busy network holds up no other."""
QUEUED = 65_536
"""Targets that wait for another connection to their host (`exclusive`) or for the gap of their zone. No more are taken
from the source until one of them has gone."""

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
        hosts: Hosts | None = None,
    ) -> None:
        """`hosts`: shared with others that connect; None: nobody else does."""
        self._source, self._ready_at, self._clock, self.is_exclusive = source, ready_at, clock, exclusive
        self._waiting: list[tuple[float, int, Target]] = []
        self._serial = 0
        self._hosts = hosts or Hosts()
        self._held: set[tuple[int, int]] = set()
        """hosts that are ours right now"""
        self._behind: dict[int, Target] = {}
        """what waits for its host"""
        self._queued = 0
        self._freed: deque[Target] = deque()
        self._is_dry = False

    def take(self, now: float, room: int, most: int) -> list[Target]:
        """At most `most` targets that may be connected to at once. `room`: sockets left, also for those that wait."""
        if self._ready_at is None:
            return self._fresh(most)
        waiting = self._waiting
        taken: list[Target] = []
        while len(taken) < most:
            if waiting and waiting[0][0] <= now:
                taken.append(heapq.heappop(waiting)[-1])
            elif len(waiting) < min(room - len(taken), LOOKAHEAD) and (fresh := self._fresh(1)):
                ready = self._ready_at(fresh[0].address, fresh[0].version)
                if ready <= self._clock():
                    taken += fresh
                else:
                    self._serial += 1
                    heapq.heappush(waiting, (ready, self._serial, fresh[0]))
            else:
                break
        return taken

    def _fresh(self, most: int) -> list[Target]:
        """The next targets whose host is free. In exclusive mode the host is busy from here to `release`."""
        if not self.is_exclusive:
            taken = list(islice(self._source, most))
            self._is_dry = len(taken) < most and self._is_over()
            return taken
        freed, taken = self._freed, []
        while freed and len(taken) < most:
            taken.append(freed.popleft())
        while len(taken) < most and not self._is_full():
            target = next(self._source, None)
            if target is None:
                self._is_dry = self._is_over()
                break
            address, version, _, _ = target
            if self._hosts.take(address, version):
                self._held.add((address, version))
                taken.append(target)
            else:
                self._enqueue(target)
        return taken

    def _is_over(self) -> bool:
        """Whether a source that gave nothing never will again."""
        return not (isinstance(self._source, Feed) and self._source.is_open)

    def _is_full(self) -> bool:
        return self._queued >= QUEUED

    def _enqueue(self, target: Target) -> None:
        self._queued += 1
        self._serial += 1
        self._behind[self._serial] = target
        self._hosts.wait(target.address, target.version, partial(self._free, self._serial))

    def _free(self, serial: int) -> bool:
        target = self._behind.pop(serial, None)
        if target is None:
            return False
        self._queued -= 1
        self._held.add((target.address, target.version))
        self._freed.append(target)
        return True

    def release(self, target: Target) -> None:
        """The connection to the host of `target` is closed (`exclusive`), or never was opened."""
        host = target.address, target.version
        if host in self._held:
            self._held.remove(host)
            self._hosts.release(*host)

    def next_moment(self) -> float | None:
        """When the first one that waits for the pace may go."""
        return self._waiting[0][0] if self._waiting else None

    def is_empty(self) -> bool:
        return self._is_dry and not (self._waiting or self._freed or self._queued)

    def drain(self) -> Iterator[Target]:
        """Everything that was taken from the source and not yet handed out."""
        yield from (entry[-1] for entry in self._waiting)
        yield from self._freed
        behind = list(self._behind.values())
        self._behind.clear()
        yield from behind
        self._waiting, self._queued, self._is_dry = [], 0, True
        self._freed.clear()
