"""Runs the jobs of the deep stages: the gate before each dial, one connection at a time per host, pace, gaps, stop.

The job boundary is here: a broad `except`. Our mistakes become `Failed(bug)`, and the run goes on. (The hello of the wide
stage has a boundary of its own, in `leadapron.pipeline`.)
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
from typing import Any, NamedTuple

from leadapron.errors import RunStopped
from leadapron.model import Address, Attempt, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Job, Lost
from leadapron.net.dialer import Line, hold
from leadapron.net.gaps import Gaps
from leadapron.net.hosts import Hosts
from leadapron.net.pace import Pace
from leadapron.scope.decision import Denial, Permit
from leadapron.scope.gate import Gate

log = logging.getLogger(__name__)

OnDecided = Callable[[Endpoint, str, Permit | Denial], None]
"""Told of each decision that is acted on: endpoint and name of the job that is dialled, not dialled, or cut."""

WATCH_INTERVAL = 0.5
"""Seconds between two looks at the gate while a connection is open."""


class Ran(NamedTuple):
    """How a job came out, and for how many seconds it had a connection."""

    attempt: Attempt[Any]
    seconds: float = 0.0


async def all_of(coroutines: Iterable[Coroutine[Any, Any, None]], *, beside: Coroutine[Any, Any, None]) -> None:
    """Run all at once, and `beside` for as long. When one raises, the others are ended, and what it raised is raised."""
    try:
        async with asyncio.TaskGroup() as outer:
            watching = outer.create_task(beside)
            async with asyncio.TaskGroup() as group:
                for coroutine in coroutines:
                    group.create_task(coroutine)
            watching.cancel()
    except BaseExceptionGroup as several:
        raise _first(several) from None


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    error = several.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


class Executor:
    """Runs jobs, at most `concurrency` at once."""

    def __init__(
        self,
        gate: Gate,
        pace: Pace,
        *,
        concurrency: int = 512,
        gaps: Gaps | None = None,
        hosts: Hosts | None = None,
        on_decided: OnDecided = lambda *_: None,
    ) -> None:
        """`hosts`: shared with others that connect."""
        self._gate, self._pace, self._gaps = gate, pace, gaps or Gaps(gate.gap_at, gate.lane_of)
        self._on_decided = on_decided
        self._slots = asyncio.Semaphore(concurrency)
        self._hosts = hosts or Hosts()
        self._zones: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """one of a zone with a gap is on its way at a time"""
        self._open: dict[Line, Job[Any]] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Cut every open connection; jobs that wait end as stopped."""
        self._stopping.set()
        for line in list(self._open):
            line.cut(Reason.STOPPED)

    def halt(self, is_meant: Callable[[Address], bool]) -> None:
        """Cut the open connections to the addresses that are meant."""
        for line, job in list(self._open.items()):
            if is_meant(job.endpoint.address):
                line.cut(Reason.STOPPED)

    async def run(self, job: Job[Any], is_called_off: Callable[[], bool] = lambda: False) -> Ran:
        """Run one job, unless it is called off before it dials. Never raises for what a peer, or a protocol module, does.

        Raises RunStopped where the run must not go on.
        """
        address, port = job.endpoint.address, job.endpoint.port

        def is_over() -> bool:
            return self._stopping.is_set() or is_called_off()

        async with self._hosts.held(address), contextlib.AsyncExitStack() as held:
            await self._pause(job.delay)
            permit = self._gate.decide(address, port, job.depth)
            if isinstance(permit, Permit) and not is_over():
                await self._turn(held, permit, is_over)
                permit = self._gate.decide(address, port, job.depth)
            if is_over():
                return Ran(Failed(stage=Stage.CONNECT, reason=Reason.STOPPED))
            self._on_decided(job.endpoint, job.name, permit)
            if not isinstance(permit, Permit):
                return Ran(Failed(stage=Stage.CONNECT, reason=Reason.OUT_OF_SCOPE, detail=permit.reason.value))
            begun = time.monotonic()
            return Ran(await self._dial(job, is_over), time.monotonic() - begun)

    async def _turn(self, held: contextlib.AsyncExitStack, permit: Permit, is_over: Callable[[], bool]) -> None:
        """Wait for the gap of the zone, then for a slot, which stays `held`, then for the pace.

        Who waits for a gap holds no slot. The gap begins when all waits are over: at the moment of the dial.
        """
        if not permit.gap_seconds:
            await self._take_slot(held, permit.address)
            return
        async with self._zones[self._gaps.lane_of(permit.zone)]:
            if not is_over():
                await self._pause(self._gaps.free_at(permit.zone) - time.monotonic())
                await self._take_slot(held, permit.address)
                self._gaps.take(permit.zone, time.monotonic(), permit.gap_seconds)

    async def _take_slot(self, held: contextlib.AsyncExitStack, address: Address) -> None:
        await held.enter_async_context(self._slots)
        ready = self._pace.ready_at(int(address), address.version)
        await self._pause(ready - time.monotonic())

    async def _pause(self, seconds: float) -> None:
        """So many seconds, or until the stop."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _dial(self, job: Job[Any], is_over: Callable[[], bool]) -> Attempt[Any]:
        line = Line(job.limits)
        self._open[line] = job
        try:
            return await hold(job.converse(), job.endpoint, line, job.limits, _Ways(self, job, is_over))
        except RunStopped:
            raise
        except Exception as error:  # noqa: BLE001 - the job boundary
            return bug(job.name, error)
        finally:
            del self._open[line]

    # -- what a job opens behind its first connection (`Ways`) ---------------------------------------------------------

    async def dial_again(self, job: Job[Any], is_over: Callable[[], bool]) -> None:
        """To the same endpoint. Its slot is held already. Raises Lost."""
        address, port = job.endpoint.address, job.endpoint.port
        permit = self._gate.decide(address, port, job.depth)
        if isinstance(permit, Permit) and not is_over():
            async with contextlib.AsyncExitStack() as held:
                if permit.gap_seconds:
                    await held.enter_async_context(self._zones[self._gaps.lane_of(permit.zone)])
                    await self._pause(self._gaps.free_at(permit.zone) - time.monotonic())
                await self._pause(self._pace.ready_at(int(address), address.version) - time.monotonic())
                if permit.gap_seconds:
                    self._gaps.take(permit.zone, time.monotonic(), permit.gap_seconds)
            permit = self._gate.decide(address, port, job.depth)
        if is_over():
            raise Lost(Reason.STOPPED)
        self._on_decided(job.endpoint, job.name, permit)
        if not isinstance(permit, Permit):
            raise Lost(Reason.OUT_OF_SCOPE)

    @contextlib.asynccontextmanager
    async def dial_beside(self, job: Job[Any], port: int) -> AsyncIterator[None]:
        """To another port of the host of a job, while its own connection stands. Raises Lost."""
        address = job.endpoint.address
        permit = self._gate.decide(address, port, job.depth, beside=job.endpoint.port)
        self._on_decided(Endpoint(address=address, port=port), f"{job.name} beside {job.endpoint.port}", permit)
        if not isinstance(permit, Permit):
            raise Lost(Reason.OUT_OF_SCOPE)
        await self._pause(self._pace.ready_at(int(address), address.version) - time.monotonic())
        with self._gate.beside(address, port):
            yield

    async def watch(self, each: Callable[[], None]) -> None:
        """Until cancelled: call `each`, then cut every open connection that the gate no longer permits."""
        cut: set[Line] = set()
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            each()
            cut &= self._open.keys()
            for line, job in [(line, job) for line, job in self._open.items() if line not in cut]:
                permit = self._gate.decide(job.endpoint.address, job.endpoint.port, job.depth)
                if not isinstance(permit, Permit):
                    cut.add(line)
                    line.cut(Reason.OUT_OF_SCOPE)
                    self._on_decided(job.endpoint, job.name, permit)


class _Ways:
    """Of one job."""

    def __init__(self, executor: Executor, job: Job[Any], is_over: Callable[[], bool]) -> None:
        self._executor, self._job, self._is_over = executor, job, is_over

    async def again(self) -> None:
        await self._executor.dial_again(self._job, self._is_over)

    def beside(self, port: int) -> contextlib.AbstractAsyncContextManager[None]:
        return self._executor.dial_beside(self._job, port)


def bug(job: str, error: Exception) -> Failed:
    """What a job comes to that raised what it may not. No message, no locals: they may hold a value."""
    what = f"{type(error).__name__} at {_place(error)}"
    log.error("bug in job %s: %s", job, what)
    return Failed(stage=Stage.CONNECT, reason=Reason.BUG, detail=what)


def _place(error: BaseException) -> str:
    """File and line where an exception was raised. Its message stays unread: it may hold a value."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
