"""The firewall around a world, and the scope of who sweeps it. Text only: loading it is up to who made the namespace."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

from leadapron.lab.world.model import PORTS, World

A_LINE = 16
"""Elements of a set on one line."""
MOST_ADDRESSES = 1 << 20
"""Of one grant that is not wide."""
PAGE = "survey-page.txt"
"""Beside the scope of a survey."""


def ruleset(world: World) -> str:
    """For `nft -f`, in the namespace that answers: servers and boxes accept, ranges that refuse send RST, the rest of the
    world is silent. What lies outside of the world is left alone. Loading it again replaces it.

    Most packets are for nobody: they are dropped as early as Linux lets them be, by two look-ups each."""
    live = sorted((int(server.address), server.port, str(server.address)) for server in world.servers)
    return "\n".join(
        (
            "add table ip world",
            "delete table ip world",
            "table ip world {",
            "  chain boxes {",
            f"    tcp dport {{ {', '.join(map(str, PORTS))} }} accept",
            "    drop",
            "  }",
            "  chain refusing {",
            "    meta mark set 1 accept",
            "  }",
            *_elements(
                "set live", "ipv4_addr . inet_service", "", (f"{address} . {port}" for _, port, address in live)
            ),
            *_elements("map ranges", "ipv4_addr : verdict", "flags interval", _verdicts(world)),
            "  chain early {",
            "    type filter hook prerouting priority raw; policy accept;",
            "    ip daddr . tcp dport @live accept",
            "    ip daddr vmap @ranges",
            "  }",
            "  chain input {",
            "    type filter hook input priority filter; policy accept;",
            "    ip daddr . tcp dport @live accept",
            "    meta mark 1 meta l4proto tcp reject with tcp reset",
            "  }",
            "}",
            "",
        )
    )


def _verdicts(world: World) -> Iterator[str]:
    """Of each stretch of addresses; those of boxes are cut out of the ranges that they lie in."""
    boxes = sorted(box.network for box in world.boxes)
    for each in world.ranges:
        inside = [box for box in boxes if box.subnet_of(each.network)]
        verdict = "goto refusing" if each.resets else "drop"
        for network in _without(each.network, inside):
            yield f"{network} : {verdict}"
        yield from (f"{box} : goto boxes" for box in inside)


def _without(network: IPv4Network, inside: Sequence[IPv4Network]) -> Iterator[IPv4Network]:
    left = [network]
    for box in inside:
        left = [part for each in left for part in (each.address_exclude(box) if box.subnet_of(each) else (each,))]
    yield from sorted(left)


def _elements(name: str, kind: str, flags: str, elements: Iterable[str]) -> Iterator[str]:
    yield f"  {name} {{"
    yield f"    type {kind}"
    if flags:
        yield f"    {flags}"
    texts = list(elements)
    if texts:
        yield "    elements = {"
        for start in range(0, len(texts), A_LINE):
            yield f"      {', '.join(texts[start : start + A_LINE])},"
        yield "    }"
    yield "  }"


# -- the scope ---------------------------------------------------------------------------------------------------------


def swept(world: World, around: int | None = None) -> list[IPv4Network]:
    """The ranges; with `around` only the parts with such a prefix in which something stands."""
    if around is None:
        return [each.network for each in world.ranges]
    places = [IPv4Network((int(server.address), 32)) for server in world.servers] + [box.network for box in world.boxes]
    parts = {place.supernet(new_prefix=min(around, place.prefixlen)) for place in places}
    return list(collapse_addresses(parts))


def scope(
    world: World,
    today: dt.date,
    *,
    depth: str = "count",
    around: int | None = None,
    rate: int = 10_000,
    ports: Sequence[int] = PORTS,
) -> str:
    """The scope file of who sweeps the world: to `count`, as a survey by law, whose `page` has to lie beside it; to
    `census`, as who made it and owns it."""
    networks = swept(world, around)
    grants = list(_survey(networks)) if depth != "census" else list(_own(networks))
    parts = [
        _HEAD.format(seed=world.seed, scale=world.scale),
        *([] if depth == "census" else [_SURVEY]),
        *(_grant({**values, "depth": depth}, today) for values in grants),
        f"[ports]\ndicom = {list(ports)}\n",
        f"[pace]\nconnections_per_second = {rate}\nper_network = {rate}\n",
    ]
    return "\n".join(parts)


def page(world: World) -> str:
    """The text of the page that a survey has to show, for the file `PAGE` beside its scope."""
    return (
        f"This is a sweep of a made-up world, of seed {world.seed} at 1:{world.scale}, in a network namespace without a\n"
        "way out. Nobody is asked but servers of nobody.\n"
    )


_SURVEY = f"""\
[survey]
opt_out = "nobody@localhost.example"
page = "{PAGE}"
"""

_HEAD = """\
# The world of seed {seed} at 1:{scale}, in a network namespace without a way out: addresses of others, servers of nobody.
version = 1
id = "world"

[contact]
name = "Lead Apron laboratory"
email = "nobody@localhost.example"
calling_aet = "LEADAPRON"

[vantage]
kind = "internet"
name = "namespace"
"""


def _survey(networks: Sequence[IPv4Network]) -> Iterator[dict[str, Any]]:
    yield {
        "id": "world",
        "owner": "everybody in a made-up world",
        "basis": "statutory",
        "granted_by": "a made-up law of a made-up world",
        "reference": "SYNTHETIC-1",
        "wide": True,
        "networks": list(map(str, networks)),
    }


def _own(networks: Sequence[IPv4Network]) -> Iterator[dict[str, Any]]:
    """Grants that are not wide: each of so many networks as have `MOST_ADDRESSES` together."""
    parts: list[list[str]] = [[]]
    room = MOST_ADDRESSES
    for network in (part for each in networks for part in _small(each)):
        if network.num_addresses > room:
            parts.append([])
            room = MOST_ADDRESSES
        parts[-1].append(str(network))
        room -= network.num_addresses
    for number, part in enumerate(parts, 1):
        yield {
            "id": f"world-{number}",
            "owner": "who made the world",
            "basis": "owner",
            "granted_by": "who made the world",
            "reference": f"SYNTHETIC-{number}",
            "cleartext_census": True,
            "networks": part,
        }


def _small(network: IPv4Network) -> Iterator[IPv4Network]:
    yield from network.subnets(new_prefix=max(network.prefixlen, 32 - MOST_ADDRESSES.bit_length() + 1))


def _grant(values: Mapping[str, Any], today: dt.date) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    until = today + dt.timedelta(days=7)
    return "\n".join(
        ("[[grant]]", *lines, f"valid_from = {today.isoformat()}", f"valid_until = {until.isoformat()}", "")
    )
