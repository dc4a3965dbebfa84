"""Where everything answers alike, nothing is a server: tarpits, SYN proxies, load balancers, decoy ranges."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping

from leadapron.model import Address, Endpoint
from leadapron.protocols.base import Payload

MIN_RANGE = 16
"""Addresses in a row that connect and then fail in the same way at one port."""
MIN_RANGE_ANSWERED = 64
"""The same for those that answer in the protocol: sixteen scanners of one make in a row are a hospital."""
MISSING = 10
"""Of so many addresses in a row, one may be closed or answer otherwise."""
MAX_HOLE = 8
"""Addresses between two of a range, at most; what lies farther away is another range, or none."""
_NEARBY = 8
"""Bits of an address that may differ nearby."""
MIN_PORTS = 4
"""Ports of one host that are all open and answer in the same way."""


def middleboxes(hellos: Mapping[Endpoint, Payload], ports: Collection[int]) -> dict[Endpoint, str]:
    """The endpoints that are part of a middlebox, each with the range, or host, that answers alike.

    `hellos` are the stored answers to the first exchange, `ports` all those of the scope. Several ports of one host that
    accept associations stay services, since many archives listen twice, unless they are all ports that were tried.
    """
    found: dict[Endpoint, str] = {}
    for members in _ranges(hellos):
        found.update(dict.fromkeys(members, _text(members)))
    for members in _hosts(hellos):
        signatures = {signature_of(hellos[endpoint]) for endpoint in members}
        if len(members) >= MIN_PORTS and len(signatures) == 1 and _is_one_box(signatures.pop(), members, ports):
            for endpoint in members:
                found.setdefault(endpoint, f"{endpoint.address}, every open port")
    return found


class Crowd:
    """Judges hellos as they come in, before `middleboxes` can: who may be part of one waits until all are in. That is
    whoever failed, and whoever is one of many that answer alike nearby, or on one host."""

    def __init__(self) -> None:
        self._nearby: Counter[tuple[int, int, int, str]] = Counter()
        """by IP version, the first bits of the address, port and signature"""
        self._on_host: Counter[tuple[Address, str]] = Counter()

    def joins(self, endpoint: Endpoint, hello: Payload) -> bool:
        """Count one, and tell whether it waits."""
        if "failed" in hello:
            return True
        if not (signature := signature_of(hello)):
            return False
        address = endpoint.address
        block = address.version, int(address) >> _NEARBY, endpoint.port, signature
        self._nearby[block] += 1
        self._on_host[address, signature] += 1
        return self._nearby[block] >= MIN_RANGE_ANSWERED or self._on_host[address, signature] >= MIN_PORTS


def _text(members: list[Endpoint]) -> str:
    first, last = members[0], members[-1]
    size = int(last.address) - int(first.address) + 1
    if len(members) == size:
        return f"{first.address}-{last.address} port {first.port}"
    return f"{first.address}-{last.address} port {first.port}, {len(members)} of {size} addresses"


def _ranges(hellos: Mapping[Endpoint, Payload]) -> Iterator[list[Endpoint]]:
    """The endpoints of ranges that answer alike at one port, long and dense enough to be one box."""
    groups: defaultdict[tuple[int, int, str], list[Endpoint]] = defaultdict(list)
    for endpoint, hello in hellos.items():
        if signature := signature_of(hello):
            groups[endpoint.address.version, endpoint.port, signature].append(endpoint)
    for (_, _, signature), members in groups.items():
        enough = MIN_RANGE if signature.startswith("failed") else MIN_RANGE_ANSWERED
        members.sort(key=lambda endpoint: int(endpoint.address))
        for chain in _chains(members):
            yield from _dense(chain, enough)


def _chains(members: list[Endpoint]) -> Iterator[list[Endpoint]]:
    """Sorted endpoints, cut at the holes that are too large."""
    start = 0
    for index, (one, next_one) in enumerate(itertools.pairwise(members), 1):
        if int(next_one.address) - int(one.address) > MAX_HOLE + 1:
            yield members[start:index]
            start = index
    yield members[start:]


def _dense(chain: list[Endpoint], enough: int) -> Iterator[list[Endpoint]]:
    """From the left, the longest ranges of at least `enough` addresses of which at most one in `MISSING` is missing.

    From i to j there are j - i + 1 endpoints. They are enough for their range when what each endpoint adds (`MISSING`)
    outweighs what each address takes (`MISSING` - 1): when the balance at j is at most one below that at i.
    """
    places = [int(endpoint.address) for endpoint in chain]
    balance = [MISSING * index - (MISSING - 1) * place for index, place in enumerate(places)]
    best_from = list(itertools.accumulate(reversed(balance), max))[::-1]
    falling = [-best for best in best_from]
    start = 0
    while start < len(chain):
        last = bisect_right(falling, 1 - balance[start]) - 1
        if places[last] - places[start] + 1 >= enough:
            yield chain[start : last + 1]
            start = last
        start += 1


def _hosts(hellos: Mapping[Endpoint, Payload]) -> Iterator[list[Endpoint]]:
    hosts: defaultdict[object, list[Endpoint]] = defaultdict(list)
    for endpoint in hellos:
        hosts[endpoint.address].append(endpoint)
    yield from hosts.values()


def _is_one_box(signature: str, members: list[Endpoint], ports: Collection[int]) -> bool:
    if signature.startswith("accepted"):
        return {endpoint.port for endpoint in members} >= set(ports)
    return bool(signature)


def signature_of(hello: Payload) -> str:
    """Equal for answers that are alike; "" for what says nothing (no TCP connection on the second try)."""
    if (failed := hello.get("failed")) is not None:
        return "" if failed["stage"] == "connect" else f"failed {failed['reason']}"
    negotiated = hello.get("negotiated", {})
    outcome, digest = str(negotiated.get("outcome", "")), str(negotiated.get("digest", ""))
    return f"{outcome} {digest}" if digest or outcome == "aborted" else ""
