"""A small world for a cluster: servers in many networks, and boxes that reach over several. `python cluster_world.py`
plays it in a namespace without a way out, and tells at its end who spoke to which server, from when to when."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import signal
import sys
import time
from ipaddress import IPv4Network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

from small_worlds import box, holding, server, world_of

from leadapron.lab.odd import Serve
from leadapron.lab.world.model import PORTS, BoxKind, Kind, Range, World
from leadapron.lab.world.play import Players
from leadapron.lab.world.rules import ruleset, scope
from leadapron.lab.world.serve import serving

RANGES = ("198.18.0.0/20", "198.18.16.0/20")
KINDS = (Kind.OPEN, Kind.OPEN, Kind.CAPS_AT_100, Kind.REFUSES, Kind.OPEN, Kind.KNOWS_ITS_TITLE, Kind.SLOW)
RATE = 900


def made() -> World:
    servers = [
        server(
            f"198.18.{network}.{host}",
            holding(40 + 7 * network, 900 + 31 * network, origin=100 * network + host),
            kind=KINDS[(network + host) % len(KINDS)],
            port=PORTS[(network + place) % len(PORTS)],
            pause=0.1,
            per_second=400,
        )
        for network in range(22)
        for place, host in enumerate((7, 7, 201))
    ]
    boxes = (
        box("198.18.24.0/26", BoxKind.SILENT),
        box("198.18.26.0/23", BoxKind.HANGS_UP),
        box("198.18.28.0/25", BoxKind.ALIKE),
    )
    ranges = [Range(network=IPv4Network(each), country="DE", resets=not at) for at, each in enumerate(RANGES)]
    return world_of(servers, *boxes, networks=ranges)


class Spoken:
    """A connection on which something was said, from the first byte to its end."""

    def __init__(self, reader: asyncio.StreamReader, note: dict[str, object]) -> None:
        self._reader, self._note = reader, note

    async def read(self, most: int) -> bytes:
        data = await self._reader.read(most)
        if data and "begun" not in self._note:
            self._note["begun"] = time.monotonic()
        return data


def noting(players: Players, notes: list[dict[str, object]]) -> None:
    """Every connection that is spoken on leaves a note."""
    plain = players.at

    def at(address: str, port: int) -> Serve | None:
        serve = plain(address, port)
        if serve is None:
            return None

        async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            note: dict[str, object] = {"address": address, "source": writer.get_extra_info("peername")[0]}
            try:
                await serve(Spoken(reader, note), writer)  # type: ignore[arg-type]
            finally:
                if "begun" in note:
                    notes.append(note | {"ended": time.monotonic()})

        return noted

    players.at = at  # type: ignore[method-assign]


async def play() -> None:
    ended, notes = asyncio.Event(), list[dict[str, object]]()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with serving(made()) as players:
        noting(players, notes)
        print(json.dumps({"ready": True}), flush=True)
        await ended.wait()
    print(json.dumps(notes), flush=True)


def texts() -> dict[str, str]:
    """The firewall, and the scope."""
    world = made()
    today = dt.datetime.now(dt.UTC).date()
    return {"nft": ruleset(world), "scope": scope(world, today, depth="census", around=27, rate=RATE)}


def standing() -> frozenset[str]:
    """Where servers stand, and no box."""
    return frozenset(str(each.address) for each in made().servers)


if __name__ == "__main__":
    asyncio.run(play())
