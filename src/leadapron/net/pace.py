"""How fast we may connect: overall, and to any one network."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHIFT = {4: 8, 6: 80}
"""An address without its last 8 (IPv4) or 80 (IPv6) bits: the /24 or /48 that it lies in."""
MAX_NETWORKS = 65_536
"""Networks remembered; those whose turn is in the past are forgotten first."""


class Pace:
    """Hands out the earliest moment for each next connection; asking reserves it.

    Connections are spaced evenly: never more than `connections_per_second` in any second overall, nor `per_network` in
    any second to one /24 or /48. Slots are given in order: a saturated network holds up those asked for after it, which
    the permuted order of a sweep makes rare. `clock` is monotonic, in seconds.
    """

    def __init__(
        self, connections_per_second: float, per_network: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gap, self._network_gap = 1.0 / connections_per_second, 1.0 / per_network
        self._clock = clock
        self._free_at = 0.0
        self._network_free_at: dict[tuple[int, int], float] = {}

    def ready_at(self, address: int, version: int) -> float:
        """When the next connection to `address` may begin, on `clock`."""
        now = self._clock()
        network = (version, address >> _SHIFT[version])
        ready = max(now, self._free_at, self._network_free_at.get(network, 0.0))
        self._free_at = ready + self._gap
        self._network_free_at[network] = ready + self._network_gap
        if len(self._network_free_at) > MAX_NETWORKS:
            self._forget(now)
        return ready

    def _forget(self, now: float) -> None:
        self._network_free_at = {network: at for network, at in self._network_free_at.items() if at > now}
