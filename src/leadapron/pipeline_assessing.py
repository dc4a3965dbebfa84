"""The deep stage: every service is asked what it tells a stranger, hundreds of services at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from leadapron.identify.match import IDENTIFY
from leadapron.model import Address, Depth, Endpoint
from leadapron.net.conversation import Job
from leadapron.net.executor import Executor, all_of
from leadapron.net.line import permitted_sockets
from leadapron.pipeline_context import Context
from leadapron.pipeline_evidence import Door, Jobs, ended_by_us
from leadapron.protocols.base import Case, Payload, Protocol, Terms

log = logging.getLogger(__name__)

Moved = Callable[[Endpoint, int], object]

DEEP_SHARE = 4
"""The deep stage holds this part of the sockets of the wide ones: hundreds that say nothing hold up no others."""
UNDER_WAY = 4
"""Doors that are begun for each socket of the deep stage; with more, the stages before wait."""


class Assessing:
    """Of one run."""

    def __init__(self, context: Context, moved: Moved = lambda *_: None) -> None:
        """`moved`: told of each door that is put in (1), and that is through (-1)."""
        self._context, self._moved = context, moved
        self._sockets = permitted_sockets(max(16, context.options.concurrency // DEEP_SHARE))
        self._executor = Executor(
            context.gate,
            context.pace,
            concurrency=self._sockets,
            gaps=context.gaps,
            hosts=context.hosts,
            on_decided=context.decided,
        )
        self._arrived: asyncio.Queue[tuple[Door, Jobs] | None] = asyncio.Queue()
        self._under_way = 0
        self._asked: set[Door] = set()

    # -- as they come in -----------------------------------------------------------------------------------------------

    def put(self, door: Door, jobs: Jobs) -> None:
        """To be asked, with what is known already; each door once."""
        if door not in self._asked:
            self._asked.add(door)
            self._under_way += 1
            self._moved(door[0], 1)
            self._context.progress.more("assess", 1)
            self._arrived.put_nowait((door, jobs))

    def close(self) -> None:
        """No more comes."""
        self._arrived.put_nowait(None)

    def is_full(self) -> bool:
        return self._under_way >= UNDER_WAY * self._sockets

    async def run(self) -> None:
        """Ask until it is closed and all have answered."""
        async with asyncio.TaskGroup() as group:
            while (arrived := await self._arrived.get()) is not None:
                group.create_task(self._counted(*arrived))
                await asyncio.sleep(
                    0
                )  # where thousands wait, as on resume, the first ones are heard while others begin

    async def _counted(self, door: Door, jobs: Jobs) -> None:
        try:
            await self.assess_one(*door, dict(jobs))
        finally:
            self._under_way -= 1
            self._moved(door[0], -1)

    async def watch(self) -> None:
        """Until cancelled: end what the gate no longer permits, and everything once the run is to stop."""
        await self._executor.watch(self._stop_if_asked)

    def _stop_if_asked(self) -> None:
        if self._context.control.should_stop():
            self._executor.stop()

    # -- what is left --------------------------------------------------------------------------------------------------

    async def rest(self) -> None:
        """Whoever was not asked yet, by all that is known: what was put off until the others of a range had answered, and
        whom the witnesses of a middlebox free (see `Evidence.to_assess`), once."""
        while not self._context.control.should_stop() and self.put_rest():
            self.close()
            await all_of([self.run()], beside=self.watch())

    def put_rest(self, is_mine: Callable[[Address], bool] = lambda _: True) -> list[Endpoint]:
        """Put in who waits, by all that is known now: of each door the endpoint."""
        context = self._context
        known, hits = context.store.attempts(context.run.id), context.store.hits(context.run.id)
        cases = context.evidence.to_assess(known, hits)
        waiting = {door: jobs for door, jobs in cases.items() if door not in self._asked and is_mine(door[0].address)}
        for door, jobs in waiting.items():
            self.put(door, jobs)
        return [endpoint for endpoint, _ in waiting]

    # -- one of them ---------------------------------------------------------------------------------------------------

    async def assess_one(self, endpoint: Endpoint, name: str, jobs: dict[str, Payload]) -> None:
        context = self._context
        protocol = context.protocols[name]
        again = self._to_ask_again(protocol, endpoint, context.terms.at(endpoint), jobs)
        while True:
            # The terms are asked anew for each job: the scope may be narrower now.
            case = Case(endpoint=endpoint, terms=context.terms.at(endpoint), attempts=jobs)
            if (job := protocol.next_job(case, IDENTIFY)) is None:
                break
            attempt, seconds = await self._executor.run(job, partial(self._is_called_off, job))
            payload = protocol.encode_attempt(attempt, seconds)
            if (why := ended_by_us(attempt)) is not None:
                context.evidence.left_out[endpoint, name][job.name] = why
                context.evidence.cut_short[endpoint, name][job.name] = payload
                break
            jobs[job.name] = payload
            context.store.record_attempt(
                context.run.id,
                endpoint,
                name,
                job.name,
                payload,
                shown=protocol.shown(attempt),
                again=job.name in again,
            )
        if protocol.no_longer_answers(case):
            self._halt(endpoint)
        context.progress.advance("assess", 1)

    def _is_called_off(self, job: Job[Any]) -> bool:
        context, address = self._context, job.endpoint.address
        is_withheld = job.depth >= Depth.CENSUS and job.in_clear and not context.terms.at(job.endpoint).census
        return context.control.stopped() or is_withheld or self._is_halted(address)

    def _to_ask_again(
        self, protocol: Protocol, endpoint: Endpoint, terms: Terms, jobs: dict[str, Payload]
    ) -> frozenset[str]:
        """What an earlier process of this run asked and this one asks again: whether a service that stopped answering
        does so now; with `--full`, what an earlier budget cut. They are taken out of `jobs`."""
        case = Case(endpoint=endpoint, terms=terms, attempts=jobs)
        names = protocol.no_longer_answers(case)
        if self._context.options.full:
            names |= protocol.cut_by_budget(case)
        for name in names:
            del jobs[name]
        return names

    def _is_halted(self, address: Address) -> bool:
        return not self._context.halted.keys().isdisjoint(self._surroundings(address))

    def _halt(self, endpoint: Endpoint) -> None:
        """A service stopped answering after us: nothing more goes to its zones, or to its host where it is in none."""
        self.leave_alone(dict.fromkeys(sorted(self._surroundings(endpoint.address)), endpoint))

    def leave_alone(self, places: Mapping[str, Endpoint]) -> None:
        """Zones and hosts, each with the service that stopped answering."""
        for around, endpoint in places.items():
            if around not in self._context.halted:
                self._context.halted[around] = endpoint
                self._context.audit_log.write("halted", what=around, because=str(endpoint))
                log.warning("%s no longer answers after we asked it; %s is left alone", endpoint, around)
        self._executor.halt(self._is_halted)

    def _surroundings(self, address: Address) -> frozenset[str]:
        zones = self._context.gate.zones_at(address)
        return frozenset(f"zone {zone}" for zone in zones) or frozenset((f"host {address}",))
