"""One reading of the scope file: its policy, made ready to be asked, and what it says within a second."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadapron.model import Address
from leadapron.scope.decision import Denied
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.policy import Policy, Rule, Standing, compile_policy, hosts_of
from leadapron.scope.special import unmapped

if TYPE_CHECKING:
    from leadapron.scope.batches import Batches

_STATIC = {
    Standing.OUTSIDE: Denied.NO_GRANT,
    Standing.SPECIAL: Denied.SPECIAL,
    Standing.EXCLUDED: Denied.EXCLUDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What each rule of a policy says within one second, by rule number."""

    depths: list[int]
    """0: denied"""
    reasons: list[Denied | None]
    grants: list[Grant | None]
    """the one that decides"""


class Layer:
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
        self._moment: tuple[tuple[dt.date, frozenset[int]], Moment] | None = None
        self._batches: Batches | None = None

    def moment(self, now: dt.datetime) -> Moment:
        """What the rules say at `now` (aware). The same object as before while the day and the open zones are the same."""
        key = now.astimezone(dt.UTC).date(), frozenset(id(zone) for zone in self.scope.zones if not zone.is_open(now))
        known = self._moment
        if known is None or known[0] != key:
            self._moment = known = (key, _moment(self.policy, *key))
        return known[1]

    def batches(self) -> Batches:
        """Made when it is first asked for."""
        from leadapron.scope.batches import Batches

        if self._batches is None:
            self._batches = Batches(self)
        return self._batches

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


def _moment(policy: Policy, today: dt.date, shut: frozenset[int]) -> Moment:
    """`shut`: which zones' windows are, by the identity of the zone."""
    depths, reasons, grants = [], [], []
    for rule in policy.rules:
        grant = _in_force(rule, today)
        denied = _reason(rule, grant, today, shut)
        depths.append(0 if denied or grant is None else int(rule.depth(grant)))
        reasons.append(denied)
        grants.append(grant)
    return Moment(depths=depths, reasons=reasons, grants=grants)


def in_force(rule: Rule, now: dt.datetime) -> Grant | None:
    """The grant that decides at `now`: of those that hold on this day (UTC), the one of the lowest depth."""
    return _in_force(rule, now.astimezone(dt.UTC).date())


def _in_force(rule: Rule, today: dt.date) -> Grant | None:
    return next((grant for grant in rule.grants if grant.valid_from <= today <= grant.valid_until), None)


def _reason(rule: Rule, grant: Grant | None, today: dt.date, shut: frozenset[int]) -> Denied | None:
    if rule.standing is not Standing.GRANTED:
        return _STATIC[rule.standing]
    if grant is None:
        return Denied.NOT_YET if any(today < grant.valid_from for grant in rule.grants) else Denied.EXPIRED
    return Denied.WINDOW if any(id(zone) in shut for zone in rule.zones) else None
