"""Names, resolved once before the gate is armed. From then on only their addresses count."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from leadapron.model import Address, Reason, Stage, Unknown
from leadapron.scope.special import unmapped

AT_ONCE = 16

_REASONS = {
    socket.EAI_NONAME: Reason.EMPTY,
    socket.EAI_NODATA: Reason.EMPTY,
    socket.EAI_AGAIN: Reason.TIMEOUT,
}


def resolve(names: Iterable[str]) -> tuple[dict[str, tuple[Address, ...]], tuple[Unknown, ...]]:
    """All A and AAAA addresses of each name, sorted; and the names without any, with the reason.

    Asks the system's resolver, at most `AT_ONCE` names at a time. Raises nothing for a name.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}, ()
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(wanted))) as pool:
        answers = dict(zip(wanted, pool.map(_addresses, wanted), strict=True))
    pins = {name: answer for name, answer in answers.items() if isinstance(answer, tuple)}
    failures = tuple(
        Unknown(endpoint=name, stage=Stage.CONNECT, reason=answer)
        for name, answer in answers.items()
        if isinstance(answer, Reason)
    )
    return pins, failures


def _addresses(name: str) -> tuple[Address, ...] | Reason:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return _REASONS.get(error.errno or 0, Reason.UNREACHABLE)
    except (OSError, UnicodeError):
        return Reason.UNREACHABLE
    inet = (place for family, _, _, _, place in found if family in (socket.AF_INET, socket.AF_INET6))
    addresses = {unmapped(ip_address(str(place[0]).partition("%")[0])) for place in inet}
    return tuple(sorted(addresses, key=lambda address: (address.version, int(address)))) or Reason.EMPTY
