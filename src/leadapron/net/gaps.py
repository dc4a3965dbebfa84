"""Zones whose hosts are fragile: a gap between two connections to any host of the zone, in every stage of a run."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from leadapron.net.hosts import Hosts
from leadapron.net.target import Target
from leadapron.net.turnstile import ReadyAt, Turnstile

GapAt = Callable[[int, int], tuple[str, float]]
"""(version, address) to the longest gap in seconds around it, and the name of its zone: `Gate.gap_at`."""
LaneOf = Callable[[str], str]
"""Zone to the name that stands for it and all zones that overlap it: `Gate.lane_of`."""


class Gaps:
    """From when on each zone may be connected to again. One for all stages of a run; times of its one clock.

    A zone, or the name of its lane: either means all zones of the lane.
    """

    def __init__(self, gap_at: GapAt, lane_of: LaneOf = str) -> None:
        self._gap_at, self.lane_of = gap_at, lane_of
        self._free_at: dict[str, float] = {}

    def around(self, target: Target) -> tuple[str, float]:
        """Lane and gap."""
        zone, gap = self._gap_at(target.version, target.address)
        return self.lane_of(zone), gap

    def free_at(self, zone: str) -> float:
        return self._free_at.get(self.lane_of(zone), 0.0)

    def take(self, zone: str, moment: float, gap: float) -> None:
        """The zone is connected to at `moment`."""
        self._free_at[self.lane_of(zone)] = max(self.free_at(zone), moment + gap)


class GappedTurnstile(Turnstile):
    """Puts targets of a zone off until its gap is over; they hold up no others, until `QUEUED` of them wait.

    At most one target of a zone is on its way from here to `take`, where the gap begins: the moment of its dial.
    """

    def __init__(
        self,
        source: Iterator[Target],
        ready_at: ReadyAt | None,
        clock: Callable[[], float],
        *,
        exclusive: bool,
        hosts: Hosts | None = None,
        gaps: Gaps,
    ) -> None:
        super().__init__(source, ready_at, clock, exclusive=exclusive, hosts=hosts)
        self._gaps = gaps
        self._lanes: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._on_their_way: dict[str, Target] = {}

    def take(self, now: float, room: int, most: int) -> list[Target]:
        taken: list[Target] = []
        while len(taken) < most and (one := super().take(now, room - len(taken), 1)):
            self._begin_gap(one[0])
            taken += one
        return taken

    def _begin_gap(self, target: Target) -> None:
        zone, gap = self._gaps.around(target)
        if gap:
            self._gaps.take(zone, self._clock(), gap)
        for held in [zone for zone, other in self._on_their_way.items() if other is target]:
            del self._on_their_way[held]

    def _fresh(self, most: int) -> list[Target]:
        fresh: list[Target] = []
        while len(fresh) < most and (target := self._next_fresh()) is not None:
            fresh.append(target)
        return fresh

    def _next_fresh(self) -> Target | None:
        if (due := self._due()) is not None:
            return due
        while not self._is_full() and (fresh := super()._fresh(1)):
            target = fresh[0]
            zone, gap = self._gaps.around(target)
            if not gap:
                return target
            if not self._lanes[zone] and self._is_free(zone):
                self._on_their_way[zone] = target
                return target
            self._lanes[zone].append(target)
            self._queued += 1
        return None

    def _due(self) -> Target | None:
        for zone, lane in self._lanes.items():
            if lane and self._is_free(zone):
                self._queued -= 1
                self._on_their_way[zone] = target = lane.popleft()
                return target
        return None

    def _is_free(self, zone: str) -> bool:
        return zone not in self._on_their_way and self._gaps.free_at(zone) <= self._clock()

    def next_moment(self) -> float | None:
        first = super().next_moment()
        moments = [] if first is None else [first]
        for zone, lane in self._lanes.items():
            if lane and zone not in self._on_their_way:
                moments.append(self._gaps.free_at(zone))
        return min(moments, default=None)

    def drain(self) -> Iterator[Target]:
        lanes = [target for lane in self._lanes.values() for target in lane]
        self._lanes.clear()
        yield from super().drain()
        yield from lanes
