"""`python -m leadapron.lab`: the estate in a process of its own.

Prints one JSON line (scope, truth) once everything listens, and serves until its stdin closes: it never outlives who
started it. Then it prints what each server was asked. Binds loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import socket
import sys

from leadapron.lab import estate

TRIES = 50


def free_port(addresses: list[str]) -> int:
    """A port that is free on all addresses."""
    for _ in range(TRIES):
        with socket.socket() as first:
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
        if all(_is_free(address, port) for address in addresses):
            return port
    raise SystemExit("no port is free on all addresses of the demo estate")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


async def main(seed: int) -> None:
    hosts = list(estate.hosts(seed))
    addresses = [str(estate.address(host)) for host in hosts]
    port, closed = free_port(addresses), free_port(addresses)
    servers = [
        await asyncio.start_server(host.serve, address, port, backlog=1024)
        for host, address in zip(hosts, addresses, strict=True)
    ]
    today = dt.datetime.now(dt.UTC).date()
    until = today + dt.timedelta(days=1)
    line = {
        "scope": estate.scope([port, closed], today.isoformat(), until.isoformat()),
        "truth": estate.truth(hosts, port),
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        server.close()
    asked = {str(estate.address(host)): dict(host.asked) for host in hosts}
    sys.stdout.write(json.dumps(asked) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m leadapron.lab", description="The demo estate on loopback.")
    parser.add_argument("--seed", type=int, default=2020)
    asyncio.run(main(parser.parse_args().seed))
