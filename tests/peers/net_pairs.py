"""Two network namespaces with a cable between them and no way to anywhere else: one sweeps, the other answers.

The answerer owns whole ranges (Linux's AnyIP: a local route), so that millions of addresses answer without a server each.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from real_servers import Namespace, require

SWEEPER, ANSWERER = "192.0.2.1", "192.0.2.2"
RANGE = "198.18.0.0/15"
_ALLOWED = frozenset({"loopback", "veth"})
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


class NotClosedError(Exception):
    """A namespace has an interface that may lead outside."""


@dataclass(frozen=True)
class Pair:
    sweeper: Namespace
    answerer: Namespace

    def sweeping(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, done by a thread whose sockets are in the sweeper. Checks before that they lead
        nowhere else."""
        check_closed(self.sweeper, self.answerer)
        return inside(self.sweeper, work)

    def load(self, folder: Path, rules: str, *, on: Namespace) -> None:
        """Rules of nftables, in place of any before."""
        file = folder / f"{on.name}.nft"
        file.write_text("flush ruleset\n" + rules)
        must(on, "nft", "-f", file)


@contextlib.contextmanager
def pair(ranges: Sequence[str] = (RANGE,)) -> Iterator[Pair]:
    """A pair; the answerer answers for every address of `ranges`, which the sweeper's only route leads to."""
    require("ip", "nft")
    name = f"la{os.getpid()}y{time.monotonic_ns() % 10**6}"
    both = Namespace(f"{name}s"), Namespace(f"{name}a")
    with contextlib.ExitStack() as stack:
        for each in both:
            subprocess.run(["ip", "netns", "add", each.name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", each.name], check=True)
        sweeper, answerer = both
        cable = ("cable", "netns", sweeper.name, "type", "veth", "peer", "name", "cable", "netns", answerer.name)
        subprocess.run(["ip", "link", "add", *cable], check=True)
        for each, address in zip(both, (SWEEPER, ANSWERER), strict=True):
            must(each, "ip", "link", "set", "lo", "up")
            must(each, "ip", "address", "add", f"{address}/30", "dev", "cable")
            must(each, "ip", "link", "set", "cable", "up")
        for network in ranges:
            must(sweeper, "ip", "route", "add", network, "via", ANSWERER)
            must(answerer, "ip", "route", "replace", "local", network, "dev", "lo", "table", "main")
        check_closed(*both)
        yield Pair(*both)


def inside(namespace: Namespace, work: Callable[[], T]) -> T:
    """What `work` returns or raises, done by a thread whose sockets are in the namespace."""

    def run() -> T:
        place = Path("/run/netns", namespace.name)
        with place.open() as file:
            assert ctypes.CDLL(None).setns(file.fileno(), _CLONE_NEWNET) == 0, namespace.name
        assert Path("/proc/thread-self/ns/net").stat().st_ino == place.stat().st_ino, "not in the namespace"
        return work()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()


def must(inside: Namespace, *command: object) -> str:
    done = inside.run(*command)
    assert done.returncode == 0, (command, done.stderr[-2000:])
    return done.stdout


def check_closed(*namespaces: Namespace) -> None:
    """Raises NotClosedError unless every interface is `lo`, or an end of a cable between two of these namespaces."""
    names = {each.name for each in namespaces}
    for each in namespaces:
        known = {
            entry["nsid"]: entry.get("name") for entry in json.loads(must(each, "ip", "-json", "netns", "list-id"))
        }
        for link in json.loads(must(each, "ip", "-json", "-details", "link")):
            kind = link.get("linkinfo", {}).get("info_kind", link["link_type"])
            if kind not in _ALLOWED:
                raise NotClosedError(f"{each.name} has {link['ifname']}, which is {kind}")
            if kind == "veth" and known.get(link.get("link_netnsid")) not in names:
                raise NotClosedError(f"{each.name} has {link['ifname']}, whose other end is elsewhere")
