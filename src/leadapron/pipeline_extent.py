"""Which part of its scope a run asks: all of it, one endpoint (`verify`), what another scanner found (`--from`), or a share
of the space with the endpoints of findings (`--since`).

It is two spaces, one after the other: what is many (IPv4), of which a range of indices is swept, and what is few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from leadapron.discover.seeds.pairs import Seeds
from leadapron.discover.space import Addresses, Intervals, PortNumbers, TargetSpace
from leadapron.discover.spaces import Spaces
from leadapron.model import Depth, Endpoint, Run
from leadapron.pipeline_inventory import Inventory
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope

Place = tuple[int, int, int]
"""IP version, address, port."""


class Extent:
    """Of one run. `seeds`: those of its files, where it was begun with any."""

    def __init__(
        self,
        *,
        scope: Scope,
        gate: Gate,
        run: Run,
        inventory: Inventory,
        key: bytes,
        only: Endpoint | None = None,
        seeds: Sequence[Seeds] = (),
    ) -> None:
        self._scope, self._gate, self._run, self._inventory = scope, gate, run, inventory
        self.key, self._only, self._seeds = key, only, seeds
        again = run.delta.again if run.delta is not None else ()
        self._asked_again: dict[Place, Depth] = {
            (each.address.version, int(each.address), each.port): each.depth for each in again
        }
        """endpoints of findings, and how deep these need us to look"""

    @property
    def ports(self) -> Sequence[int]:
        return self._scope.ports.all if self._only is None else (self._only.port,)

    @cached_property
    def many(self) -> TargetSpace:
        """IPv4."""
        return TargetSpace(self.intervals(4), [], self.ports, self.key, pairs4=self.pairs4)

    @cached_property
    def few(self) -> TargetSpace:
        """IPv6, what buckets open, and what is asked again."""
        if self._run.seeds:
            spots = [(6, address, port) for seeds in self._seeds for address, port in seeds.targets6]
            return TargetSpace([], [], [], self.key, spots)
        spots = sorted({*self._spots, *(place for place in self._asked_again if not self._is_swept(*place))})
        return TargetSpace([], self.intervals(6), self.ports, self.key, spots)

    @property
    def spaces(self) -> Spaces:
        return Spaces(self.many, self.few)

    @property
    def swept(self) -> range:
        """The indices of `many` that this run asks."""
        if self._run.delta is None:
            return range(len(self.many))
        return self.many.shard(self._run.delta.part, self._run.delta.parts)

    @property
    def targets(self) -> int:
        return len(self.swept) + len(self.few)

    def __contains__(self, endpoint: Endpoint) -> bool:
        """Whether this run asks it: of a run that asks all, whether the scope grants it, is another question."""
        if self._only is not None:
            return (endpoint.address, endpoint.port) == (self._only.address, self._only.port)
        place = endpoint.address.version, int(endpoint.address), endpoint.port
        if self._run.seeds:
            return self._is_swept(*place) or place in self._seeded6
        if self._run.delta is None or endpoint.address.version == 6:
            return True
        return self._is_swept(*place) or place in self._asked_again or place in self._spots

    def depth(self, endpoint: Endpoint) -> Depth | None:
        """How deep its findings need us to look, where it is asked for them alone. None: no such bound."""
        place = endpoint.address.version, int(endpoint.address), endpoint.port
        needed = self._asked_again.get(place)
        return None if needed is None or self._is_swept(*place) else needed

    # -- what there is -------------------------------------------------------------------------------------------------

    def intervals(self, version: int) -> Intervals:
        """Of networks."""
        return self._intervals[version]

    @cached_property
    def _intervals(self) -> Mapping[int, Intervals]:
        return {version: self._intervals_of(version) for version in (4, 6)}

    def _intervals_of(self, version: int) -> Intervals:
        if self._run.seeds:
            return []
        if self._only is None:
            return self._inventory.added_to(self._gate.intervals(version), version, self._gate)
        number = int(self._only.address)
        return [(number, number)] if self._only.address.version == version else []

    @property
    def pairs4(self) -> tuple[Addresses, PortNumbers] | None:
        """What stands in place of the intervals in `many`."""
        if not self._run.seeds:
            return None
        return (
            np.concatenate([np.empty(0, dtype=np.uint32), *(seeds.addresses4 for seeds in self._seeds)]),
            np.concatenate([np.empty(0, dtype=np.uint16), *(seeds.ports4 for seeds in self._seeds)]),
        )

    @cached_property
    def _seeded6(self) -> frozenset[Place]:
        return frozenset((6, address, port) for seeds in self._seeds for address, port in seeds.targets6)

    @cached_property
    def _spots(self) -> frozenset[Place]:
        """What buckets open, and the sweep would not come by."""
        if self._only is not None:
            return frozenset()
        ports, intervals = set(self.ports), (self.intervals(4), self.intervals(6))
        return frozenset(
            (version, value, port)
            for version, value, port in self._gate.policy.spots
            if port not in ports or not any(first <= value <= last for first, last in intervals[version == 6])
        )

    def _is_swept(self, version: int, value: int, port: int) -> bool:
        if version == 6:
            return False
        addresses, ports = np.array([value], dtype=np.uint32), np.array([port], dtype=np.uint16)
        return int(self.many.indices4(addresses, ports)[0]) in self.swept
