"""A scope as sorted, disjoint intervals of addresses with one rule each. Pure and static: the clock comes later.

How overlaps are decided:

1. any exclusion wins, whichever grant it stands in; infrastructure on a port of targets is excluded too;
2. else the longest prefix among the grants; a pinned address of a granted name counts as a /32 or /128;
3. a special-purpose block is reached only by networks that lie wholly inside it;
4. every zone around an address holds: the lowest depth, all windows, the longest gap. A zone never deepens a grant.

A bucket opens a spot: one port of one address. Exclusions and zones hold there as everywhere. Where a grant of the address
opens the port anyway, that grant decides; everywhere else the address stays what it is.

Several grants of one network share its rule: of those in force, the one of the lowest depth decides.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import TypeVar

from leadapron.model import Address, Depth
from leadapron.scope.buckets import Spot, spots
from leadapron.scope.grant import Grant, Network, Scope, Zone, is_literal
from leadapron.scope.special import SPECIAL4, SPECIAL6, embedding, unmapped

Pins = Mapping[str, tuple[Address, ...]]
"""The addresses of each name, resolved once for a run."""

SWEPT6 = 112
"""Shorter IPv6 prefixes are not enumerated: their addresses come from names and lists."""

SIZE = {4: 1 << 32, 6: 1 << 128}

V = TypeVar("V")
W = TypeVar("W")
Span = tuple[int, int]
"""First and last address."""
Place = tuple[int, int, int]
"""IP version, address, port."""


class Standing(enum.Enum):
    OUTSIDE = "outside"
    """in no grant"""
    SPECIAL = "special"
    """in a grant's network, but subtracted with a special-purpose block"""
    EXCLUDED = "excluded"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for an interval."""

    standing: Standing
    grants: tuple[Grant, ...] = ()
    """lowest depth first; of a spot the deepest first: how deep each bucket may be gone into, its own grant says"""
    zones: tuple[Zone, ...] = ()
    """all that hold: the longest gap first, then the lowest depth"""
    swept: bool = False

    def depth(self, grant: Grant) -> Depth:
        return min([grant.depth, *(zone.max_depth for zone in self.zones if zone.max_depth is not None)])

    @property
    def zone(self) -> Zone | None:
        """The one whose gap holds."""
        return self.zones[0] if self.zones else None

    @property
    def gap(self) -> tuple[str, float]:
        """The longest gap in seconds, and the name of its zone; without zones "" and 0.0."""
        return (self.zone.name, self.zone.gap_seconds) if self.zone else ("", 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A partition of one address space: the i-th interval begins at `starts[i]` and has rule number `rules[i]`."""

    starts: Sequence[int]
    rules: Sequence[int]
    size: int

    def at(self, value: int) -> int:
        return self.rules[bisect_right(self.starts, value) - 1]

    def intervals(self) -> Iterator[tuple[int, int, int]]:
        """(first, last, rule number)."""
        for i, start in enumerate(self.starts):
            after = self.starts[i + 1] if i + 1 < len(self.starts) else self.size
            yield start, after - 1, self.rules[i]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`rules[0]` is that of every address outside; `tables` by IP version; `spots` are the rules of the spots of buckets."""

    rules: tuple[Rule, ...]
    tables: Mapping[int, Table]
    spots: Mapping[Place, int] = field(default_factory=dict)

    def rule(self, address: Address) -> Rule:
        """Of the address, whatever the spots on it are."""
        address = unmapped(address)
        return self.rules[self.tables[address.version].at(int(address))]

    def spot(self, address: Address, port: int) -> Rule | None:
        """Of a spot, where there is one."""
        address = unmapped(address)
        number = self.spots.get((address.version, int(address), port))
        return None if number is None else self.rules[number]

    def intervals(self, version: int) -> list[tuple[int, int, Rule]]:
        """(first, last, rule) of all that lies in a grant's network, in order."""
        return [(start, end, self.rules[i]) for start, end, i in self.tables[version].intervals() if i]

    def swept(self, version: int) -> list[Span]:
        """The space to enumerate, in order; touching intervals are one."""
        return merged((start, end) for start, end, rule in self.intervals(version) if rule.swept)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Sorted spans, with those that touch or overlap as one."""
    result: list[Span] = []
    for start, end in spans:
        if result and start <= result[-1][1] + 1:
            start, end = result[-1][0], max(end, result.pop()[1])
        result.append((start, end))
    return result


def span(network: Network) -> Span:
    return int(network.network_address), int(network.broadcast_address)


def compile_policy(scope: Scope, pins: Pins | None = None) -> Policy:
    """The policy of a scope. A name that is not pinned authorises nothing."""
    rules = _Rules(scope)
    claims = _claims(scope, pins or {})
    exclusions = dict.fromkeys(_exclusions(scope, pins or {}), True)
    zones: defaultdict[Network, frozenset[int]] = defaultdict(frozenset)
    for index, zone in enumerate(scope.zones):
        for network in zone.networks:
            zones[network] |= {index}
    tables = {
        version: _table(rules, _blocks(claims, version), _blocks(zones, version), _blocks(exclusions, version), version)
        for version in (4, 6)
    }
    opened = _spots(scope, pins or {}, rules, zones, exclusions)
    return Policy(rules=tuple(rules.known), tables=tables, spots=opened)


def _spots(
    scope: Scope,
    pins: Pins,
    rules: _Rules,
    zones: Mapping[Network, frozenset[int]],
    exclusions: Iterable[Network],
) -> dict[Place, int]:
    """The rule of each spot. Our own endpoints are no spots."""
    claims: defaultdict[Spot, _Claim] = defaultdict(_Claim)
    for index, grant in enumerate(scope.grants):
        for spot in spots(grant.buckets, pins):
            claims[spot._replace(name="")].grants.append(index)
    ours = {(unmapped(each), port) for host, port in scope.infrastructure for each in hosts_of(host, pins)}
    barred = list(exclusions)
    found: dict[Place, int] = {}
    for (address, port, _), claim in claims.items():
        held = frozenset[int]().union(*(held for network, held in zones.items() if address in network))
        is_out = (address, port) in ours or any(address in network for network in barred)
        found[address.version, int(address), port] = rules.number(claim, held, excluded=is_out, deepest_first=True)
    return found


@dataclass(slots=True)
class _Claim:
    """The grants of one network, by their index; none: a special-purpose block inside somebody's network."""

    grants: list[int] = field(default_factory=list)
    swept: bool = False


