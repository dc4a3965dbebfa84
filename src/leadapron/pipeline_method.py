"""How the IPv4 networks of a scope are swept: by SYN packets, or by connections."""

from __future__ import annotations

from typing import NamedTuple

from leadapron.errors import InputError
from leadapron.scope.grant import Scope

SYN, CONNECT = "syn", "connect"


class Choice(NamedTuple):
    """A method, and in words why it is that one."""

    method: str
    because: str


def method_of(scope: Scope) -> Choice:
    """Asks the kernel whether this process may send raw packets, and sends none. Raises InputError where the networks cannot
    be swept as the scope says."""
    from leadapron.net.syn import can_sweep_raw

    wanted, gaps = scope.sweep.method, next((zone.name for zone in scope.zones if zone.gap_seconds), None)
    if wanted == CONNECT:
        return Choice(CONNECT, "the scope says so")
    if wanted == "auto" and not any(grant.wide for grant in scope.grants):
        return Choice(CONNECT, "no grant is wide")
    if gaps is not None:
        because = f"zone {gaps} keeps a gap between connections, which packets cannot"
        return _connections_or_mistake(scope, because, "keeps no gap between packets to a zone", "remove gap_seconds")
    if not can_sweep_raw():
        because = "this process has no CAP_NET_RAW on Linux"
        return _connections_or_mistake(scope, because, "needs CAP_NET_RAW on Linux", "run as root")
    return Choice(SYN, "the scope says so" if wanted == SYN else "a grant is wide, and this process may send them")


def _connections_or_mistake(scope: Scope, because: str, problem: str, remedy: str) -> Choice:
    if scope.sweep.method == SYN:
        raise InputError(f'{scope.path}: [sweep] method = "syn" {problem}; set method = "connect", or {remedy}')
    return Choice(CONNECT, because)
