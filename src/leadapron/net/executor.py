"""Runs the jobs of the deep stages: the gate before each dial, one connection at a time per host, pace, gaps, stop.

The job boundary is here: the one place with a broad `except`. Our mistakes become `Failed(bug)`, the run goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from leadapron.model import Address, Attempt, Failed, Reason, Stage
from leadapron.net.conversation import Job
from leadapron.net.dialer import Line, hold
from leadapron.net.gaps import Gaps
from leadapron.net.pace import Pace
from leadapron.scope.decision import Permit
from leadapron.scope.gate import Gate

log = logging.getLogger(__name__)

WATCH_INTERVAL = 0.5
"""Seconds between two looks at the gate while a connection is open."""


async def all_of(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once. When one raises, the others are ended, and what it raised is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


class Executor:
    """Runs jobs, at most `concurrency` at once."""

    def __init__(self, gate: Gate, pace: Pace, *, concurrency: int = 512, gaps: Gaps | None = None) -> None:
        self._gate, self._pace, self._gaps = gate, pace, gaps or Gaps(gate.gap_at)
        self._slots = asyncio.Semaphore(concurrency)
        self._hosts: defaultdict[Address, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[Address, int] = defaultdict(int)
        self._open: dict[Line, Job[Any]] = {}
        self._stopped = False

    def stop(self) -> None:
        """Cut every open connection; jobs that wait end as stopped."""
        self._stopped = True
        for line in list(self._open):
            line.cut(Reason.STOPPED)

    def _is_stopped(self) -> bool:
        return self._stopped

    async def run(self, job: Job[Any]) -> Attempt[Any]:
        """Run one job. Never raises for what a peer, or a protocol module, does."""
        address = job.endpoint.address
        async with self._host(address), self._slots:
            if job.delay:
                await asyncio.sleep(job.delay)
            if self._is_stopped():
                return Failed(stage=Stage.CONNECT, reason=Reason.STOPPED)
            permit = self._gate.decide(address, job.endpoint.port, job.depth)
            if isinstance(permit, Permit):
                await self._wait_for_turn(job, permit)
                permit = self._gate.decide(address, job.endpoint.port, job.depth)
            if not isinstance(permit, Permit):
                return Failed(stage=Stage.CONNECT, reason=Reason.OUT_OF_SCOPE, detail=permit.reason.value)
            return await self._dial(job)

    @contextlib.asynccontextmanager
    async def _host(self, address: Address) -> AsyncIterator[None]:
        """One connection at a time per host."""
        self._waiting[address] += 1
        try:
            async with self._hosts[address]:
                yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address], self._hosts[address]

    async def _wait_for_turn(self, job: Job[Any], permit: Permit) -> None:
        address = job.endpoint.address
        now = time.monotonic()
        ready = self._pace.ready_at(int(address), address.version)
        if permit.zone:
            ready = max(ready, self._gaps.free_at(permit.zone))
            self._gaps.take(permit.zone, ready, permit.gap_seconds)
        await asyncio.sleep(max(0.0, ready - now))

    async def _dial(self, job: Job[Any]) -> Attempt[Any]:
        if self._is_stopped():
            return Failed(stage=Stage.CONNECT, reason=Reason.STOPPED)
        line = Line(job.limits)
        self._open[line] = job
        try:
            return await hold(job.converse(), job.endpoint, line, job.limits)
        except Exception as error:  # noqa: BLE001 - the job boundary
            place = _place(error)
            log.error("bug in job %s: %s at %s", job.name, type(error).__name__, place)  # noqa: TRY400 - no message, no locals
            return Failed(stage=Stage.CONNECT, reason=Reason.BUG, detail=f"{type(error).__name__} at {place}")
        finally:
            del self._open[line]

    async def watch(self, each: Callable[[], None]) -> None:
        """Until cancelled: call `each`, then cut every open connection that the gate no longer permits."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            each()
            for line, job in list(self._open.items()):
                permit = self._gate.decide(job.endpoint.address, job.endpoint.port, job.depth)
                if not isinstance(permit, Permit):
                    line.cut(Reason.OUT_OF_SCOPE)


def _place(error: BaseException) -> str:
    """File and line where an exception was raised. Its message stays unread: it may hold a value."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
