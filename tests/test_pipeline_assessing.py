"""The deep stage begins with many at once, and hears those that it began with."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import Any

from leadapron.model import Endpoint
from leadapron.pipeline_assessing import Assessing


class Begun(Assessing):
    """The first of those that wait has a conversation of some milliseconds; what each other does first takes one."""

    def __init__(self, count: int) -> None:
        self._arrived, self._under_way = asyncio.Queue(), count
        self._moved = lambda *_: None
        self.heard_after = 0.0
        for number in range(count):
            self._arrived.put_nowait(((Endpoint(address=ip_address("198.18.0.1"), port=number), "dicom"), {}))
        self._arrived.put_nowait(None)

    async def assess_one(self, endpoint: Endpoint, _name: str, _jobs: dict[str, Any]) -> None:
        if endpoint.port:
            time.sleep(0.001)  # noqa: ASYNC251 - work of ours, which holds up the loop
            return
        begun = time.monotonic()
        for _ in range(5):
            await asyncio.sleep(0.001)
        self.heard_after = time.monotonic() - begun


def test_while_thousands_begin_the_first_are_heard() -> None:
    async def run() -> tuple[float, int]:
        assessing = Begun(2_000)
        await assessing.run()
        return assessing.heard_after, assessing._under_way

    heard_after, under_way = asyncio.run(run())
    assert heard_after < 1.0, "all others, which take two seconds, were begun before"
    assert under_way == 0
