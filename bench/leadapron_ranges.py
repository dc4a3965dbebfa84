"""Lead Apron's range requests at one web server: the first 4 KiB of each file that a list names, several asked for at once
over one connection, through the dialer of an audit."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from leadapron.model import Completed, Depth, Endpoint
from leadapron.net.conversation import Conversation, Limits
from leadapron.net.dialer import Line, hold
from leadapron.protocols.files import header
from leadapron.protocols.http.exchange import Client, Range

BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    name: str = "bench"
    endpoint: Endpoint
    targets: list[bytes]
    depth: Depth = Depth.COUNT
    in_clear: bool = True
    delay: float = 0.0
    limits: Limits = field(default_factory=lambda: Limits(deadline=600.0, max_received=8 << 30))

    def converse(self) -> Conversation[int]:
        client, done = Client(self.endpoint), 0
        for start in range(0, len(self.targets), BATCH):
            wanted = [Range(target=each, start=0, length=header.FIRST) for each in self.targets[start : start + BATCH]]
            pieces = yield from client.ranges(wanted)
            done += sum(isinstance(each, bytes) and each[128:132] == b"DICM" for each in pieces)
        return Completed(result=done)


class _Again:
    """Servers close a connection behind so many requests (nginx: 1,000): it may be opened again, and no other."""

    async def again(self) -> None:
        return None

    def beside(self, _port: int) -> NoReturn:
        raise AssertionError("nothing opens a second connection here")


def main(port: int, names: Path, count: int) -> None:
    targets = [name.encode() for name in names.read_text().splitlines()[:count]]
    job = Ranges(endpoint=Endpoint(address=ip_address("127.0.0.1"), port=port), targets=targets)
    begun = time.perf_counter()
    attempt = asyncio.run(hold(job.converse(), job.endpoint, Line(job.limits), job.limits, _Again()))
    seconds = time.perf_counter() - begun
    assert isinstance(attempt, Completed)
    print(json.dumps({"done": attempt.result, "seconds": seconds}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
