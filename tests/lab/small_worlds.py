"""Small worlds for tests: servers of each kind at addresses of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from leadapron.lab.world.holdings import Holdings, Shelf
from leadapron.lab.world.model import Box, BoxKind, Kind, Range, Server, World
from leadapron.lab.world.studies import Collection, Whose

PORT = 11112


def holding(
    studies: int, images: int, *, origin: int, whose: Whose = Whose.PATIENTS, shown: int | None = None
) -> Holdings:
    of = Collection(seed=9, origin=origin, studies=studies, images=images, whose=whose)
    return Holdings(shelves=(Shelf(collection=of, count=shown or studies),))


def server(
    address: str,
    holdings: Holdings,
    *,
    kind: Kind = Kind.OPEN,
    country: str = "DE",
    port: int = PORT,
    pause: float = 0.0,
    per_second: float = 0.0,
) -> Server:
    return Server(
        address=IPv4Address(address),
        port=port,
        country=country,
        kind=kind,
        whose=holdings.shelves[0].collection.whose,
        holdings=Holdings(shelves=holdings.shelves, claims=kind is not Kind.BARE),
        pause=pause,
        per_second=per_second,
    )


def box(network: str, kind: BoxKind) -> Box:
    return Box(network=IPv4Network(network), country="DE", kind=kind)


def world_of(servers: Sequence[Server], *boxes: Box, networks: Sequence[Range] = ()) -> World:
    return World(
        seed=9,
        scale=1,
        countries_by="nobody, 2026-01-01",
        ranges=tuple(networks),
        servers=tuple(servers),
        boxes=tuple(boxes),
    )
