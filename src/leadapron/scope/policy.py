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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from itertools import chain, islice
from typing import NamedTuple, TypeVar

from leadapron.model import Address, Depth
from leadapron.scope.buckets import spots
from leadapron.scope.grant import Grant, Network, Scope, Zone, is_literal
from leadapron.scope.pieces import innermost, overlay, value_at, with_those_around
from leadapron.scope.spans import Span, merged
from leadapron.scope.special import EMBEDDINGS, SPECIAL4, SPECIAL6, unmapped

Pins = Mapping[str, tuple[Address, ...]]
"""The addresses of each name, resolved once for a run."""

SWEPT6 = 112
"""Shorter IPv6 prefixes are not enumerated: their addresses come from names and lists."""

SIZE = {4: 1 << 32, 6: 1 << 128}

V = TypeVar("V")
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
        ends = chain((start - 1 for start in islice(self.starts, 1, None)), (self.size - 1,))
        return zip(self.starts, ends, self.rules, strict=True)


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
        is_swept = [rule.swept for rule in self.rules]
        return merged((start, end) for start, end, i in self.tables[version].intervals() if is_swept[i])


def span(network: Network) -> Span:
    first = int(network.network_address)
    return first, first + (1 << network.max_prefixlen - network.prefixlen) - 1


def compile_policy(scope: Scope, pins: Pins | None = None) -> Policy:
    """The policy of a scope. A name that is not pinned authorises nothing."""
    known, rules = pins or {}, _Rules(scope)
    claims, claimed_spots = _claims(scope, known), _claimed_spots(scope, known)
    zones = {version: innermost(with_those_around(_zones(scope, version))) for version in (4, 6)}
    asked6 = [*claims[6], *((value, value) for version, value, _ in claimed_spots if version == 6)]
    excluded = _exclusions(scope, known, asked6)
    tables = {version: _table(rules, claims[version], zones[version], excluded[version], version) for version in (4, 6)}
    ours = {(*_place(each), port) for host, port in scope.infrastructure for each in hosts_of(host, known)}
    opened: dict[Place, int] = {}
    for place, claim in claimed_spots.items():
        version, value, _ = place
        is_out = place in ours or value_at(excluded[version], value) is not None
        held = value_at(zones[version], value) or frozenset()
        opened[place] = rules.number(claim, held, excluded=is_out, deepest_first=True)
    return Policy(rules=tuple(rules.known), tables=tables, spots=opened)


class _Claim(NamedTuple):
    """The grants of one network, by their index; none: a special-purpose block inside somebody's network."""

    grants: tuple[int, ...] = ()
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
            key: tuple[object, ...] = (standing,)
        else:
            standing, key = Standing.GRANTED, (claim, zones, deepest_first)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.known)
            is_granted = standing is Standing.GRANTED
            self.known.append(self._granted(claim, zones, deepest_first) if is_granted else Rule(standing=standing))
        return number

    def _granted(self, claim: _Claim, zones: frozenset[int], deepest_first: bool) -> Rule:
        grants = (self._scope.grants[index] for index in dict.fromkeys(claim.grants))
        return Rule(
            standing=Standing.GRANTED,
            grants=tuple(sorted(grants, key=lambda grant: grant.depth, reverse=deepest_first)),
            zones=tuple(sorted((self._scope.zones[index] for index in sorted(zones)), key=_gentleness)),
            swept=claim.swept,
        )


def _claims(scope: Scope, pins: Pins) -> dict[int, dict[Span, _Claim]]:
    """By IP version."""
    claims: dict[int, dict[Span, _Claim]] = {4: {}, 6: {}}
    for index, grant in enumerate(scope.grants):
        swept, listed = _Claim((index,), swept=True), _Claim((index,))
        for network in grant.networks:
            is_swept = network.version == 4 or network.prefixlen >= SWEPT6
            _add(claims[network.version], span(network), swept if is_swept else listed)
        for name in grant.names:
            for version, value in map(_place, pins.get(name, ())):
                _add(claims[version], (value, value), swept)
    return claims


def _claimed_spots(scope: Scope, pins: Pins) -> dict[Place, _Claim]:
    claims: dict[Place, _Claim] = {}
    for index, grant in enumerate(scope.grants):
        for spot in spots(grant.buckets, pins):
            _add(claims, (*_place(spot.address), spot.port), _Claim((index,)))
    return claims


def _add(claims: dict[V, _Claim], key: V, claim: _Claim) -> None:
    """Equal networks are swept alike."""
    before = claims.get(key)
    claims[key] = claim if before is None else _Claim((*before.grants, *claim.grants), claim.swept)


def _zones(scope: Scope, version: int) -> dict[Span, frozenset[int]]:
    zones: defaultdict[Span, frozenset[int]] = defaultdict(frozenset)
    for index, zone in enumerate(scope.zones):
        for network in zone.networks:
            if network.version == version:
                zones[span(network)] |= {index}
    return zones


def _exclusions(scope: Scope, pins: Pins, asked6: Sequence[Span]) -> dict[int, list[tuple[int, int, bool]]]:
    """By IP version: with our own endpoints on ports of targets, and the IPv6 addresses that lead to an excluded network,
    as far as `asked6` meets any."""
    spans: dict[int, list[Span]] = {4: [], 6: []}
    for network in scope.excluded:
        spans[network.version].append(span(network))
    for leading in EMBEDDINGS:
        first, last = leading.of(0, SIZE[4] - 1)
        if any(start <= last and first <= end for start, end in asked6):
            spans[6] += (leading.of(*each) for each in spans[4])
    ports = set(scope.ports.all)
    for host, port in scope.infrastructure:
        for version, value in map(_place, hosts_of(host, pins) if port in ports else ()):
            spans[version].append((value, value))
    return {version: [(start, end, True) for start, end in merged(sorted(spans[version]))] for version in spans}


def _place(address: Address) -> tuple[int, int]:
    """IP version and number."""
    address = unmapped(address)
    return address.version, int(address)


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


def _table(
    rules: _Rules,
    claims: dict[Span, _Claim],
    zones: Sequence[tuple[int, int, frozenset[int]]],
    excluded: Sequence[tuple[int, int, bool]],
    version: int,
) -> Table:
    for special, _ in SPECIAL4 if version == 4 else SPECIAL6:
        if (block := span(special)) not in claims and any(around in claims for around in _networks_around(special)):
            claims[block] = _Claim()
    claimed = (
        (start, end, (claim, held or frozenset())) for start, end, claim, held in overlay(innermost(claims), zones)
    )
    starts, numbers = [0], [0]
    for start, end, (claim, held), is_out in overlay(claimed, excluded):
        _append(starts, numbers, start, rules.number(claim, held, excluded=bool(is_out)))
        if end + 1 < SIZE[version]:
            _append(starts, numbers, end + 1, 0)
    return Table(starts=starts, rules=numbers, size=SIZE[version])


def _networks_around(network: Network) -> Iterator[Span]:
    """All that hold it and more."""
    first = int(network.network_address)
    for bits in range(network.max_prefixlen - network.prefixlen + 1, network.max_prefixlen + 1):
        start = first >> bits << bits
        yield start, start + (1 << bits) - 1


def _append(starts: list[int], numbers: list[int], start: int, number: int) -> None:
    """The interval from `start` on; one that was just begun there is replaced."""
    if starts[-1] == start:
        starts.pop()
        numbers.pop()
    if not numbers or numbers[-1] != number:
        starts.append(start)
        numbers.append(number)
