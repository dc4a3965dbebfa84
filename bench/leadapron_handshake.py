"""Lead Apron's wide engine, as an audit uses it: the hello of its DICOM probe, one connection an address at a time.

`--armed`: with the gate's audit hook under every socket, as in an audit.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import repeat
from pathlib import Path

from leadapron.net.target import Outcome, Target
from leadapron.net.wide import WideEngine
from leadapron.protocols.dicom.probe import Dicom
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm


def targets(first: int, count: int, port: int) -> Iterator[Target]:
    return map(Target._make, zip(range(first, first + count), repeat(4), repeat(port), repeat(None)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=IPv4Address)
    for name in ("count", "sockets", "port", "timeout_ms"):
        parser.add_argument(name, type=int)
    parser.add_argument("--armed", type=Path, metavar="SCOPE")
    given = parser.parse_args()
    if given.armed is not None:
        arm(Gate(load_scope(given.armed)))
    hello = Dicom().hello("LEADAPRON")
    outcomes: Counter[Outcome] = Counter()

    def sink(_target: Target, outcome: Outcome, _answer: bytes) -> None:
        outcomes[outcome] += 1

    begun = time.perf_counter()
    WideEngine(concurrency=given.sockets, timeout=given.timeout_ms / 1e3).run(
        targets(int(given.first), given.count, given.port),
        sink,
        hello=hello.request,
        whole=hello.whole,
        farewell=hello.farewell,
        max_answer=hello.max_answer,
        exclusive=True,
    )
    seconds = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "accepted": outcomes.pop(Outcome.ANSWERED, 0),
        "refused": outcomes.pop(Outcome.REFUSED, 0),
        "timeouts": outcomes.pop(Outcome.TIMEOUT, 0),
        "others": outcomes.total(),
    }
    print(json.dumps({"done": given.count, **found, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
