"""How fast we may knock: connections a second overall, and per network.

A reservation is a promise in both schedules at once. Overall, time is a row of slots, 1/rate apart, each given away
once; a connection that has to wait for its network takes a later slot and leaves the earlier ones to others. So neither
rate is ever exceeded, and a slow network does not hold up the rest.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

BURST_SECONDS = 0.02
"""Slots of this last bit of time that were not used may still be: at most `1 + BURST_SECONDS * connections_per_second`
connections at once after a pause. Between two connections to one network there is always the full gap."""

NETWORK_BITS = {4: 32 - 24, 6: 128 - 48}
"""Of an address within its network, by IP version: a network is a /24 of IPv4 or a /48 of IPv6."""
_SPARE = 1024
"""Entries of the past that are kept before they are looked for and dropped."""


class Pace:
    """One pace for all stages of a run. Not for several threads at once.

    In any window of w seconds: at most `rate * (w + BURST_SECONDS) + 1` moments overall, `per_network * w + 1` for one
    network.
    """

    def __init__(
        self,
        connections_per_second: float,
        per_network: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (connections_per_second > 0 and per_network > 0):
            raise ValueError("a rate is greater than 0")
        self._rate, self._gap, self._clock = connections_per_second, 1.0 / per_network, clock
        self._networks: dict[tuple[int, int], float] = {}
        self._slots: dict[int, int] = {}
        self._prune_at = _SPARE

    def ready_at(self, address: int, version: int) -> float:
        """Reserve the next connection to `address`: the moment (of the clock) from which it may be made."""
        now = self._clock()
        network = version, address >> NETWORK_BITS[version]
        earliest = max(self._networks.get(network, now), now)
        burst = BURST_SECONDS if earliest == now else 0.0
        moment = max(self._take_slot(earliest - burst) / self._rate, earliest)
        self._networks[network] = moment + self._gap
        if len(self._networks) + len(self._slots) > self._prune_at:
            self._forget(now)
        return moment

    def _take_slot(self, earliest: float) -> int:
        """The first free slot at or after `earliest`. `_slots` leads from each taken slot towards the next free one."""
        free = wanted = math.ceil(earliest * self._rate)
        while (following := self._slots.get(free)) is not None:
            free = following
        while wanted != free:
            self._slots[wanted], wanted = free + 1, self._slots[wanted]
        self._slots[free] = free + 1
        return free

    def _forget(self, now: float) -> None:
        """Drop networks that are free again, and slots that nobody can ask for any more."""
        self._networks = {network: free for network, free in self._networks.items() if free > now}
        oldest = math.ceil((now - BURST_SECONDS) * self._rate)
        self._slots = {slot: following for slot, following in self._slots.items() if slot >= oldest}
        self._prune_at = 2 * (len(self._networks) + len(self._slots)) + _SPARE
