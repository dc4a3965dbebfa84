"""The scheduler and the worker as processes that run until they are told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from pathlib import Path

from leadapron.cluster.calling import shifts
from leadapron.cluster.certificates import SCHEDULER, WORKER
from leadapron.cluster.links import QuietScheduler, QuietWorker, log_as_we_do, security
from leadapron.errors import InputError
from leadapron.model import VantageKind
from leadapron.settings import data_directory, make_private_directory

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds between two tries to reach the scheduler."""
MEMORY = 1 << 30
"""Bytes that Dask may hold in a worker: what it is given are orders, what it returns is a line."""


def vantage_resource(kind: VantageKind) -> str:
    """A worker has one of its kind: so it has one shift at a time, and only of runs that look from there."""
    return f"vantage-{kind.value}"


def serve_scheduler(*, host: str, port: int, certificates: Path) -> None:
    """Until SIGINT or SIGTERM. Raises InputError."""
    asyncio.run(_scheduler(host, port, certificates))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTerms:
    scheduler: str
    """`tls://HOST:PORT`"""
    host: str
    """the own address, to listen on"""
    port: int
    name: str
    vantage: VantageKind
    certificates: Path


def serve_worker(terms: WorkerTerms) -> None:
    """Until SIGINT or SIGTERM; then shifts give back what they hold. Raises InputError."""
    asyncio.run(_worker(terms))


async def _scheduler(host: str, port: int, certificates: Path) -> None:
    secured, ended = security(certificates, SCHEDULER), _told_to_end()
    log_as_we_do()
    try:
        async with QuietScheduler(protocol="tls", host=host, port=port, security=secured, dashboard=False):
            log.warning("the scheduler listens on %s:%s", host, port)
            await ended.wait()
    except OSError as error:
        raise InputError(f"the scheduler cannot listen on {host}:{port}: {error.strerror}") from None


async def _worker(terms: WorkerTerms) -> None:
    secured, ended = security(terms.certificates, WORKER), _told_to_end()
    log_as_we_do()
    scratch = make_private_directory(data_directory() / "dask")
    try:
        while not ended.is_set():
            shifts.let_go.clear()
            worker = QuietWorker(
                terms.scheduler,
                security=secured,
                host=terms.host,
                port=terms.port,
                nthreads=1,
                name=terms.name,
                resources={vantage_resource(terms.vantage): 1},
                local_directory=str(scratch),
                memory_limit=MEMORY,
                dashboard=False,
                death_timeout=30,
            )
            worker.on_close = shifts.let_go.set
            await _attend(worker, ended)
            await _until(ended, AGAIN)
    finally:
        await asyncio.to_thread(shifts.close)


async def _attend(worker: QuietWorker, ended: asyncio.Event) -> None:
    """Until it is closed, by us or since its scheduler is gone."""
    try:
        await worker
        log.warning("%s is at work for %s", worker.name, worker.scheduler.address)
        closed = worker.finished()  # type: ignore[no-untyped-call]
        waiting = [asyncio.create_task(each) for each in (ended.wait(), closed)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
    except (OSError, TimeoutError, RuntimeError) as error:
        log.warning("the scheduler cannot be reached: %s", type(error).__name__)
    finally:
        shifts.let_go.set()
        await worker.close(timeout=AGAIN, executor_wait=False, reason="leadapron")


async def _until(ended: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)


def _told_to_end() -> asyncio.Event:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    return ended
