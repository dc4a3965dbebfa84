"""The stages at work at the same time: what the sweep reaches is greeted, and what was greeted is asked, seconds later.

    sweep ─► arrived ─► greeting (protocols with one first exchange for all) ─► crowd? ─► assessing
                   └──► assessing (the others)                                    └─ put off until all are in

Each step holds a bounded number of endpoints, and the step before it waits: the sweep slows down in place of filling
memory. Everything is written before the next step hears of it, so that a process that is killed goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from leadapron.discover.middlebox import Crowd
from leadapron.model import Address, Endpoint
from leadapron.net.executor import all_of
from leadapron.pipeline_assessing import Assessing, Moved
from leadapron.pipeline_context import Context
from leadapron.pipeline_evidence import Door, Jobs
from leadapron.pipeline_greeting import Greeting
from leadapron.protocols.base import Payload

GREETINGS = 8192
"""Endpoints that wait for their greeting, with which the sweep is held up."""


class Flow:
    """Of one run."""

    def __init__(self, context: Context, moved: Moved = lambda *_: None) -> None:
        """`moved`: told of each door that is taken up (1), and that is through or put off (-1)."""
        self._context, self._moved = context, moved
        self._assessing = Assessing(context, moved)
        self._crowds: defaultdict[str, Crowd] = defaultdict(Crowd)
        """by protocol"""
        self._greetings = {
            protocol.name: Greeting(
                context,
                protocol,
                hello,
                told=partial(self._greeted, protocol.name),
                left=lambda endpoint: moved(endpoint, -1),
                is_held=self._assessing.is_full,
            )
            for protocol in context.protocols.values()
            if (hello := protocol.hello(context.scope.contact.calling_aet)) is not None
        }

    async def run(self, sweeping: Coroutine[Any, Any, None]) -> None:
        """Until the sweep is over and all that it reached has been asked, or the run is to stop."""
        progress = self._context.progress
        self.go_on()
        await self.beside(sweeping)
        progress.end("identify")
        await self._assessing.rest()
        progress.end("assess")

    async def beside(self, source: Coroutine[Any, Any, None]) -> None:
        """Until `source`, which says what arrived, is over, and all of that has been asked or put off."""
        await all_of([self._wide(source), self._assessing.run()], beside=self._assessing.watch())

    async def greet_stored(self) -> None:
        """The first exchanges alone."""
        self.go_on(deep=False)
        for greeting in self._greetings.values():
            greeting.close()
            await greeting.run()

    def is_full(self) -> bool:
        """Whether the sweep has to wait."""
        return self._assessing.is_full() or any(len(greeting) >= GREETINGS for greeting in self._greetings.values())

    def arrived(self, endpoint: Endpoint) -> None:
        """What the sweep reached."""
        for door in self._context.evidence.doors([endpoint]):
            if (greeting := self._greetings.get(door[1])) is not None:
                self._greet(greeting, endpoint)
            elif self._context.evidence.begins_deep(door):
                self._assessing.put(door, {})

    def put_rest(self, is_mine: Callable[[Address], bool]) -> list[Endpoint]:
        """See `Assessing.put_rest`."""
        return self._assessing.put_rest(is_mine)

    def leave_alone(self, places: Mapping[str, Endpoint]) -> None:
        """See `Assessing.leave_alone`."""
        self._assessing.leave_alone(places)

    def go_on(
        self, is_mine: Callable[[Address], bool] = lambda _: True, *, deep: bool = True, is_early: bool = False
    ) -> None:
        """With what an earlier process of this run, or another one, reached. `is_early`: others reach more meanwhile, so
        that a middlebox may not be known yet; who may be part of one is put off."""
        context = self._context
        known, hits = context.store.attempts(context.run.id), context.store.hits(context.run.id)
        for endpoint, name in context.evidence.doors(hit for hit in hits if is_mine(hit.address)):
            if name in self._greetings and "hello" not in known.get((endpoint, name), {}):
                self._greet(self._greetings[name], endpoint)
        if deep:
            for door, jobs in context.evidence.to_assess(known, hits).items():
                if is_mine(door[0].address) and not (is_early and self._waits(door, jobs)):
                    self._assessing.put(door, jobs)

    def _waits(self, door: Door, jobs: Jobs) -> bool:
        """Whether it has said its hello alone, and may be part of a middlebox."""
        endpoint, name = door
        return jobs.keys() == {"hello"} and self._crowds[name].joins(endpoint, jobs["hello"])

    def _greet(self, greeting: Greeting, endpoint: Endpoint) -> None:
        self._moved(endpoint, 1)
        greeting.put(endpoint)

    async def _wide(self, sweeping: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as group:
            for greeting in self._greetings.values():
                group.create_task(greeting.run())
            await sweeping
            for greeting in self._greetings.values():
                greeting.close()
        self._assessing.close()

    def _greeted(self, name: str, endpoint: Endpoint, hello: Payload) -> None:
        door = endpoint, name
        if not self._crowds[name].joins(endpoint, hello) and not self._context.evidence.was_alike(door, hello):
            self._assessing.put(door, {"hello": hello})
        self._moved(endpoint, -1)
