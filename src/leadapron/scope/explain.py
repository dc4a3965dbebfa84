"""What a scope permits, for people and for programs that ask before anything is touched."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from leadapron.model import Address, Depth
from leadapron.scope.buckets import spot_of
from leadapron.scope.decision import Permit
from leadapron.scope.doors import doors, doors_with_ports
from leadapron.scope.gate import Gate, in_force
from leadapron.scope.grant import Grant, Network, Scope, SweepTerms, Zone
from leadapron.scope.policy import SWEPT6, Policy, Rule, Standing, hosts_of, nowhere, shut_out, single, span
from leadapron.scope.special import SPECIAL4, SPECIAL6, behind, unmapped

_NAMED = 10
"""Exclusions without effect, of one grant, that are named; of the others their number is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Addresses of each version."""

    ipv4: int = 0
    ipv6: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLine:
    id: str
    owner: str
    party: str
    basis: str
    reference: str
    valid_from: dt.date
    valid_until: dt.date
    in_force: bool
    depth: str
    addresses: Sum
    """that this grant decides about: no exclusion and no longer prefix of another grant"""
    names: tuple[str, ...]
    taken: tuple[str, ...]
    """countries and autonomous systems whose networks they are"""
    snapshot: str
    """the file that says so"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLine:
    name: str
    max_depth: str
    window: str
    open: bool
    gap_seconds: float
    addresses: Sum


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyLine:
    opt_out: str
    page: str
    """the name of the file of its text"""
    url: str
    exclusions: str
    """the name of their file"""
    excluded: int
    """networks that it holds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What would be touched."""

    scope: str
    sha256: str
    vantage: str
    calling_aet: str
    grants: tuple[GrantLine, ...]
    zones: tuple[ZoneLine, ...]
    ports: tuple[int, ...]
    doors: Mapping[str, tuple[int, ...]]
    """ports by what is looked for there"""
    not_looked_for: tuple[str, ...]
    """doors that are not looked for"""
    granted: Sum
    swept: Sum
    """enumerated: all of IPv4, and IPv6 prefixes of at least /112"""
    permitted_now: Sum
    """of those swept: in force, and in an open window"""
    excluded: Sum
    special: tuple[str, ...]
    """blocks subtracted from the granted networks"""
    connections: int
    """a sweep makes at most"""
    sweep: SweepTerms
    """with the rate that holds"""
    survey: SurveyLine | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Why an address is touched or not."""

    address: str
    port: int
    permitted: bool
    reason: str
    """a `Denied` value; "" when it is permitted"""
    explanation: str
    decided_by: str
    """the network that decided, and where it stands"""
    grant: str = ""
    zone: str = ""
    depth: str = ""
    gap_seconds: float = 0.0
    expires: str = ""


class _Tally:
    """Adds up the addresses of a policy, in one pass."""

    def __init__(self, policy: Policy, now: dt.datetime) -> None:
        self._sums: Counter[tuple[str, str, int]] = Counter()
        shut = {zone.name for rule in policy.rules for zone in rule.zones if not zone.is_open(now)}
        for version in (4, 6):
            for first, last, rule in policy.intervals(version):
                for kind, name in _kinds(rule, now, shut):
                    self._sums[kind, name, version] += last - first + 1

    def sum(self, kind: str, name: str = "") -> Sum:
        return Sum(ipv4=self._sums[kind, name, 4], ipv6=self._sums[kind, name, 6])


def _kinds(rule: Rule, now: dt.datetime, shut: set[str]) -> Iterator[tuple[str, str]]:
    yield rule.standing.value, ""
    if rule.standing is not Standing.GRANTED:
        return
    grant, zones = in_force(rule, now), {zone.name for zone in rule.zones}
    yield "grant", (grant or rule.grants[0]).id
    yield from (("zone", zone) for zone in zones)
    if rule.swept:
        yield "swept", ""
        if grant and not zones & shut:
            yield "now", ""


def overview(gate: Gate, now: dt.datetime) -> Overview:
    """`now` is aware."""
    scope, tally = gate.scope, _Tally(gate.policy, now)
    swept = tally.sum("swept")
    return Overview(
        scope=scope.id,
        sha256=scope.sha256,
        vantage=f"{scope.vantage.name} ({scope.vantage.kind})",
        calling_aet=scope.contact.calling_aet,
        grants=tuple(_grant_line(grant, tally, now) for grant in scope.grants),
        zones=tuple(_zone_line(zone, tally, now) for zone in scope.zones),
        ports=scope.ports.all,
        doors={doors()[name].title: ports for name, ports in scope.ports.by_door.items()},
        not_looked_for=tuple(
            door.title for name, door in doors_with_ports().items() if name not in scope.ports.by_door
        ),
        granted=tally.sum(Standing.GRANTED.value),
        swept=swept,
        permitted_now=tally.sum("now"),
        excluded=tally.sum(Standing.EXCLUDED.value),
        special=tuple(_subtracted(gate.policy)),
        connections=(swept.ipv4 + swept.ipv6) * len(scope.ports.all) + len(gate.policy.spots),
        sweep=replace(scope.sweep, packets_per_second=scope.packets_per_second),
        survey=_survey_line(scope),
        notes=tuple(_notes(gate, tally)),
    )


def _grant_line(grant: Grant, tally: _Tally, now: dt.datetime) -> GrantLine:
    today = now.astimezone(dt.UTC).date()
    return GrantLine(
        id=grant.id,
        owner=grant.owner,
        party=grant.party,
        basis=grant.basis,
        reference=grant.reference,
        valid_from=grant.valid_from,
        valid_until=grant.valid_until,
        in_force=grant.valid_from <= today <= grant.valid_until,
        depth=grant.depth.name.lower(),
        addresses=tally.sum("grant", grant.id),
        names=grant.names,
        taken=grant.taken,
        snapshot=str(grant.snapshot or ""),
    )


def _zone_line(zone: Zone, tally: _Tally, now: dt.datetime) -> ZoneLine:
    return ZoneLine(
        name=zone.name,
        max_depth=zone.max_depth.name.lower() if zone.max_depth else "",
        window=str(zone.window) if zone.window else "",
        open=zone.is_open(now),
        gap_seconds=zone.gap_seconds,
        addresses=tally.sum("zone", zone.name),
    )


def _survey_line(scope: Scope) -> SurveyLine | None:
    if (survey := scope.survey) is None:
        return None
    exclusions = survey.exclusions.name if survey.exclusions else ""
    return SurveyLine(
        opt_out=survey.opt_out,
        page=survey.page.name,
        url=survey.url,
        exclusions=exclusions,
        excluded=len(scope.exclusions),
    )


def _subtracted(policy: Policy) -> Iterator[str]:
    for version, blocks in ((4, SPECIAL4), (6, SPECIAL6)):
        special = [(a, b) for a, b, rule in policy.intervals(version) if rule.standing is Standing.SPECIAL]
        for block, title in blocks:
            first, last = span(block)
            if any(a <= last and first <= b for a, b in special):
                yield f"{block} ({title})"


def _notes_on_names(gate: Gate) -> Iterator[str]:
    scope = gate.scope
    for name in scope.names:
        if name not in gate.pins:
            yield f"{name} is not resolved here; its addresses are pinned when a run starts"
    for name in shut_out(scope, gate.pins, gate.policy):
        yield f"{name} leads to excluded addresses only: nothing of it is asked"
    for name in nowhere(scope, gate.pins):
        yield f"{name} is ours and not a target, but not left out here, since its addresses are not known"


def _notes(gate: Gate, tally: _Tally) -> Iterator[str]:
    scope = gate.scope
    for bucket in scope.buckets:
        spot = spot_of(bucket, gate.pins)
        at = f"{bucket.origin.host} port {bucket.origin.port}"
        yield f"bucket {bucket}: nothing but it is asked at {at}{f', {spot.address}' if spot and spot.name else ''}"
    yield from _notes_on_names(gate)
    for grant in scope.grants:
        yield from _notes_on_exclusions(grant, gate.policy)
        yield from _notes_on_wide6(grant)
    for zone in scope.zones:
        if tally.sum("zone", zone.name) == Sum():
            yield f"zone {zone.name!r} covers nothing that is granted"


def _notes_on_exclusions(grant: Grant, policy: Policy) -> Iterator[str]:
    idle = [network for network in grant.exclude if not _covers_any(network, policy)]
    for network in idle[:_NAMED]:
        yield f"exclusion {network} of grant {grant.id!r} covers nothing that is granted"
    if len(idle) > _NAMED:
        yield f"{len(idle) - _NAMED:,} more exclusions of grant {grant.id!r} cover nothing that is granted"


def _notes_on_wide6(grant: Grant) -> Iterator[str]:
    wide = [network for network in grant.networks if network.version == 6 and network.prefixlen < SWEPT6]
    if grant.snapshot is not None and wide:
        yield (
            f"{len(wide):,} IPv6 networks of grant {grant.id!r} are wider than /{SWEPT6}: not swept, only addresses that "
            "are listed or named are tried"
        )
        return
    for network in wide:
        yield f"{network} is wider than /{SWEPT6}: not swept, only addresses that are listed or named are tried"


def _covers_any(network: Network, policy: Policy) -> bool:
    first, last = span(network)
    table = policy.tables[network.version]
    begin, end = bisect_right(table.starts, first) - 1, bisect_right(table.starts, last)
    return any(table.rules[begin:end])


def account(gate: Gate, address: Address, port: int, depth: Depth = Depth.CONNECT) -> Account:
    """Why the gate decides as it does."""
    decision = gate.decide(address, port, depth)
    by = _decided_by(gate, unmapped(address), port)
    if isinstance(decision, Permit):
        return Account(
            address=str(decision.address),
            port=port,
            permitted=True,
            reason="",
            explanation=f"grant {decision.grant!r} permits {decision.depth.name.lower()}",
            decided_by=by,
            grant=decision.grant,
            zone=decision.zone,
            depth=decision.depth.name.lower(),
            gap_seconds=decision.gap_seconds,
            expires=f"{decision.expires:%Y-%m-%dT%H:%M:%SZ}",
        )
    return Account(
        address=str(address),
        port=port,
        permitted=False,
        reason=decision.reason.value,
        explanation=decision.explanation,
        decided_by=by,
    )


def _decided_by(gate: Gate, address: Address, port: int) -> str:
    """The networks that decided, and where they stand in the scope; "" when none covers the address."""
    rule = gate.policy.rule(address)
    spot = gate.policy.spot(address, port)
    if (
        spot is not None
        and spot.standing is Standing.GRANTED
        and not (rule.standing is Standing.GRANTED and port in gate.scope.ports.all)
    ):
        return " and ".join([*_buckets(spot.grants, gate, address, port), *_zones(spot.zones, address)])
    if rule.standing is Standing.EXCLUDED:
        return " and ".join(_exclusions(gate, address))
    if rule.standing is Standing.SPECIAL:
        own, blocks = span(single(address)), SPECIAL4 if address.version == 4 else SPECIAL6
        return next(
            f"{block} ({title})" for block, title in blocks if span(block)[0] <= own[0] and own[1] <= span(block)[1]
        )
    return " and ".join([*_grants(rule.grants, gate, address), *_zones(rule.zones, address)])


def _grants(grants: Iterable[Grant], gate: Gate, address: Address) -> Iterator[str]:
    own = single(address)
    for grant in grants:
        pinned = [name for name in grant.names if own in map(single, gate.pins.get(name, ()))]
        around = [network for network in grant.networks if address in network]
        if pinned:
            yield f"name {pinned[0]} of grant {grant.id!r}"
        elif around:
            yield f"network {max(around, key=lambda network: network.prefixlen)} of grant {grant.id!r}"


def _buckets(grants: Iterable[Grant], gate: Gate, address: Address, port: int) -> Iterator[str]:
    for grant in grants:
        for bucket in grant.buckets:
            spot = spot_of(bucket, gate.pins)
            if spot is not None and (spot.address, spot.port) == (address, port):
                yield f"bucket {bucket} of grant {grant.id!r}"


def _zones(zones: Iterable[Zone], address: Address) -> Iterator[str]:
    for zone in zones:
        around = [network for network in zone.networks if address in network]
        yield f"network {max(around, key=lambda network: network.prefixlen)} of zone {zone.name!r}"


def _exclusions(gate: Gate, address: Address) -> Iterator[str]:
    meant = (address, *behind(address))
    for grant in gate.scope.grants:
        for network in grant.exclude:
            if any(each in network for each in meant):
                yield f"exclusion {network} of grant {grant.id!r}"
    for exclusion in gate.scope.exclusions:
        if any(each in exclusion.network for each in meant):
            yield f"exclusion {exclusion.network}, asked for on {exclusion.since:%Y-%m-%d}"
    for host, port in gate.scope.infrastructure:
        if single(address) in map(single, hosts_of(host, gate.pins)):
            yield f"infrastructure {host}:{port}"
