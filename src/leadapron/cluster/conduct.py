"""The coordinator: a run that is begun and concluded as any other, and whose stages others carry out.

It lays out the work in the store, sees to it that somebody does it, passes on what changes, and reads from the store how
far it is. When it is gone the workers stop; when they are gone it waits for others.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Protocol

from leadapron import __version__
from leadapron.cluster.luggage import Luggage
from leadapron.cluster.order import Order
from leadapron.errors import RunStopped, StoreError
from leadapron.model import Endpoint, Failed, Reason, SweepFigures, Unknown
from leadapron.net.target import Outcome
from leadapron.pipeline import Audit
from leadapron.pipeline_discover import parts
from leadapron.pipeline_sweep import Swept, left_in, within
from leadapron.pipeline_vantage import Judgement, Part, Round, Seen, judged, rows
from leadapron.scope.audit_log import Fact
from leadapron.store import codec
from leadapron.store.leases import HOSTS, LED, LIFE, SWEEP, Lease, Leases, is_finished

log = logging.getLogger(__name__)

TICK = 0.5
"""Seconds between two looks at the store."""
SHOWN = 2.0
"""Seconds between two figures of progress."""
SHARD_SECONDS = 120.0
"""Of pace; what a lost worker leaves to somebody else, at most."""
PER_SEAT, MOST_SHARDS = 4, 4096
"""Shards."""
FAULTS = 3
"""Shifts that may fail for each seat while nothing is done."""
_LOST = "the seat was lost"


class Crew(Protocol):
    """Who works."""

    def call(self, order: Order) -> None:
        """Called often: see to it that there is one worker at work for each seat, as far as there are any."""

    def dismiss(self) -> None:
        """Call nobody any more; who works is ended by the store."""

    def faults(self) -> Sequence[str]:
        """Why shifts failed that had not even begun."""

    def places(self) -> Sequence[tuple[str, int]]:
        """Where they listen, which is no target."""


class ClusterAudit(Audit):
    """One run by several workers. `url` is that of the store, as workers reach it; `shards` None: as many as fit."""

    def __init__(
        self, *, crew: Crew, url: str, luggage: Luggage, seats: int, shards: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self._crew, self._luggage = crew, luggage
        self._seats, self._shards = seats, shards
        self._leases = Leases(self.store._engine, self.run_.id)  # noqa: SLF001 - the same connections
        self._order = Order(
            run=self.run_.id,
            store=url,
            key=rest["key"],
            luggage=luggage,
            options=self.options,
            seats=seats,
            version=__version__,
            level=logging.getLogger().getEffectiveLevel(),
        )
        self._total = len(self.extent.spaces)
        self._files = _Files(self.scope.path.parent, luggage)
        self._led_at = self._shown_at = 0.0
        self._shown = 0, 0, 0
        self._has_gone_on, self._excused = True, 0
        """whether something was done since faults were counted, and how many there were then"""

    def _carry_out(self) -> None:
        self._vacate()
        self._log_shifts()
        shards = parts(range(self._total), self._shard_count())
        self._leases.begin(seats=self._seats, shards=shards, exclusions=self._files.exclusions)
        self.audit_log.write("cluster", seats=self._seats, shards=len(shards), targets=self._total)
        self._shown = self._leases.progress()
        self.progress.begin("discover", self._total, self._shown[0])
        try:
            self._lead()
        finally:
            self._take_in()
            for phase in ("discover", "identify", "assess"):
                self.progress.end(phase)

    def _vacate(self) -> None:
        """Workers of an earlier coordinator, which was lost, stop before others begin."""
        self._leases.lead(stopping="another coordinator goes on with this run")
        deadline = time.monotonic() + 2 * LIFE
        while self._leases.seated():
            if self.control.should_stop():
                raise RunStopped(self.control.why)
            if time.monotonic() > deadline:
                raise RunStopped("workers of an earlier coordinator do not stop")
            time.sleep(TICK)

    def _shard_count(self) -> int:
        rate = max(self.scope.pace.connections_per_second, self.scope.packets_per_second)
        wanted = self._shards or max(math.ceil(self._total / (rate * SHARD_SECONDS)), PER_SEAT * self._seats)
        return max(min(wanted, MOST_SHARDS, self._total), 1)

    # -- while it goes on ----------------------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Until all is done, or the run is to stop and everybody has."""
        seen = time.monotonic()
        while True:
            try:
                if self._look():
                    return
                seen = time.monotonic()
            except StoreError as error:
                if time.monotonic() - seen > LED:
                    raise
                log.warning("%s", error)
            time.sleep(TICK)

    def _look(self) -> bool:
        if self.control.should_stop():
            self._crew.dismiss()
            self._leases.lead(stopping=self.control.why)
            return not self._leases.seated()
        if why := self._files.changed():
            self.control.request(why)
            return False
        self._say()
        if self._is_done():
            self._crew.dismiss()
            return not self._leases.seated()
        self._crew.call(self._order)
        self._count_faults()
        self._keep_away()
        return False

    def _say(self) -> None:
        """That we are there, and what is excluded since; on the way, how far it is."""
        now, fresh = time.monotonic(), self._files.fresh_exclusions()
        if fresh is not None or now - self._led_at > LED / 12:
            self._leases.lead(exclusions=fresh)
            self._led_at = now
        if now - self._shown_at > SHOWN:
            self._shown_at = now
            self._show(*self._leases.progress())

    def _show(self, swept: int, reached: int, spoken: int) -> None:
        shown = self._shown
        self.progress.advance("discover", swept - shown[0], reached=reached - shown[1])
        self.progress.more("identify", reached - shown[1])
        self.progress.advance("identify", spoken - shown[2])
        self._has_gone_on = self._has_gone_on or (swept, reached, spoken) != shown
        self._shown = swept, reached, spoken

    def _is_done(self) -> bool:
        return self._leases.is_swept() and is_finished(self._leases.all(HOSTS))

    def _count_faults(self) -> None:
        """Those since something was done the last time. A seat that was lost is nobody's fault."""
        faults = [*self._crew.faults(), *(each.why for each in self._leases.shifts() if each.is_over and each.why)]
        faults = [why for why in faults if not why.startswith(_LOST)]
        if self._has_gone_on:
            self._has_gone_on, self._excused = False, len(faults)
        elif len(faults) - self._excused > FAULTS * self._seats:
            self.control.request(f"workers fail: {faults[-1]}")

    def _keep_away(self) -> None:
        """From those who work: one of them that may be dialled as a target ends the run."""
        for host, port in self._crew.places():
            if (host, port) not in self.scope.infrastructure and self.gate.dial_allowed(host, port) is None:
                self.control.request(
                    f'a worker listens on {host} port {port}, which is a target; add "{host}:{port}" to [infrastructure]'
                )

    # -- when it is over -----------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        """What the workers knew beside what they wrote."""
        self._log_shifts()
        figures = [codec.load(SweepFigures, each.notes["figures"]) for each in self._swept_with("figures")]
        if swept := [each for each in figures if each.method]:
            before = self.store.run(self.run_.id).sweep or SweepFigures(method="")
            self.store.update_sweep(self.run_.id, sum(swept, before))
        for lease in self._leases.all(HOSTS):
            for entry in lease.notes.get("left_out", ()):
                self._leave_out(entry)
        for place, (address, port) in self._leases.news().halts.items():
            self.context.halted[place] = Endpoint(address=ip_address(address), port=port)

    def _log_shifts(self) -> None:
        """The heads of the logs of those who worked stand in ours."""
        for shift in self._leases.shifts():
            facts: dict[str, Fact] = {"holder": shift.holder, "worker": shift.worker, "entries": shift.entries}
            facts |= {"head": shift.head, "is_over": shift.is_over, "why": shift.why}
            self.audit_log.write("shift", **facts)

    def _leave_out(self, entry: Mapping[str, Any]) -> None:
        door = codec.load(Endpoint, entry["endpoint"]), entry["protocol"]
        self.evidence.left_out[door][entry["job"]] = codec.load(Failed, entry["why"])
        if entry["cut_short"] is not None:
            self.evidence.cut_short[door][entry["job"]] = entry["cut_short"]

    def _swept_with(self, what: str) -> list[Lease]:
        return [each for each in self._leases.all(SWEEP) if what in each.notes]

    def _swept(self) -> Swept:
        done, in_part = self.store.progress(self.run_.id), self.store.chunks_in_part(self.run_.id)
        not_asked: Counter[Outcome] = Counter()
        for lease in self._swept_with("not_asked"):
            not_asked.update({Outcome(name): count for name, count in lease.notes["not_asked"].items()})
        outcomes = {Outcome(name): count for name, count in self.store.outcomes(self.run_.id).items()}
        return Swept(outcomes=outcomes, not_asked=not_asked, left=left_in(*within(range(self._total), done, in_part)))

    def _has_swept_all(self, swept: Swept) -> bool:
        return not swept.left

    def _blind(
        self, swept: Swept, hits: Sequence[Endpoint], unknowns: Sequence[Unknown]
    ) -> tuple[Judgement, Reason] | None:
        """Each worker has a way out of its own, and each shard an order of its own: one that fell silent is enough."""
        whole = super()._seen(swept, hits, unknowns, parts=())
        looks = [Seen(rounds=_rounds(shift.rounds), tried=swept.tried) for shift in self._leases.shifts()]
        shards = [Seen(rows=each) for each in self._by_shard()] if not swept.left else []
        return next((found for seen in (*looks, *shards, whole) if (found := judged(seen)) is not None), None)

    def _by_shard(self) -> list[list[list[Part]]]:
        spaces = self.extent.spaces
        return [
            rows(self.store.outcomes_in_order(self.run_.id, range(each.start, each.stop)), spaces)
            for each in self._leases.all(SWEEP)
        ]


