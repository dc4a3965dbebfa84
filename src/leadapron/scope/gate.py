"""The gate: nothing is touched without its permit. It fails closed, and each denial has its reason.

The policy (which rule holds for which address) is compiled once; validity and windows are looked at anew each second.
A scope that is read again while a run goes on adds a layer: an address needs the permit of every layer (`readings`).
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
from leadapron.scope.answer import decide, least, narrowed
from leadapron.scope.decision import REASONS, Denial, Denied, Permit
from leadapron.scope.grant import Scope
from leadapron.scope.lanes import lanes
from leadapron.scope.layer import Layer, Moment, in_force
from leadapron.scope.policy import Policy
from leadapron.scope.readings import Readings
from leadapron.scope.spans import Span
from leadapron.scope.special import unmapped

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["REASONS", "Denial", "Denied", "Gate", "Permit", "in_force"]

Clock = Callable[[], float]
"""The present: POSIX seconds, as `time.time` tells them. A float, since it is read at each connection."""

_MAPPED = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What holds within one second, of these readings."""

    since: int
    until: int
    readings: Readings
    moments: tuple[tuple[Layer, Moment], ...]
    """of all layers"""
    binding: tuple[tuple[Layer, Moment], ...]
    """of those that permit what all permit"""
    packed: list[bytes]
    """where the intervals of the one binding layer begin, IPv4, in network byte order"""
    rules: Sequence[int]
    reasons: list[Denied | None]
    ports: frozenset[int]
    """all three of that layer; no port is in it where there is more than one"""


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
        first = Layer(scope, self._pins)
        self._readings, self._digests = Readings.of(first), {scope.digests}
        self._endpoints = first.endpoints
        self._lanes = lanes(scope.zones)
        self._state: _State | None = None
        self._beside: Counter[tuple[int, int, int]] = Counter()
        """second connections of protocols that need one, while they are open: version, address, port"""

    @property
    def scope(self) -> Scope:
        """As it was first read."""
        return self._readings.layers[0].scope

    @property
    def policy(self) -> Policy:
        """Of the scope as it was first read."""
        return self._readings.layers[0].policy

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
            answer = decide(layer, moment, now, address, port, depth, beside=beside)
            if isinstance(answer, Denial):
                return narrowed(answer) if index else answer
            permits.append(answer)
        permit = least(permits)
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
        if state is None or not state.since <= present < state.until or state.readings is not self._readings:
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
        return min(moment.depths[layer.at(version, value)] for layer, moment in self._at(self._clock()).binding)

    def filter4(self, addresses: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """`depth_now` of each IPv4 address: an array of the same length."""
        from leadapron.scope.batches import depths

        return depths(self._at(self._clock()).binding, addresses)

    def denied_at(self, address: Address, port: int) -> Denied | None:
        """`decide` without its explanation, for a connection."""
        address = unmapped(address)
        return self._denied(self._at(self._clock()), address.version, int(address), port)

    def permits4(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
        """Whether each IPv4 address may be asked on its port right now: an array of the same length. Where `denials4` is 0,
        in the shortest time."""
        from leadapron.scope.batches import permits

        return permits(self._at(self._clock()).binding, addresses, ports)

    def denials4(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """`denied_at` for each IPv4 address and its port: an array of the same length, of places in `REASONS`."""
        from leadapron.scope.batches import denials

        return denials(self._at(self._clock()).moments, addresses, ports)

    def intervals(self, version: int) -> list[Span]:
        """(first, last) of the space to sweep, in order and disjoint. Fixed for the run: what time it is, and what a
        later reading of the scope took away, decides when an address is dialled."""
        return self.policy.swept(version)

    def has_gaps(self) -> bool:
        """Whether any zone wants a gap between its connections."""
        return any(zone.gap_seconds for layer in self._readings.layers for zone in layer.scope.zones)

    def gap_at(self, version: int, value: int) -> tuple[str, float]:
        """The longest gap in seconds around an address, of all readings, and the name of its zone; "" and 0.0 without."""
        gaps = [layer.gaps[number] for layer in self._readings.layers for number in layer.around(version, value)]
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
        rules = (
            layer.policy.rules[number] for layer in self._readings.layers for number in layer.around(version, value)
        )
        return frozenset(zone.name for rule in rules for zone in rule.zones)

    def narrow(self, scope: Scope) -> None:
        """From now on `scope` has to permit as well. Names keep their pins; names without one authorise nothing."""
        if scope.digests in self._digests:
            return
        layer = Layer(scope, self._pins)
        self._endpoints &= layer.endpoints
        self._readings = self._readings.narrowed(layer)
        self._digests.add(scope.digests)
        self._lanes = lanes(zone for each in self._readings.layers for zone in each.scope.zones)

    def _at(self, present: float) -> _State:
        state, readings = self._state, self._readings
        if state is not None and state.since <= present < state.until and state.readings is readings:
            return state
        since, now = math.floor(present), _aware(present)
        binding = tuple((layer, layer.moment(now)) for layer in readings.binding)
        layer, moment = binding[0]
        self._state = state = _State(
            since=since,
            until=since + 1,
            readings=readings,
            moments=tuple((each, each.moment(now)) for each in readings.layers),
            binding=binding,
            packed=layer.packed,
            rules=layer.tables[4][1],
            reasons=moment.reasons,
            ports=layer.ports if len(binding) == 1 else frozenset(),
        )
        return state


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


def _by_gap(gap: tuple[str, float]) -> float:
    return gap[1]
