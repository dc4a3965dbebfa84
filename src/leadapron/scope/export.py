"""The scope as firewall rules, so that an owner can hold the scanner to it from outside.

The rules hold the scanner's system user. They do not see packets that are written below IP (AF_PACKET).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from leadapron.errors import InputError
from leadapron.model import Address
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.policy import Pins, Policy, Standing, compile_policy, hosts_of, nowhere
from leadapron.scope.spans import merged
from leadapron.scope.special import unmapped

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}|[0-9]{1,10}")
_FAMILIES = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


def nft_rules(scope: Scope, pins: Pins | None = None, *, user: str = "leadapron") -> str:
    """A complete nftables ruleset: `user`, a name or number, reaches infrastructure and granted targets, and nothing
    else. Other users are not touched. Names without a pin are left out, and named in a comment. Raises InputError."""
    if not _USER.fullmatch(user):
        raise InputError(f"--user {user!r} is not a user name or number; name the system user that runs leadapron")
    known = pins or {}
    rule_user = user if user.isdigit() else f'"{user}"'
    return "\n".join([*_header(scope, known, user), *_table(scope, known, rule_user), ""])


def _header(scope: Scope, pins: Pins, user: str) -> list[str]:
    lines = [
        f"Lead Apron: what scope {scope.id!r} permits the user {user} to touch.",
        f"Scope file SHA-256: {scope.sha256}",
        *(_validity(grant) for grant in scope.grants),
        "Validity and windows are not in these rules: load them when a grant begins, flush them when it ends.",
        *(f"Zone {zone.name!r} is only open {zone.window}." for zone in scope.zones if zone.window),
        "The name servers of this host are reached only when they stand in [infrastructure] of the scope.",
        *(f"Not included, because it was not resolved: {name}" for name in scope.names if not pins.get(name)),
        *(f"Not left out of the targets, for the same reason: {name}" for name in nowhere(scope, pins)),
        "Load with: nft -f FILE",
    ]
    return [f"# {line}" for line in lines]


def _validity(grant: Grant) -> str:
    return f"Grant {grant.id!r} of {grant.owner!r}: {grant.valid_from} to {grant.valid_until} (UTC, both included)"


def _table(scope: Scope, pins: Pins, user: str) -> list[str]:
    policy = compile_policy(scope, pins)
    lines = ["add table inet leadapron", "delete table inet leadapron", "table inet leadapron {"]
    for version, (_, kind) in _FAMILIES.items():
        spans = merged((a, b) for a, b, rule in policy.intervals(version) if rule.standing is Standing.GRANTED)
        lines += _set(f"targets{version}", f"type {kind}; flags interval;", (_range(version, *span) for span in spans))
        ours = sorted(_infrastructure(scope, pins, version))
        lines += _set(f"infrastructure{version}", f"type {kind} . inet_service;", ours)
        spots = sorted(f"{address(value)} . {port}" for address, value, port in _spots(policy, version))
        lines += _set(f"buckets{version}", f"type {kind} . inet_service;", spots) if spots else []
    lines += _set("ports", "type inet_service;", map(str, sorted(scope.ports.all)))
    lines += ["\tchain scanner {"]
    for version, (family, _) in _FAMILIES.items():
        lines += [
            f"\t\t{family} daddr . {protocol} dport @infrastructure{version} counter accept"
            for protocol in ("tcp", "udp")
        ]
        lines += [f"\t\t{family} daddr @targets{version} tcp dport @ports counter accept"]
        if any(_spots(policy, version)):
            lines += [f"\t\t{family} daddr . tcp dport @buckets{version} counter accept"]
    lines += ["\t\tcounter drop", "\t}", "\tchain output {"]
    lines += ["\t\ttype filter hook output priority filter; policy accept;", f"\t\tmeta skuid {user} jump scanner"]
    return [*lines, "\t}", "}"]


def _set(name: str, head: str, elements: Iterable[str]) -> list[str]:
    listed = list(elements)
    body = [f"\t\telements = {{ {f',{chr(10)}{chr(9) * 3}'.join(listed)} }}"] if listed else []
    return [f"\tset {name} {{", f"\t\t{head}", *body, "\t}"]


def _spots(policy: Policy, version: int) -> Iterator[tuple[type[Address], int, int]]:
    """What buckets open: one port of one address each."""
    kind: type[Address] = IPv4Address if version == 4 else IPv6Address
    for (theirs, value, port), number in policy.spots.items():
        if theirs == version and policy.rules[number].standing is Standing.GRANTED:
            yield kind, value, port


def _infrastructure(scope: Scope, pins: Pins, version: int) -> set[str]:
    endpoints = ((unmapped(address), port) for host, port in scope.infrastructure for address in hosts_of(host, pins))
    return {f"{address} . {port}" for address, port in endpoints if address.version == version}


def _range(version: int, first: int, last: int) -> str:
    kind: type[Address] = IPv4Address if version == 4 else IPv6Address
    return str(kind(first)) if first == last else f"{kind(first)}-{kind(last)}"
