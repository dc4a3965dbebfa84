"""`python -m leadapron.lab`: the estate in a process of its own; `python -m leadapron.lab world`: see `lab.world.commands`.

Prints one JSON line (scope, truth) once everything listens, and serves until its stdin closes: it never outlives who
started it. Ctrl-C and SIGTERM end it likewise. Then it prints what each server was asked. Binds loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from leadapron.errors import InputError
from leadapron.lab import estate
from leadapron.lab.listen import free_port, listening

STDIN = 0
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


async def serve(seed: int) -> None:
    """The estate, from its first line to its last."""
    hosts = {str(estate.address(host)): host for host in estate.hosts(seed)}
    ended = _end_of_input()
    doors = sorted({host.door for host in hosts.values()})
    async with contextlib.AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        for door in doors:
            serves = {address: host.serve for address, host in hosts.items() if host.door == door}
            ports[door] = await stack.enter_async_context(listening(serves))
        closed = free_port(list(hosts))
        today = dt.datetime.now(dt.UTC).date()
        until = today + dt.timedelta(days=1)
        tried = {door: [port, closed] if door == "dicom" else [port] for door, port in ports.items()}
        scope = estate.scope(tried, today.isoformat(), until.isoformat(), seed)
        _say({"scope": scope, "truth": estate.truth(list(hosts.values()), ports)})
        await ended.wait()
    _say({address: dict(host.asked) for address, host in hosts.items()})


def _end_of_input() -> asyncio.Event:
    """Set when stdin is at its end, or at SIGINT or SIGTERM."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    def read() -> None:
        # os.read, since a thread in sys.stdin.read() holds a lock that the end of the interpreter waits for
        with contextlib.suppress(OSError):
            while os.read(STDIN, 65_536):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    return ended


def _say(line: object) -> None:
    """One JSON line on stdout; into nothing when nobody reads any more."""
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _seed(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(estate.MAX_SEED))
    if not is_number or int(text) > estate.MAX_SEED:
        raise argparse.ArgumentTypeError(f"a seed is a number from 0 to {estate.MAX_SEED}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 also after Ctrl-C, 2 for a wrong option or where nothing can listen."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["world"]:
        from leadapron.lab.world.commands import main as world

        return world(given[1:])
    parser = argparse.ArgumentParser(prog="python -m leadapron.lab", description="The demo estate on loopback.")
    parser.add_argument("--seed", type=_seed, default=2020, help=f"of the made-up studies, 0 to {estate.MAX_SEED}")
    seed = parser.parse_args(given).seed
    try:
        asyncio.run(serve(seed))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:  # before it could be handled
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