class _Rules:
    """Numbers the rules, each once."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._numbers: dict[tuple[object, ...], int] = {}
        self.known = [Rule(standing=Standing.OUTSIDE)]

    def number(self, claim: _Claim, zones: frozenset[int], *, excluded: bool, deepest_first: bool = False) -> int:
        if excluded or not claim.grants:
            standing = Standing.EXCLUDED if excluded else Standing.SPECIAL
            return self._numbered((standing,), lambda: Rule(standing=standing))
        key = (*claim.grants, zones, claim.swept, deepest_first)
        return self._numbered(key, lambda: self._granted(claim, zones, deepest_first=deepest_first))

    def _granted(self, claim: _Claim, zones: frozenset[int], *, deepest_first: bool) -> Rule:
        grants = (self._scope.grants[index] for index in dict.fromkeys(claim.grants))
        return Rule(
            standing=Standing.GRANTED,
            grants=tuple(sorted(grants, key=lambda grant: grant.depth, reverse=deepest_first)),
            zones=tuple(sorted((self._scope.zones[index] for index in sorted(zones)), key=_gentleness)),
            swept=claim.swept,
        )

    def _numbered(self, key: tuple[object, ...], make: Callable[[], Rule]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.known)
            self.known.append(make())
        return self._numbers[key]


def _claims(scope: Scope, pins: Pins) -> dict[Network, _Claim]:
    claims: defaultdict[Network, _Claim] = defaultdict(_Claim)
    for index, grant in enumerate(scope.grants):
        for network in grant.networks:
            claims[network].grants.append(index)
            claims[network].swept |= network.version == 4 or network.prefixlen >= SWEPT6
        for name in grant.names:
            for address in pins.get(name, ()):
                claim = claims[single(address)]
                claim.grants.append(index)
                claim.swept = True
    return claims


def _exclusions(scope: Scope, pins: Pins) -> Iterator[Network]:
    """With the IPv6 networks that lead to them, and our own endpoints on ports of targets."""
    for network in scope.excluded:
        yield network
        if isinstance(network, IPv4Network):
            yield from embedding(network)
    ports = set(scope.ports.all)
    for host, port in scope.infrastructure:
        if port in ports:
            yield from map(single, hosts_of(host, pins))


def hosts_of(host: str, pins: Pins) -> tuple[Address, ...]:
    """The addresses of an infrastructure host: itself, or those that its name was pinned to."""
    return (ip_address(host),) if is_literal(host) else pins.get(host, ())


def names_by_address(scope: Scope, pins: Pins) -> dict[Address, str]:
    """The granted name that is pinned to an address; of several the first in sorted order."""
    granted = sorted({name for grant in scope.grants for name in grant.names}, reverse=True)
    return {unmapped(address): name for name in granted for address in pins.get(name, ())}


def nowhere(scope: Scope, pins: Pins) -> tuple[str, ...]:
    """Names of our own endpoints on ports of targets that have no address, so that nobody knows what to leave out."""
    ports = {*scope.ports.all, *(bucket.origin.port for bucket in scope.buckets)}
    ours = dict.fromkeys(host for host, port in scope.infrastructure if port in ports)
    return tuple(host for host in ours if not hosts_of(host, pins))


def shut_out(scope: Scope, pins: Pins, policy: Policy) -> tuple[str, ...]:
    """Names that are granted, for themselves or as the host of a bucket, and lead to nothing but what is excluded."""
    places = [(name, port) for grant in scope.grants for name in grant.names for port in scope.ports.all]
    places += [
        (bucket.origin.host, bucket.origin.port) for bucket in scope.buckets if not is_literal(bucket.origin.host)
    ]
    is_open: dict[str, bool] = {}
    for name, port in places:
        rules = [policy.spot(address, port) or policy.rule(address) for address in pins.get(name, ())]
        if rules:
            is_open[name] = is_open.get(name, False) or any(rule.standing is not Standing.EXCLUDED for rule in rules)
    return tuple(name for name, found in is_open.items() if not found)


def single(address: Address) -> Network:
    """The /32 or /128 of an address."""
    address = unmapped(address)
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _gentleness(zone: Zone) -> tuple[float, int]:
    return -zone.gap_seconds, zone.max_depth or max(Depth)


def _blocks(values: Mapping[Network, V], version: int) -> dict[Span, V]:
    return {span(network): value for network, value in values.items() if network.version == version}


def _table(
    rules: _Rules,
    claims: dict[Span, _Claim],
    zones: dict[Span, frozenset[int]],
    excluded: dict[Span, bool],
    version: int,
) -> Table:
    for special, _ in SPECIAL4 if version == 4 else SPECIAL6:
        block = span(special)
        if block not in claims and any(start <= block[0] and block[1] <= end for start, end in claims):
            claims[block] = _Claim()
    around = _innermost(_with_those_around(zones))
    claimed = [
        (start, end, (claim, held or frozenset())) for start, end, claim, held in _overlay(_innermost(claims), around)
    ]
    starts, numbers = [0], [0]
    for start, end, (claim, held), out in _overlay(claimed, _innermost(excluded)):
        _append(starts, numbers, start, rules.number(claim, held, excluded=bool(out)))
        if end + 1 < SIZE[version]:
            _append(starts, numbers, end + 1, 0)
    return Table(starts=starts, rules=numbers, size=SIZE[version])


def _append(starts: list[int], numbers: list[int], start: int, number: int) -> None:
    """The interval from `start` on; one that was just begun there is replaced."""
    if starts[-1] == start:
        starts.pop()
        numbers.pop()
    if not numbers or numbers[-1] != number:
        starts.append(start)
        numbers.append(number)


def _with_those_around(blocks: Mapping[Span, frozenset[int]]) -> dict[Span, frozenset[int]]:
    """Each block with what it holds and what every block around it holds. Blocks nest or are disjoint."""
    whole: dict[Span, frozenset[int]] = {}
    around: list[Span] = []
    for block in sorted(blocks, key=lambda block: (block[0], -block[1])):
        while around and around[-1][1] < block[0]:
            around.pop()
        whole[block] = blocks[block] | (whole[around[-1]] if around else frozenset())
        around.append(block)
    return whole


def _innermost(blocks: Mapping[Span, V]) -> list[tuple[int, int, V]]:
    """Disjoint pieces in order, each with the value of the smallest block around it. Blocks nest or are disjoint."""
    pieces: list[tuple[int, int, V]] = []
    around: list[tuple[int, V]] = []
    at = 0

    def close(before: int) -> None:
        nonlocal at
        while around and around[-1][0] < before:
            end, value = around.pop()
            if at <= end:
                pieces.append((at, end, value))
                at = end + 1

    for start, end in sorted(blocks, key=lambda block: (block[0], -block[1])):
        close(start)
        if around and at < start:
            pieces.append((at, start - 1, around[-1][1]))
        around.append((end, blocks[start, end]))
        at = start
    close(SIZE[6])
    return pieces


def _overlay(
    pieces: Iterable[tuple[int, int, V]], over: Sequence[tuple[int, int, W]]
) -> Iterator[tuple[int, int, V, W | None]]:
    """`pieces` cut at the borders of `over`, each with the value that lies over it."""
    index = 0
    for start, end, value in pieces:
        at = start
        while at <= end:
            while index < len(over) and over[index][1] < at:
                index += 1
            if index == len(over) or over[index][0] > end:
                yield at, end, value, None
                break
            first, last, upper = over[index]
            if at < first:
                yield at, first - 1, value, None
            yield max(at, first), min(end, last), value, upper
            at = min(end, last) + 1
