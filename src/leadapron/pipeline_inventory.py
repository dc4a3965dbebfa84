"""What a run makes of an inventory: titles to call, addresses to look at, and who of those that answer is not in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from leadapron.model import Address, Depth, Endpoint, Expected, Observation, Pin, Reason, Stage, Unknown
from leadapron.scope.decision import Permit
from leadapron.scope.gate import Gate
from leadapron.scope.spans import Span, merged
from leadapron.scope.special import unmapped

Place = tuple[Address, int]

ABOUT_INVENTORIES = "LA-04"
"""The control that only an inventory can judge."""


class Inventory:
    """Of one run. `pins`: what the granted names resolved to; `resolved`: why some did not."""

    def __init__(
        self, expected: Sequence[Expected], pins: Mapping[str, Sequence[Address]], resolved: Sequence[Pin] = ()
    ) -> None:
        self._why_not = {pin.name: pin.reason for pin in resolved if pin.reason is not None}
        self._elsewhere: list[Expected] = []
        """names without an address: no grant names them, or they did not resolve"""
        self._entries: defaultdict[Place, list[Expected]] = defaultdict(list)
        for entry in expected:
            addresses = _addresses(entry, pins)
            if not addresses:
                self._elsewhere.append(entry)
            for address in addresses:
                self._entries[address, entry.port].append(entry)

    def __bool__(self) -> bool:
        return bool(self._entries or self._elsewhere)

    def titles(self, endpoint: Endpoint) -> tuple[str, ...]:
        """The titles that it names there."""
        entries = self._entries.get((unmapped(endpoint.address), endpoint.port), [])
        return tuple(dict.fromkeys(entry.title for entry in entries if entry.title))

    def added_to(self, intervals: Sequence[Span], version: int, gate: Gate) -> list[Span]:
        """The space to sweep, with the granted addresses that it names and that are not in it: in wide IPv6 prefixes."""
        named = {address for address, _ in self._entries if address.version == version}
        granted = [address for address in named if gate.policy.rule(address).grants]
        return merged(sorted([*intervals, *((int(address), int(address)) for address in granted)]))

    def judged(self, observations: Iterable[Observation]) -> list[Observation]:
        """Each with `inventory.known`, and, where the inventory has owners, `inventory.owned`. As it was without one."""
        if not self:
            return list(observations)
        return [replace(seen, facts={**seen.facts, **self._facts(seen)}) for seen in observations]

    def _facts(self, seen: Observation) -> dict[str, bool]:
        endpoint = seen.service.endpoint
        entries = self._entries.get((unmapped(endpoint.address), endpoint.port))
        if not entries:
            return {"inventory.known": False}
        owners = [entry.owner for entry in entries if entry.owner is not None]
        return {"inventory.known": True} | ({"inventory.owned": any(owners)} if owners else {})

    def unseen(
        self,
        hits: Iterable[Endpoint],
        refused: Iterable[Endpoint],
        gate: Gate,
        *,
        is_whole: bool,
        is_asked: Callable[[Endpoint], bool] = lambda _: True,
    ) -> Iterator[Unknown]:
        """What it names and nobody saw, with the reason. `is_whole`: everything in the space was asked; what was, and
        neither accepted nor refused, is told as a timeout. `is_asked`: whether the run is about a place; of others it says
        nothing."""
        reached = {(unmapped(endpoint.address), endpoint.port) for endpoint in hits}
        said_no = {(unmapped(endpoint.address), endpoint.port) for endpoint in refused}
        for address, port in sorted(self._entries, key=lambda place: (place[0].version, int(place[0]), place[1])):
            endpoint = Endpoint(address=address, port=port)
            if (address, port) in reached:
                continue
            if (address, port) in said_no:
                reason = Reason.REFUSED
            elif not isinstance(gate.decide(address, port, Depth.CONNECT), Permit):
                reason = Reason.OUT_OF_SCOPE
            elif not is_asked(endpoint):
                continue
            else:
                reason = Reason.TIMEOUT if is_whole else Reason.STOPPED
            yield Unknown(endpoint=f"inventory {endpoint}", stage=Stage.CONNECT, reason=reason)
        for entry in self._elsewhere:
            place = f"inventory {entry.host}:{entry.port}"
            reason = self._why_not.get(entry.host, Reason.OUT_OF_SCOPE)
            yield Unknown(endpoint=place, stage=Stage.CONNECT, reason=reason)

    def places(self) -> Iterator[Place]:
        """All endpoints that it names."""
        yield from self._entries


def _addresses(entry: Expected, pins: Mapping[str, Sequence[Address]]) -> Sequence[Address]:
    try:
        return (unmapped(ip_address(entry.host)),)
    except ValueError:
        return pins.get(entry.host, ())
