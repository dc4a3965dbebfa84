"""`make survey`: "Full Body Exposure" replayed. The world of `leadapron.lab.world` in one network namespace, the audit in
another, a cable between them and no way to anywhere else; then the run is held against the truth, which it never saw.

    python bench/survey.py [--scale 1] [--rate 400000] [--folder DIR] [--write docs/survey.md]

What the audit sends is counted by the firewall of its namespace: packets of the sweep, and bytes to each server that
accepted. `--write` puts the figures between the lines `<!-- survey -->` and `<!-- /survey -->`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "peers")]

from net_pairs import ANSWERER, Pair, must, pair  # noqa: E402
from real_servers import Namespace  # noqa: E402

from leadapron.model import Run  # noqa: E402
from leadapron.store.store import Store  # noqa: E402

SEED = 2020
INTERNET = 1 << 32
LONGEST = 4 * 3600
"""Seconds that an audit may take."""
COUNTERS = """
table ip survey {
  set sent { type ipv4_addr; flags dynamic; size 4194304; counter; }
  chain out {
    type filter hook output priority 0
    tcp flags & (syn | ack | rst) == syn meta l4proto tcp counter
    tcp flags & (syn | ack | rst) != syn update @sent { ip daddr }
  }
}
"""
"""A SYN goes to everybody; what goes to an address beside it, only to those that accepted."""
SYN_BYTES = 60
AUDIT = (sys.executable, "-m", "leadapron", "audit")

SWEEP = """
[sweep]
method = "syn"
packets_per_second = {rate}
cooldown_seconds = 3
"""


@dataclass(frozen=True)
class Measured:
    scale: int
    rate: int
    seconds: float
    run: Run
    comparison: Mapping[str, Any]
    bytes_to: Mapping[str, int]
    """by address"""
    syn: int
    """packets, counted by the firewall"""
    addresses: int
    exposed: frozenset[str]


class World:
    """Its commands."""

    def __init__(self, scale: int) -> None:
        self._options = ("--seed", str(SEED), "--scale", str(scale))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "leadapron.lab", "world", *words, *self._options]

    def write(self, what: str, path: Path, *options: str) -> None:
        subprocess.run([*self.command(what), *options, "--out", str(path)], check=True)

    def ranges(self) -> list[str]:
        return subprocess.run(self.command("ranges"), check=True, capture_output=True, text=True).stdout.split()


@contextlib.contextmanager
def played(world: World, folder: Path) -> Iterator[Pair]:
    """The world in the answerer, its routes in both."""
    ranges = world.ranges()
    with pair([]) as both:
        for inside, line in ((both.sweeper, "{} via " + ANSWERER), (both.answerer, "local {} dev lo table main")):
            text = "".join(f"route add {line.format(each)}\n" for each in ranges)
            subprocess.run(["ip", "-n", inside.name, "-batch", "-"], input=text, text=True, check=True)
        (folder / "world.nft").write_text(must(both.answerer, *world.command("nft")))
        must(both.answerer, "nft", "-f", folder / "world.nft")
        (folder / "counters.nft").write_text(COUNTERS)
        must(both.sweeper, "nft", "-f", folder / "counters.nft")
        with serving(world, both.answerer):
            yield both


@contextlib.contextmanager
def serving(world: World, inside: Namespace) -> Iterator[None]:
    with subprocess.Popen(inside.command(*world.command("serve")), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline(), "the world does not listen"
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def measure(scale: int, rate: int, folder: Path, audit: Sequence[str] = AUDIT) -> Measured:
    """`audit`: the command, to which the scope file is added."""
    world = World(scale)
    world.write("truth", folder / "truth.json")
    world.write("scope", folder / "scope.toml", "--rate", "5000")
    with (folder / "scope.toml").open("a") as file:
        file.write(SWEEP.format(rate=rate))
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": f"sqlite:///{folder}/s.db"}
    with played(world, folder) as both:
        begun = time.monotonic()
        with (folder / "audit.txt").open("w") as out:
            command = both.sweeper.command(*audit, folder / "scope.toml")
            done = subprocess.run(command, env=environment, cwd=folder, stdout=out, timeout=LONGEST, check=False)
        seconds = time.monotonic() - begun
        assert done.returncode in (0, 1), done.returncode
        syn, bytes_to = counted(both.sweeper)
    truth = json.loads((folder / "truth.json").read_text())
    compare = [sys.executable, "-m", "leadapron", "survey", "compare", str(folder / "truth.json"), "--json"]
    compared = subprocess.run(compare, env=environment, check=False, capture_output=True, text=True)
    with Store.open(environment["LEADAPRON_STORE"], create=False) as store:
        run = store.run()
    return Measured(
        scale=scale,
        rate=rate,
        seconds=seconds,
        run=run,
        comparison=json.loads(compared.stdout),
        bytes_to=bytes_to,
        syn=syn,
        addresses=sum(1 << (32 - int(each.split("/")[1])) for each in world.ranges()),
        exposed=frozenset(server["address"] for server in truth["servers"] if server["exposed"]),
    )


def counted(inside: Namespace) -> tuple[int, dict[str, int]]:
    """SYN packets, and bytes to each address beside them."""
    listed = json.loads(must(inside, "nft", "-j", "list", "table", "ip", "survey"))["nftables"]
    rules = [part for each in listed if "rule" in each for part in each["rule"]["expr"]]
    syn = next(part["counter"]["packets"] for part in rules if "counter" in part)
    (held,) = [each["set"] for each in listed if "set" in each]
    elements = (each["elem"] for each in held.get("elem", ()))
    return syn, {each["val"]: each["counter"]["bytes"] for each in elements}


def table(of: Measured) -> str:
    """The figures as Markdown."""
    found, run, figures = of.comparison, of.run, of.run.sweep
    assert figures is not None
    rate = figures.sent / figures.asking
    images = found["totals"]["unique_images"]
    to_open = sorted(of.bytes_to.get(address, 0) + SYN_BYTES for address in of.exposed)
    cpu = ", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in run.cpu.items())
    rows = [
        ("addresses, and addresses with each of the ports", f"{of.addresses:,}, {run.endpoints_tried:,}"),
        ("open servers found, of those there", f"{found['found']:,} of {found['exposed']:,}"),
        ("countries with open servers found", countries(found)),
        (
            "false alarms, and servers taken for others than they are",
            f"{len(found['false_alarms'])}, {len(found['genuineness'])}",
        ),
        (
            "unique images, and the truth",
            f"{images['found']['value']:,} and {images['truth']:,} ({images['error']:+.2%})",
        ),
        ("the interval that the run states", interval(images)),
        ("wall time", f"{of.seconds:,.0f} s"),
        (
            "SYN packets of the sweep, of all",
            f"{figures.sent:,}, {of.syn:,} ({figures.sent_bytes / 1e9:,.1f} GB)",
        ),
        ("packets a second while it swept", f"{rate:,.0f} (told to send {of.rate:,})"),
        ("answers late, invalid, lost", f"{figures.late:,}, {figures.invalid:,}, {figures.lost:,}"),
        ("bytes to an open server: median, most", f"{statistics.median(to_open):,.0f}, {to_open[-1]:,}"),
        ("processor seconds by stage", cpu),
        ("memory of the process that swept, at most", f"{figures.memory / (1 << 20):,.0f} MiB"),
        (
            "extrapolated, not measured: all of IPv4 at one port, at this rate",
            f"{INTERNET / rate / 3600:,.1f} h for the packets alone",
        ),
    ]
    lines = [f"{machine()}; scale 1:{of.scale}, seed {SEED}.", "", "| what | measured |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)])


def countries(found: Mapping[str, Any]) -> str:
    whole = [each for each in found["countries"].values() if each["servers_found"] == each["servers"]]
    return f"{len(whole)} of {len(found['countries'])}, each with all of its servers"


def interval(held: Mapping[str, Any]) -> str:
    low, high = held["found"]["low"], held["found"]["high"]
    bound = "no upper bound" if high is None else f"{high:,}"
    return f"{low:,} to {bound}: {'holds' if held['holds_the_truth'] else 'does not hold'} the truth"


def machine() -> str:
    return f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def write(path: Path, text: str) -> None:
    between = re.compile(r"(?<=<!-- survey -->\n).*?(?=<!-- /survey -->)", re.DOTALL)
    path.write_text(between.sub(lambda _: f"\n{text}\n\n", path.read_text(), count=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--rate", type=int, default=400_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measured = measure(options.scale, options.rate, folder)
    text = table(measured)
    print(text)
    if options.write is not None:
        write(options.write, text)
    return 0 if measured.comparison["found_the_truth"] else 1


if __name__ == "__main__":
    sys.exit(main())
