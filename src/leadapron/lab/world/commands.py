"""`python -m leadapron.lab world`: the world's truth, its ranges, its firewall, the scope of who sweeps it, and the world
itself, which serves until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from leadapron.errors import InputError
from leadapron.lab.archive import MAX_SEED
from leadapron.lab.world import rules
from leadapron.lab.world.closed import expect_closed
from leadapron.lab.world.generate import MAX_SCALE, world
from leadapron.lab.world.model import PORTS, World
from leadapron.lab.world.serve import serving
from leadapron.lab.world.truth import truth

EXIT_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """The exit code: 2 for a wrong option, and where the world must not be played."""
    options = _parser().parse_args(arguments)
    try:
        made = world(options.seed, options.scale)
        if options.command == "serve":
            asyncio.run(_serve(made))
        else:
            _written(_TEXTS[options.command](made, options), options.out)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m leadapron.lab world", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in _ABOUT.items():
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--seed", type=_number(0, MAX_SEED), default=2020, help=f"0 to {MAX_SEED}")
        command.add_argument("--scale", type=_number(1, MAX_SCALE), default=1, help=f"1:N, 1 to {MAX_SCALE}")
        if name != "serve":
            command.add_argument("--out", type=Path, help="the file; stdout by default")
        if name in ("ranges", "scope"):
            command.add_argument("--around", type=_number(8, 32), help="only /N around what stands there")
        if name == "scope":
            command.add_argument("--depth", choices=("connect", "talk", "count", "census"), default="count")
            command.add_argument("--rate", type=_number(1, 1_000_000), default=10_000, help="connections a second")
    return parser


_ABOUT = {
    "serve": "Play the world in this network namespace, which must have no way out, until SIGTERM.",
    "truth": "Write what an audit has to find.",
    "ranges": "Print the networks of the world, one a line.",
    "nft": "Print the firewall that keeps silent what is not there; only in a namespace without a way out.",
    "scope": "Write the scope file of who sweeps the world.",
}


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not is_number or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}")
        return int(text)

    return read


def _nft(made: World, _: Any) -> str:
    expect_closed()
    return rules.ruleset(made)


def _scope(made: World, options: Any) -> str:
    today = dt.datetime.now(dt.UTC).date()
    if options.out is not None and options.depth != "census":
        _written(rules.page(made), options.out.with_name(rules.PAGE))
    return rules.scope(made, today, depth=options.depth, around=options.around, rate=options.rate)


_TEXTS: dict[str, Callable[[World, Any], str]] = {
    "truth": lambda made, _: json.dumps(truth(made), indent=1) + "\n",
    "ranges": lambda made, options: "".join(f"{network}\n" for network in rules.swept(made, options.around)),
    "nft": _nft,
    "scope": _scope,
}


def _written(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}") from None


async def _serve(made: World) -> None:
    """One JSON line once everything listens, one with what was asked at the end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serving(made) as players:
        _say({"ready": True, "servers": len(made.servers), "boxes": len(made.boxes), "ports": list(PORTS)})
        await ended.wait()
    _say({"asked": dict(players.asked)})


def _say(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
