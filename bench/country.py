"""A made-up country for the benches of a whole audit: archives of nobody on random addresses, nothing else. Four of five are
open; of the others, in turn, one refuses queries, one aborts them, one knows its callers, one knows its own title.

    python bench/country.py NETWORK,... PORT,... SERVERS silent|refusing

serves it in this network namespace, which must have no way out, until SIGTERM.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from leadapron.lab.world.holdings import Holdings, Shelf
from leadapron.lab.world.model import Kind, Range, Server, World
from leadapron.lab.world.rules import ruleset, scope
from leadapron.lab.world.serve import serving
from leadapron.lab.world.studies import Collection, Whose

SEED = 1993
OF = 5
CLOSED = (Kind.REFUSES, Kind.ABORTS, Kind.KNOWS_ITS_CALLERS, Kind.KNOWS_ITS_TITLE)
FEWEST_STUDIES, MOST_STUDIES, IMAGES = 4, 40, 100
"""Of an archive; images of a study in the mean."""
SAMPLE = 25
"""Records of a census."""

ACCESS = {
    Kind.OPEN: "proven proven offered offered",
    Kind.REFUSES: "proven refused offered offered",
    Kind.ABORTS: "proven refused offered offered",
    Kind.KNOWS_ITS_CALLERS: "refused refused refused refused",
    Kind.KNOWS_ITS_TITLE: "refused refused refused refused",
}
"""What an audit has to say of talk, list, read and write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """`networks` are swept whole; all servers are in the first. `refuses`: what is not there sends RST, else nothing."""

    networks: tuple[IPv4Network, ...]
    ports: tuple[int, ...]
    servers: int
    refuses: bool = False

    @property
    def targets(self) -> int:
        return len(self.ports) * sum(each.num_addresses for each in self.networks)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of this program."""
        kind = "refusing" if self.refuses else "silent"
        return ",".join(map(str, self.networks)), ",".join(map(str, self.ports)), str(self.servers), kind

    def world(self) -> World:
        chance, home = random.Random(SEED), self.networks[0]
        first = int(home.network_address)
        places = chance.sample(range(first, first + home.num_addresses), self.servers)
        return World(
            seed=SEED,
            scale=1,
            countries_by="",
            ranges=tuple(Range(network=each, country="", resets=self.refuses) for each in self.networks),
            servers=tuple(self._server(number, place, chance) for number, place in enumerate(places)),
            boxes=(),
        )

    def _server(self, number: int, place: int, chance: random.Random) -> Server:
        studies = chance.randint(FEWEST_STUDIES, MOST_STUDIES)
        own = Collection(seed=SEED, origin=number, studies=studies, images=studies * IMAGES + number)
        return Server(
            address=IPv4Address(place),
            port=self.ports[number % len(self.ports)],
            country="",
            kind=CLOSED[number // OF % len(CLOSED)] if number % OF == 0 else Kind.OPEN,
            whose=Whose.PATIENTS,
            holdings=Holdings(shelves=(Shelf(collection=own, count=studies),)),
        )

    def write(self, folder: Path, *, sweep: str) -> None:
        """`country.nft` for who answers, `scope.toml` for its auditor, who owns it, with the section `sweep`."""
        made = self.world()
        (folder / "country.nft").write_text(ruleset(made))
        terms = scope(made, dt.datetime.now(dt.UTC).date(), depth="census", rate=RATE, ports=self.ports)
        (folder / "scope.toml").write_text(f"{terms}\n{sweep}")

    def differences(self, report: dict[str, Any]) -> list[str]:
        """What a report (`show --json`) says differently, of any server: verdicts, counts, census."""
        services = {
            (service["endpoint"]["address"], service["endpoint"]["port"]): service for service in report["services"]
        }
        told = [
            f"{server.address}:{server.port} ({server.kind.value}): {what}"
            for server in self.world().servers
            for what in _differs(server, services.pop((str(server.address), server.port), None))
        ]
        return [*told, *(f"{address}:{port}: nothing is there" for address, port in services)]


RATE = 20_000
"""Connections a second of an audit."""


def _differs(server: Server, service: dict[str, Any] | None) -> list[str]:
    if service is None:
        return ["was not found"]
    verdicts = " ".join(service["access"][name] for name in ("talk", "list", "read", "write"))
    counts = {name: count["value"] for name, count in service["counts"].items() if count}
    sampled = (service["census"] or {}).get("sampled")
    held, is_open = server.holdings, server.kind.lists
    right = [
        ("verdicts", verdicts, ACCESS[server.kind]),
        ("studies", counts.get("studies"), held.studies if is_open else None),
        ("images", counts.get("images"), held.images if is_open else None),
        ("sampled records", sampled, min(held.studies, SAMPLE) if is_open else None),
    ]
    return [f"{what}: {said}, in truth {true}" for what, said, true in right if said != true]


async def _serve(country: Country) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with serving(country.world(), ports=country.ports):
        print("listening", flush=True)
        await ended.wait()


def main(arguments: Sequence[str]) -> None:
    networks, ports, servers, kind = arguments
    country = Country(
        networks=tuple(map(IPv4Network, networks.split(","))),
        ports=tuple(map(int, ports.split(","))),
        servers=int(servers),
        refuses=kind == "refusing",
    )
    asyncio.run(_serve(country))


if __name__ == "__main__":
    main(sys.argv[1:])