class _Files:
    """The files of the scope while a run goes on: exclusions are passed on, any other change ends it."""

    def __init__(self, folder: Any, luggage: Luggage) -> None:
        self._scope = folder / luggage.scope
        self._exclusions = folder / luggage.exclusions if luggage.exclusions else None
        self._sha256 = hashlib.sha256(luggage.files[luggage.scope]).digest()
        self.exclusions = luggage.files[luggage.exclusions] if luggage.exclusions else None

    def changed(self) -> str:
        """Why the run cannot go on; "" where it can."""
        try:
            data = self._scope.read_bytes()
        except OSError:
            return ""  # the watch says it better
        if hashlib.sha256(data).digest() == self._sha256:
            return ""
        return "the scope file changed: while a cluster works it takes along exclusions only; put it back to go on"

    def fresh_exclusions(self) -> bytes | None:
        """The file, where it is another than the last time."""
        if self._exclusions is None:
            return None
        try:
            data: bytes = self._exclusions.read_bytes()
        except OSError:
            return None
        if data == self.exclusions:
            return None
        self.exclusions = data
        return data


def _rounds(said: Sequence[Mapping[str, Any]]) -> list[Round]:
    return [
        Round(
            at=datetime.fromisoformat(each["at"]),
            failed={int(port): Reason(name) for port, name in each["failed"].items()},
        )
        for each in said
    ]
