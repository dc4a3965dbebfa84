"""The truth of a world as a document: what an audit has to find. An audit never reads it.

Totals and countries are those of exposed servers, whoever's records they show (`images`), and of those that show patients
(`genuine_images`). `raw` counts a study once for each server that shows it, `unique` once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from leadapron.errors import InputError
from leadapron.lab.world.holdings import Shelf
from leadapron.lab.world.model import PORTS, Server, World

SCHEMA = "leadapron/world-truth/1"


def truth(world: World) -> dict[str, Any]:
    """Plain data, the same for the same world."""
    return {
        "schema": SCHEMA,
        "seed": world.seed,
        "scale": world.scale,
        "countries_by": world.countries_by,
        "ranges": {"networks": len(world.ranges), "addresses": world.addresses},
        "ports": list(PORTS),
        "totals": _totals(world.exposed),
        "countries": _countries(world.exposed),
        "servers": [_server(server) for server in sorted(world.servers, key=lambda each: (each.address, each.port))],
        "boxes": [
            {"network": str(box.network), "country": box.country, "kind": box.kind.value}
            for box in sorted(world.boxes, key=lambda each: each.network)
        ],
    }


def read(path: Path) -> dict[str, Any]:
    """Raises InputError for what is no truth."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"{path}: is no {SCHEMA}; write one with `python -m leadapron.lab world truth`")
    return document


def _server(server: Server) -> dict[str, Any]:
    return {
        "address": str(server.address),
        "port": server.port,
        "country": server.country,
        "kind": server.kind.value,
        "exposed": server.kind.lists,
        "whose": server.whose.value,
        "genuine": server.is_genuine,
        "studies": server.holdings.studies,
        "images": server.holdings.images,
    }


def _totals(exposed: Sequence[Server]) -> dict[str, Any]:
    genuine = [server for server in exposed if server.is_genuine]
    return {
        "exposed_servers": len(exposed),
        "genuine_servers": len(genuine),
        "studies": {**_studies(exposed), **{f"genuine_{name}": count for name, count in _studies(genuine).items()}},
        "images": {**_images(exposed), **{f"genuine_{name}": count for name, count in _images(genuine).items()}},
    }


def _studies(servers: Iterable[Server]) -> dict[str, int]:
    shelves = [shelf for server in servers for shelf in server.holdings.shelves]
    return {"raw": sum(shelf.count for shelf in shelves), "unique": sum(shelf.count for shelf in _once(shelves))}


def _images(servers: Iterable[Server]) -> dict[str, int]:
    shelves = [shelf for server in servers for shelf in server.holdings.shelves]
    return {"raw": sum(shelf.images for shelf in shelves), "unique": sum(shelf.images for shelf in _once(shelves))}


def _once(shelves: Iterable[Shelf]) -> list[Shelf]:
    """Of each collection the longest shelf: they all begin with the first study."""
    longest: dict[int, Shelf] = {}
    for shelf in shelves:
        origin = shelf.collection.origin
        if origin not in longest or longest[origin].count < shelf.count:
            longest[origin] = shelf
    return list(longest.values())


def _countries(exposed: Sequence[Server]) -> dict[str, dict[str, int]]:
    countries: dict[str, dict[str, int]] = {}
    names = ("servers", "images", "genuine_servers", "genuine_images")
    for server in exposed:
        part = countries.setdefault(server.country, dict.fromkeys(names, 0))
        images = server.holdings.images
        part["servers"] += 1
        part["images"] += images
        part["genuine_servers"] += server.is_genuine
        part["genuine_images"] += images if server.is_genuine else 0
    return dict(sorted(countries.items()))
