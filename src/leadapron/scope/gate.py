"""The gate: nothing is touched without its permit. It fails closed, and each denial has its reason.

The policy (which rule holds for which address) is compiled once; validity and windows are looked at anew each second.
A scope that is read again while a run goes on adds a layer: an address needs the permit of every layer.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING

from leadapron.model import Address, Depth
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.lanes import lanes
from leadapron.scope.policy import Policy, Rule, Span, Standing, compile_policy, hosts_of
from leadapron.scope.special import unmapped

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Denial", "Denied", "Gate", "Permit"]

Clock = Callable[[], float]
"""The present: POSIX seconds, as `time.time` tells them. A float, since it is read at each connection."""

REASONS: tuple[Denied | None, ...] = (None, *Denied)
"""What the numbers of `Gate.denials4` mean."""

_NUMBERS = {reason: number for number, reason in enumerate(REASONS)}
_MAPPED = 0xFFFF
_STATIC = {
    Standing.OUTSIDE: Denied.NO_GRANT,
    Standing.SPECIAL: Denied.SPECIAL,
    Standing.EXCLUDED: Denied.EXCLUDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What each rule of a policy says within one second, by rule number."""

    depths: list[int]
    """0: denied"""
    reasons: list[Denied | None]
    grants: list[Grant | None]
    """the one that decides"""


