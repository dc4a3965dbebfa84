"""The whole answer for one address: a permit, or a denial with a sentence for people."""

from __future__ import annotations

import datetime as dt

from leadapron.model import Address, Depth
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.grant import Grant
from leadapron.scope.layer import Layer, Moment
from leadapron.scope.policy import Rule


def decide(
    layer: Layer,
    moment: Moment,
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


def narrowed(denial: Denial) -> Denial:
    explanation = f"since the scope file was changed: {denial.explanation}"
    return Denial(reason=Denied.NARROWED, explanation=explanation)


def least(permits: list[Permit]) -> Permit:
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
