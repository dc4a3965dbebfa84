"""Where everything answers alike, nothing is a server: tarpits, SYN proxies, load balancers, decoy ranges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from leadapron.model import Endpoint
from leadapron.protocols.base import Payload

MIN_RUN = 16
"""Consecutive addresses that connect and then fail in the same way at one port."""
MIN_RUN_ASSOCIATED = 64
"""The same for addresses that accept an association: sixteen scanners of one make in a row are a hospital."""
MIN_PORTS = 4
"""Ports of one host that all connect and then fail in the same way."""


def middleboxes(hellos: Mapping[Endpoint, Payload]) -> dict[Endpoint, str]:
    """The endpoints that are part of a middlebox, each with the range, or host, that answers alike.

    `hellos` are the stored answers to the first exchange. Several ports of one host that accept associations stay
    services: many archives listen twice.
    """
    found: dict[Endpoint, str] = {}
    for run in _runs(hellos):
        first, last = run[0], run[-1]
        found.update(dict.fromkeys(run, f"{first.address}-{last.address} port {first.port}"))
    for members in _hosts(hellos):
        signatures = {_signature(hellos[endpoint]) for endpoint in members}
        if len(members) >= MIN_PORTS and len(signatures) == 1 and _failed_alike(signatures.pop()):
            for endpoint in members:
                found.setdefault(endpoint, f"{endpoint.address}, every port")
    return found


def _runs(hellos: Mapping[Endpoint, Payload]) -> Iterator[list[Endpoint]]:
    """Runs of consecutive addresses with the same answer at the same port, long enough to be one box."""
    groups: defaultdict[tuple[int, int, str], list[Endpoint]] = defaultdict(list)
    for endpoint, hello in hellos.items():
        if signature := _signature(hello):
            groups[endpoint.address.version, endpoint.port, signature].append(endpoint)
    for (_, _, signature), members in groups.items():
        enough = MIN_RUN if _failed_alike(signature) else MIN_RUN_ASSOCIATED
        members.sort(key=lambda endpoint: int(endpoint.address))
        run: list[Endpoint] = []
        for endpoint in members:
            if run and int(endpoint.address) != int(run[-1].address) + 1:
                if len(run) >= enough:
                    yield run
                run = []
            run.append(endpoint)
        if len(run) >= enough:
            yield run


def _hosts(hellos: Mapping[Endpoint, Payload]) -> Iterator[list[Endpoint]]:
    hosts: defaultdict[object, list[Endpoint]] = defaultdict(list)
    for endpoint in hellos:
        hosts[endpoint.address].append(endpoint)
    yield from hosts.values()


def _failed_alike(signature: str) -> bool:
    return signature.startswith("failed")


def _signature(hello: Payload) -> str:
    """Equal for answers that are alike; "" for what says nothing (no TCP connection on the second try)."""
    if (failed := hello.get("failed")) is not None:
        return "" if failed["stage"] == "connect" else f"failed {failed['reason']}"
    return str(hello.get("negotiated", {}).get("digest", ""))