class _Layer:
    """One reading of the scope file."""

    def __init__(self, scope: Scope, pins: Mapping[str, tuple[Address, ...]]) -> None:
        self.scope = scope
        self.policy = compile_policy(scope, pins)
        self.ports = frozenset(scope.ports.all)
        self.tables = {version: (table.starts, table.rules) for version, table in self.policy.tables.items()}
        self.packed = [start.to_bytes(4) for start in self.tables[4][0]]
        self.gaps = [rule.gap for rule in self.policy.rules]
        self.spots = self.policy.spots
        self.by_address: dict[tuple[int, int], list[int]] = {}
        """the rules of the spots on an address"""
        for (version, value, _), number in self.spots.items():
            self.by_address.setdefault((version, value), []).append(number)
        self.granted = [rule.standing is Standing.GRANTED for rule in self.policy.rules]
        self.endpoints = frozenset(
            (address.version, int(address), port)
            for host, port in scope.infrastructure
            for address in map(unmapped, hosts_of(host, pins))
        )

    def at(self, version: int, value: int) -> int:
        """The number of the rule for an address."""
        starts, rules = self.tables[version]
        return rules[bisect_right(starts, value) - 1]

    def deciding(self, version: int, value: int, port: int, *, beside: bool = False) -> tuple[int, bool]:
        """The number of the rule for an address and a port, and whether the port is open under it. `beside`: another port is
        wanted beside it, which a spot never opens."""
        number, is_open = self.at(version, value), port in self.ports
        if self.spots and not beside and not (is_open and self.granted[number]):
            spot = self.spots.get((version, value, port))
            return (number, is_open) if spot is None else (spot, True)
        return number, is_open

    def around(self, version: int, value: int) -> list[int]:
        """The numbers of all rules on an address."""
        return [self.at(version, value), *self.by_address.get((version, value), ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What holds within one second, of these layers."""

    since: int
    until: int
    layers: tuple[_Layer, ...]
    moments: tuple[tuple[_Layer, _Moment], ...]
    packed: list[bytes]
    """where the intervals of the first layer begin, IPv4, in network byte order"""
    rules: Sequence[int]
    reasons: list[Denied | None]
    ports: frozenset[int]
    """all three of the first layer; no port is in it where another layer has a say"""


class Gate:
    """Decides. Every way of asking gives the same answer; the fast ones without its explanation.

    `pins` are the addresses of the names of the scope, resolved once for the run. Safe to ask from several threads.
    """

    def __init__(
        self,
        scope: Scope,
        *,
        pins: Mapping[str, tuple[Address, ...]] | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._pins = dict(pins or {})
        self._clock = clock
        self._layers: tuple[_Layer, ...] = (_Layer(scope, self._pins),)
        self._endpoints = self._layers[0].endpoints
        self._lanes = lanes(scope.zones)
        self._state: _State | None = None
        self._columns: dict[int, tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]] = {}
        self._beside: Counter[tuple[int, int, int]] = Counter()
        """second connections of protocols that need one, while they are open: version, address, port"""

    @property
    def scope(self) -> Scope:
        """As it was first read."""
        return self._layers[0].scope

    @property
    def policy(self) -> Policy:
        """Of the scope as it was first read."""
        return self._layers[0].policy

    @property
    def today(self) -> dt.date:
        """In UTC, by the clock of the gate."""
        return _aware(self._clock()).date()

    @property
    def pins(self) -> Mapping[str, tuple[Address, ...]]:
        return self._pins

    def decide(
        self, address: Address, port: int, depth: Depth = Depth.CONNECT, *, beside: int | None = None
    ) -> Permit | Denial:
        """`beside`: the port of the scope on which a protocol is spoken that needs `port` of the same address as well, as
        the data connections of FTP. Then that one has to be among the scope's."""
        address = unmapped(address)
        present = self._clock()
        now = _aware(present)
        permits = []
        for index, (layer, moment) in enumerate(self._at(present).moments):
            answer = _decide(layer, moment, now, address, port, depth, beside=beside)
            if isinstance(answer, Denial):
                return _narrowed(answer) if index else answer
            permits.append(answer)
        permit = _least(permits)
        return permit if beside is None else replace(permit, port=port)

    @contextlib.contextmanager
    def beside(self, address: Address, port: int) -> Iterator[None]:
        """Let sockets go to a port that `decide` permitted beside another, for as long as the context is held."""
        address = unmapped(address)
        place = (address.version, int(address), port)
        self._beside[place] += 1
        try:
            yield
        finally:
            self._beside[place] -= 1
            self._beside += Counter()  # without those that are at zero

    def dial_allowed(self, host: str, port: int) -> Denied | None:
        """Whether a socket may go there: None, or the reason. For the audit hook, so it also knows our infrastructure.

        `host` is an address literal, an IPv6 one with or without its scope id.
        """
        present = self._clock()
        state = self._state
        if state is None or not state.since <= present < state.until or state.layers is not self._layers:
            state = self._at(present)
        if port in state.ports:
            # The case of almost every connection, in as few steps as Python can do: it is asked twice for each one
            # that is refused.
            try:
                if state.reasons[state.rules[bisect_right(state.packed, inet_pton(AF_INET, host)) - 1]] is None:
                    return None
            except (OSError, ValueError):
                pass  # an IPv6 address, or none
        if (place := parse_literal(host)) is None:
            return Denied.NAME
        denied = self._denied(state, *place, port)
        return None if denied is None or (*place, port) in self._endpoints else denied

    def _denied(self, state: _State, version: int, value: int, port: int) -> Denied | None:
        moments = state.moments
        for layer, moment in moments:
            number, is_open = layer.deciding(version, value, port)
            denied = moment.reasons[number]
            if denied is None and not is_open and (version, value, port) not in self._beside:
                denied = Denied.PORT
            if denied is not None:
                return denied if layer is moments[0][0] else Denied.NARROWED
        return None

    def depth_now(self, address: Address) -> int:
        """How deep an address may be gone into right now, on a port of the scope; 0: not at all."""
        address = unmapped(address)
        version, value = address.version, int(address)
        return min(moment.depths[layer.at(version, value)] for layer, moment in self._at(self._clock()).moments)

    def filter4(self, addresses: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """`depth_now` of each IPv4 address: an array of the same length."""
        import numpy as np

        result = np.full(len(addresses), max(Depth), dtype=np.uint8)
        for index, (_, moment) in enumerate(self._at(self._clock()).moments):
            starts, rules = self._column(index)
            depths = np.array(moment.depths, dtype=np.uint8)
            found = depths[rules[np.searchsorted(starts, addresses, side="right") - 1]]
            np.minimum(result, found, out=result)
        return result

    def denied_at(self, address: Address, port: int) -> Denied | None:
        """`decide` without its explanation, for a connection."""
        address = unmapped(address)
        return self._denied(self._at(self._clock()), address.version, int(address), port)

    def denials4(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """`denied_at` for each IPv4 address and its port: an array of the same length, of places in `REASONS`."""
        import numpy as np

        result = np.zeros(len(addresses), dtype=np.uint8)
        for index, (layer, moment) in enumerate(self._at(self._clock()).moments):
            starts, rules = self._column(index)
            numbers = np.array([_NUMBERS[reason] for reason in moment.reasons], dtype=np.uint8)
            found = numbers[rules[np.searchsorted(starts, addresses, side="right") - 1]]
            found[(found == 0) & ~np.isin(ports, list(layer.ports))] = _NUMBERS[Denied.PORT]
            for version, value, port in layer.spots:
                if version == 4:
                    number = layer.deciding(version, value, port)[0]
                    found[(addresses == value) & (ports == port)] = _NUMBERS[moment.reasons[number]]
            if index:
                found[found > 0] = _NUMBERS[Denied.NARROWED]
            result = np.where(result > 0, result, found)
        return result

    def intervals(self, version: int) -> list[Span]:
        """(first, last) of the space to sweep, in order and disjoint. Fixed for the run: what time it is, and what a
        later reading of the scope took away, decides when an address is dialled."""
        return self.policy.swept(version)

    def has_gaps(self) -> bool:
        """Whether any zone wants a gap between its connections."""
        return any(zone.gap_seconds for layer in self._layers for zone in layer.scope.zones)

    def gap_at(self, version: int, value: int) -> tuple[str, float]:
        """The longest gap in seconds around an address, of all readings, and the name of its zone; "" and 0.0 without."""
        gaps = [layer.gaps[number] for layer in self._layers for number in layer.around(version, value)]
        return max(gaps, key=_by_gap)

    def lane_of(self, zone: str) -> str:
        """The zone whose name stands for `zone` and all zones that overlap it, of all readings: see `lanes`."""
        return self._lanes.get(zone, zone)

    def allows_clear_census(self, address: Address, port: int = 0) -> bool:
        """Whether the grants that decide right now, of every reading, let the answers of a census cross in clear."""
        address = unmapped(address)
        version, value = address.version, int(address)
        moments = self._at(self._clock()).moments
        grants = (moment.grants[layer.deciding(version, value, port)[0]] for layer, moment in moments)
        return all(grant is not None and grant.cleartext_census for grant in grants)

    def zones_at(self, address: Address) -> frozenset[str]:
        """The names of all zones around an address, in any reading."""
        address = unmapped(address)
        version, value = address.version, int(address)
        rules = (layer.policy.rules[number] for layer in self._layers for number in layer.around(version, value))
        return frozenset(zone.name for rule in rules for zone in rule.zones)

    def narrow(self, scope: Scope) -> None:
        """From now on `scope` has to permit as well. Names keep their pins; names without one authorise nothing."""
        if any(layer.scope.digests == scope.digests for layer in self._layers):
            return
        layer = _Layer(scope, self._pins)
        self._endpoints &= layer.endpoints
        self._layers = (*self._layers, layer)
        self._lanes = lanes(zone for each in self._layers for zone in each.scope.zones)
        self._state = None

    def _at(self, present: float) -> _State:
        state = self._state
        if state is not None and state.since <= present < state.until and state.layers is self._layers:
            return state
        since, layers = math.floor(present), self._layers
        now = _aware(present)
        moments = tuple((layer, _moment(layer.policy, now)) for layer in layers)
        first, moment = moments[0]
        self._state = state = _State(
            since=since,
            until=since + 1,
            layers=layers,
            moments=moments,
            packed=first.packed,
            rules=first.tables[4][1],
            reasons=moment.reasons,
            ports=first.ports if len(layers) == 1 else frozenset(),
        )
        return state

    def _column(self, index: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
        import numpy as np

        if index not in self._columns:
            starts, rules = self._layers[index].tables[4]
            self._columns[index] = (np.array(starts, dtype=np.uint32), np.array(rules, dtype=np.intp))
        return self._columns[index]


def _aware(present: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(present, dt.UTC)


def parse_literal(host: str) -> tuple[int, int] | None:
    """(version, number) of an address literal, IPv4-mapped ones as IPv4; None for anything else."""
    try:
        if ":" not in host:
            return 4, int.from_bytes(inet_pton(AF_INET, host))
        value = int.from_bytes(inet_pton(AF_INET6, host.partition("%")[0]))
    except (OSError, ValueError):
        return None
    return (4, value & 0xFFFFFFFF) if value >> 32 == _MAPPED else (6, value)


def _moment(policy: Policy, now: dt.datetime) -> _Moment:
    shut: dict[int, bool] = {}
    depths, reasons, grants = [], [], []
    for rule in policy.rules:
        grant = in_force(rule, now)
        denied = _reason(rule, grant, now, shut)
        depths.append(0 if denied or grant is None else int(rule.depth(grant)))
        reasons.append(denied)
        grants.append(grant)
    return _Moment(depths=depths, reasons=reasons, grants=grants)


def in_force(rule: Rule, now: dt.datetime) -> Grant | None:
    """The grant that decides at `now`: of those that hold on this day (UTC), the one of the lowest depth."""
    today = now.astimezone(dt.UTC).date()
    return next((grant for grant in rule.grants if grant.valid_from <= today <= grant.valid_until), None)


def _reason(rule: Rule, grant: Grant | None, now: dt.datetime, shut: dict[int, bool]) -> Denied | None:
    """`shut` remembers which zones' windows are, by the identity of the zone."""
    if rule.standing is not Standing.GRANTED:
        return _STATIC[rule.standing]
    if grant is None:
        today = now.astimezone(dt.UTC).date()
        return Denied.NOT_YET if any(today < grant.valid_from for grant in rule.grants) else Denied.EXPIRED
    for zone in rule.zones:
        if id(zone) not in shut:
            shut[id(zone)] = not zone.is_open(now)
        if shut[id(zone)]:
            return Denied.WINDOW
    return None


def _decide(
    layer: _Layer,
    moment: _Moment,
    now: dt.datetime,
    address: Address,
    port: int,
    depth: Depth,
    *,
    beside: int | None = None,
) -> Permit | Denial:
    port = port if beside is None else beside
    number, is_open = layer.deciding(address.version, int(address), port, beside=beside is not None)
    rule, reason, grant = layer.policy.rules[number], moment.reasons[number], moment.grants[number]
    if reason is not None or grant is None:
        return Denial(reason=reason or Denied.NO_GRANT, explanation=_explain(rule, reason, address, now))
    if not is_open:
        return Denial(reason=Denied.PORT, explanation=f"port {port} is not among the ports of the scope")
    if (limit := rule.depth(grant)) < depth:
        return Denial(reason=Denied.DEPTH, explanation=_too_deep(rule, grant, limit, depth))
    zone, gap = rule.gap
    return Permit(
        address=address,
        port=port,
        depth=limit,
        grant=grant.id,
        zone=zone,
        gap_seconds=gap,
        expires=_expiry(rule, grant, now),
    )


def _expiry(rule: Rule, grant: Grant, now: dt.datetime) -> dt.datetime:
    """The end of the grant, or the earliest closing of a window."""
    last = min(grant.valid_until, dt.date.max - dt.timedelta(days=1))
    end = dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
    closings = (zone.window.closes(now) for zone in rule.zones if zone.window)
    return min([end, *(closing for closing in closings if closing)])


def _explain(rule: Rule, reason: Denied | None, address: Address, now: dt.datetime) -> str:
    named = " and ".join(repr(grant.id) for grant in rule.grants)
    if reason is Denied.EXCLUDED:
        return f"{address} is excluded"
    if reason is Denied.SPECIAL:
        return f"{address} lies in a special-purpose block that no grant names by itself"
    if reason is Denied.EXPIRED:
        last = max(grant.valid_until for grant in rule.grants)
        return f"the validity of grant {named} ended on {last} (UTC)"
    if reason is Denied.NOT_YET:
        first = min(grant.valid_from for grant in rule.grants)
        return f"the validity of grant {named} begins on {first} (UTC)"
    if reason is Denied.WINDOW:
        shut = (zone for zone in rule.zones if not zone.is_open(now))
        return " and ".join(f"zone {zone.name!r} is only open {zone.window}" for zone in shut)
    return f"{address} is in no grant"


def _too_deep(rule: Rule, grant: Grant, limit: Depth, depth: Depth) -> str:
    """The zone that sets the limit, else the grant."""
    zone = next((zone for zone in rule.zones if zone.max_depth == limit), None)
    who = f"zone {zone.name!r}" if zone else f"grant {grant.id!r}"
    return f"{who} goes as far as {limit.name.lower()}, not {depth.name.lower()}"


def _by_gap(gap: tuple[str, float]) -> float:
    return gap[1]


def _narrowed(denial: Denial) -> Denial:
    explanation = f"since the scope file was changed: {denial.explanation}"
    return Denial(reason=Denied.NARROWED, explanation=explanation)


def _least(permits: list[Permit]) -> Permit:
    """What all permits allow. The grant is the first reading's; the zone is the one with the longest gap."""
    if len(permits) == 1:
        return permits[0]
    first, gentlest = permits[0], max(permits, key=lambda permit: (bool(permit.zone), permit.gap_seconds))
    return Permit(
        address=first.address,
        port=first.port,
        depth=min(permit.depth for permit in permits),
        grant=first.grant,
        zone=gentlest.zone,
        gap_seconds=gentlest.gap_seconds,
        expires=min(permit.expires for permit in permits),
    )
