"""The work of a worker while it holds a seat: shards of the sweep one after the other, and beside it the hosts of its
partitions, as they come in from whoever reached them.

    shard ─► store ─► partition ─► greeting ─► assessing        (as in `leadapron.pipeline_flow`)

Whoever waits until all hosts are known (middleboxes) is asked in rounds: when every shard is swept and every partition has
asked what it could, each holder asks who waits in its own, by what all of them know; and again, until nobody waits.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from leadapron.cluster.seat import Seat
from leadapron.model import Address, Endpoint
from leadapron.pipeline import Audit
from leadapron.pipeline_discover import Discovery
from leadapron.pipeline_flow import Flow
from leadapron.store import codec
from leadapron.store.held import HeldStore
from leadapron.store.leases import HOSTS, PARTITIONS, SWEEP, Lease, is_finished, partition_of

POLL = 0.5
"""Seconds between two looks at what the others did."""


@dataclass(slots=True, kw_only=True)
class _Partition:
    """One that is held. `asked` is the round that is under way, 0 for none; `waited` how many waited in it."""

    number: int
    round: int
    asked: int = 0
    waited: int = 0


class Work:
    """Of one shift."""

    def __init__(self, audit: Audit, store: HeldStore, seat: Seat) -> None:
        self._audit, self._store, self._seat = audit, store, seat
        self._run_id, self._leases, self._holder = audit.run_.id, store.leases, seat.holder
        self._flow = Flow(audit.context, self._moved)
        self._open = Counter[int]()
        """doors under way, by partition"""
        self._fed: set[Endpoint] = set()
        self._mine: dict[int, _Partition] = {}
        self._is_swept = False

    async def run(self) -> None:
        """Until there is nothing more to do in the whole run, or this shift is to stop. Raises RunStopped, StoreError."""
        await self._flow.beside(self._both())
        for number in list(self._mine):
            self._give_back(number)

    async def _both(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._ask())

    def _should_stop(self) -> bool:
        return self._audit.control.should_stop()

    # -- the sweep -----------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while not self._should_stop():
            for lease in (taken := self._leases.take(SWEEP, self._holder, 1)):
                await self._sweep_one(lease)
            if not taken:
                if self._leases.is_swept():
                    self._is_swept = True
                    return
                await asyncio.sleep(POLL)

    async def _sweep_one(self, lease: Lease) -> None:
        shard = range(lease.start, lease.stop)
        audit = self._audit
        discovery = Discovery(audit.context, audit.extent, only=None, inventory=audit.inventory, shard=shard)
        await discovery.run(is_held=self._flow.is_full)
        notes = {
            "figures": codec.dump(discovery.figures),
            "not_asked": {outcome.value: count for outcome, count in discovery.not_asked.items()},
        }
        is_done = not self._audit.control.stopped()
        self._leases.give_back(SWEEP, self._holder, lease.number, is_done=is_done, notes=notes)

    # -- the hosts -----------------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        while not self._should_stop():
            self._share()
            was_swept = self._is_swept
            for endpoint in self._store.handed_over(self._run_id, list(self._mine)):
                self._feed(endpoint)
            self._heed()
            if was_swept and self._go_round():
                return
            await asyncio.sleep(POLL)

    def _share(self) -> None:
        """As many partitions as the others: more where some are free, and those that are idle back where there are more
        workers now."""
        news = self._seat.news
        fair = math.ceil(PARTITIONS / max(news.seated if news else 1, 1))
        if len(self._mine) < fair:
            self._take_up(self._leases.take(HOSTS, self._holder, fair - len(self._mine)))
        elif not self._is_swept:
            idle = [number for number, each in self._mine.items() if not self._open[number] and not each.round]
            for number in idle[: len(self._mine) - fair]:
                self._give_back(number)

    def _take_up(self, taken: list[Lease]) -> None:
        if not taken:
            return
        numbers = {lease.number for lease in taken}
        self._mine |= {each.number: _Partition(number=each.number, round=each.round) for each in taken}
        self._store.handed_over(self._run_id, list(numbers))
        known = [hit for hit in self._store.hits(self._run_id) if partition_of(hit.address) in numbers]
        if fresh := {hit.address for hit in known if hit not in self._fed}:
            self._fed.update(known)
            self._flow.go_on(fresh.__contains__, is_early=True)

    def _feed(self, endpoint: Endpoint) -> None:
        if endpoint not in self._fed:
            self._fed.add(endpoint)
            self._flow.arrived(endpoint)

    def _moved(self, endpoint: Endpoint, by: int) -> None:
        self._open[partition_of(endpoint.address)] += by

    def _heed(self) -> None:
        """What others halted, and what we did."""
        halts = self._seat.news.halts if self._seat.news else {}
        self._flow.leave_alone(
            {place: Endpoint(address=ip_address(at), port=port) for place, (at, port) in halts.items()}
        )
        self._seat.tell_halts(self._audit.context.halted)

    # -- the rounds ----------------------------------------------------------------------------------------------------

    def _go_round(self) -> bool:
        """Bring each of ours as far as it can be. Returns whether all hosts of the run were asked."""
        for each in self._mine.values():
            if not self._open[each.number] and (not each.round or each.asked):
                each.round, each.asked = each.round + 1, 0
                waited = each.waited if each.round > 1 else 0
                self._leases.go_on(self._holder, each.number, round=each.round, waited=waited)
        known = self._leases.all(HOSTS)
        if is_finished(known):
            return True
        lowest = min(each.round for each in known)
        idle = (each for each in self._mine.values() if not self._open[each.number])
        due = {each.number: each for each in idle if each.round == lowest and not each.asked}
        if lowest and due:
            self._ask_rest(due)
        return False

    def _ask_rest(self, due: Mapping[int, _Partition]) -> None:
        def is_due(address: Address) -> bool:
            return partition_of(address) in due

        waiting = Counter(partition_of(endpoint.address) for endpoint in self._flow.put_rest(is_due))
        for number, each in due.items():
            each.asked, each.waited = each.round, waiting[number]

    # -- the end -------------------------------------------------------------------------------------------------------

    def _give_back(self, number: int) -> None:
        del self._mine[number]
        notes = {"left_out": left_out_of(self._audit, {number})}
        self._leases.give_back(HOSTS, self._holder, number, is_done=False, notes=notes)


def left_out_of(audit: Audit, partitions: Collection[int]) -> list[dict[str, Any]]:
    """What was not asked there, or not to the end, and why; JSON."""
    evidence = audit.evidence
    return [
        {
            "endpoint": codec.dump(endpoint),
            "protocol": protocol,
            "job": job,
            "why": codec.dump(why),
            "cut_short": evidence.cut_short.get((endpoint, protocol), {}).get(job),
        }
        for (endpoint, protocol), jobs in evidence.left_out.items()
        if partition_of(endpoint.address) in partitions
        for job, why in jobs.items()
    ]
