"""Discover: which (address, port) of the scope accepts a connection.

The space has two parts, one after the other: IPv4 networks, and what is few (IPv6, single places that buckets open). The
first may be swept by processes of their own, by SYN packets or by connections; the second, and the first of a small audit,
by connections of this process.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from leadapron.discover.space import Intervals, TargetSpace, key_of
from leadapron.discover.spaces import Spaces
from leadapron.errors import InputError
from leadapron.model import Endpoint, SweepFigures
from leadapron.net.feed import Held
from leadapron.net.target import Outcome
from leadapron.pipeline_away import Books, sweep_away
from leadapron.pipeline_context import Context
from leadapron.pipeline_history import Refusals
from leadapron.pipeline_inventory import Inventory
from leadapron.pipeline_sweep import LARGEST_CHUNK, MOST_IN_PIECE, Sweep, Write, chunk_size, within
from leadapron.pipeline_sweeper import Order
from leadapron.scope.decision import Denied
from leadapron.scope.grant import Pace, Scope
from leadapron.scope.policy import names_by_address
from leadapron.store.chunk import SweepChunk

if TYPE_CHECKING:
    from leadapron.net.syn import SynSettings

SYN, CONNECT = "syn", "connect"

Told = Callable[[Endpoint], object]
Piece = tuple[Sequence[SweepChunk], Sequence[tuple[int, int]]]
"""What is done in part, and what is missing."""


def method_of(scope: Scope) -> str:
    """How the IPv4 networks of a scope are swept. Raises InputError where they cannot be as the scope says."""
    from leadapron.net.syn import can_sweep_raw

    wanted, has_gaps = scope.sweep.method, any(zone.gap_seconds for zone in scope.zones)
    if wanted == SYN and has_gaps:
        raise InputError(
            f'{scope.path}: [sweep] method = "syn" keeps no gap between packets to a zone; set method = "connect", or '
            "remove gap_seconds"
        )
    if wanted == SYN and not can_sweep_raw():
        raise InputError(
            f'{scope.path}: [sweep] method = "syn" needs CAP_NET_RAW on Linux; run as root, or set method = "connect"'
        )
    if wanted != "auto":
        return wanted
    is_wide = any(grant.wide for grant in scope.grants)
    return SYN if is_wide and not has_gaps and can_sweep_raw() else CONNECT


def parts(whole: range, count: int) -> list[range]:
    """So many, of about the same length, in order."""
    ends = [whole.start + len(whole) * each // count for each in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


class Discovery:
    """Of one run. `only`: one endpoint, in place of all that the scope has. `shard`: a part of the space, in place of all
    of it; then its `figures` are not yet those of the run."""

    def __init__(
        self, context: Context, *, only: Endpoint | None, inventory: Inventory, shard: range | None = None
    ) -> None:
        self._context, self._only, self._inventory, self._shard = context, only, inventory, shard
        self._method = CONNECT if only is not None else method_of(context.scope)
        self._sweep: Sweep | None = None
        self._books: Books | None = None

    @property
    def has_begun(self) -> bool:
        return self._sweep is not None

    @property
    def left(self) -> int:
        """Targets that are still to be asked."""
        return sum(each.left for each in (self._sweep, self._books) if each is not None)

    @property
    def not_asked(self) -> Counter[Outcome]:
        """Why targets were left out this time; not those that a stop kept from their turn."""
        parts = (each.not_asked for each in (self._sweep, self._books) if each is not None)
        return sum(parts, Counter())

    @property
    def figures(self) -> SweepFigures:
        """What the processes of the sweep did this time."""
        return self._books.figures if self._books is not None else SweepFigures(method="")

    def targets(self) -> int:
        """How large the space is."""
        return sum(map(len, self._spaces(key_of(self._context.store.permutation_key(self._context.run.id)))))

    async def run(self, told: Told = lambda _: None, is_held: Callable[[], bool] = lambda: False) -> None:
        """Ask every (address, port), in permuted order, at the pace. `told` of what is reached, once it is kept; while it
        `is_held`, no more is begun."""
        context = self._context
        key = key_of(context.store.permutation_key(context.run.id))
        networks, others = self._spaces(key)
        spaces = Spaces(networks, others)
        intervals4, intervals6 = self._intervals(4), self._intervals(6)
        done = context.store.progress(context.run.id, self._shard)
        in_part = context.store.chunks_in_part(context.run.id, self._shard)
        is_away = self._is_away(len(networks))
        here = within(self._mine(range(len(networks) if is_away else 0, len(spaces))), done, in_part)
        noted = Refusals(context.store, context.run, self._only, self._inventory.places() if self._only is None else ())
        orders = []
        if is_away:
            pieces = [within(part, done, in_part) for part in self._parts(self._mine(range(len(networks))))]
            orders = [self._order(intervals4, key, piece, noted, len(pieces)) for piece in pieces]
        self._sweep = self._connecting(spaces, here, noted, told, chunk_size(self._pace(), intervals4, intervals6))
        self._books = self._keeping(orders, noted, told)
        self._begin(key, len(spaces))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connect(self._sweep, noted, is_held))
                if orders:
                    group.create_task(sweep_away(orders, self._books, control=context.control, is_held=is_held))
        finally:
            self._sweep.write()
            self._end()

    def _begin(self, key: bytes, targets: int) -> None:
        context = self._context
        digest = hashlib.sha256(key).hexdigest()
        context.audit_log.write("sweep", key_sha256=digest, targets=targets, left=self.left)
        context.progress.begin("discover", targets, targets - self.left)

    def _end(self) -> None:
        context = self._context
        if self._shard is not None:
            context.audit_log.write("swept", start=self._shard.start, stop=self._shard.stop, left=self.left)
            return
        if self.figures.method:
            before = context.store.run(context.run.id).sweep or SweepFigures(method="")
            context.store.update_sweep(context.run.id, before + self.figures)
        context.audit_log.write("swept", outcomes=context.store.outcomes(context.run.id), left=self.left)
        context.progress.end("discover")

    # -- in this process -----------------------------------------------------------------------------------------------

    def _connecting(self, spaces: Spaces, here: Piece, noted: Refusals, told: Told, size: int) -> Sweep:
        context = self._context
        in_part, missing = here
        return Sweep(
            spaces,
            context.gate,
            size=size,
            in_part=in_part,
            missing=missing,
            write=self._write(noted),
            decided=self._chunk_decided,
            progress=context.progress,
            names=names_by_address(context.scope, context.gate.pins),
            told=told,
        )

    async def _connect(self, sweep: Sweep, noted: Refusals, is_held: Callable[[], bool]) -> None:
        control = self._context.control
        await self._context.engine(self._context.options.sweep_timeout).drive(
            Held(sweep.targets(), is_held), noted.noted_by(sweep.record), should_stop=sweep.polled(control.should_stop)
        )

    def _write(self, noted: Refusals) -> Write:
        store, run_id = self._context.store, self._context.run.id
        return noted.written_before(lambda chunks: store.record_chunks(run_id, chunks))

    # -- in processes of their own -------------------------------------------------------------------------------------

    def _is_away(self, targets: int) -> bool:
        return bool(targets) and (self._method == SYN or self._processes > 1)

    @property
    def _processes(self) -> int:
        return self._context.scope.sweep.processes if self._only is None else 1

    def _parts(self, whole: range) -> list[range]:
        """One for each process."""
        return parts(whole, 1 if self._method == SYN else self._processes)

    def _pace(self) -> Pace:
        pace = self._context.scope.pace
        if self._method != SYN:
            return pace
        return Pace(connections_per_second=self._context.scope.packets_per_second, per_network=pace.per_network)

    def _order(self, intervals: Intervals, key: bytes, piece: Piece, noted: Refusals, processes: int) -> Order:
        context, pace = self._context, self._pace()
        in_part, missing = piece
        most = MOST_IN_PIECE if self._method == SYN else LARGEST_CHUNK
        return Order(
            scope=context.scope.path,
            digests=context.scope.digests,
            exclusions=len(context.scope.exclusions),
            pins=context.gate.pins,
            stop_file=context.control.stop_file,
            intervals=intervals,
            ports=self._ports(),
            pairs=None,
            key=key,
            in_part=in_part,
            missing=missing,
            size=chunk_size(pace, intervals, (), most),
            per_network=pace.per_network / processes,
            wanted=noted.wanted4(),
            syn=_syn_settings(context.scope) if self._method == SYN else None,
            cookie_key=secrets.token_bytes(16),
            connections_per_second=pace.connections_per_second / processes,
            concurrency=context.options.concurrency,
            timeout=context.options.sweep_timeout,
            level=logging.getLogger().getEffectiveLevel(),
        )

    def _keeping(self, orders: Sequence[Order], noted: Refusals, told: Told) -> Books:
        context = self._context
        store, run_id = context.store, context.run.id
        return Books(
            orders,
            write=self._write(noted),
            keep=lambda endpoints: store.record_hits(run_id, endpoints),
            refused=noted.note,
            decided=self._chunk_decided,
            told=told,
            names=names_by_address(context.scope, context.gate.pins),
            progress=context.progress,
        )

    # -- what there is to sweep ----------------------------------------------------------------------------------------

    def _spaces(self, key: bytes) -> tuple[TargetSpace, TargetSpace]:
        """IPv4 networks, and what is few."""
        intervals4, intervals6 = self._intervals(4), self._intervals(6)
        few = TargetSpace([], intervals6, self._ports(), key, self._spots(intervals4, intervals6))
        return TargetSpace(intervals4, [], self._ports(), key), few

    def _mine(self, whole: range) -> range:
        """What of it lies in the shard."""
        if self._shard is None:
            return whole
        start = min(max(whole.start, self._shard.start), whole.stop)
        return range(start, max(start, min(whole.stop, self._shard.stop)))

    def _intervals(self, version: int) -> Intervals:
        if self._only is None:
            return self._inventory.added_to(self._context.gate.intervals(version), version, self._context.gate)
        number = int(self._only.address)
        return [(number, number)] if self._only.address.version == version else []

    def _spots(self, *intervals: Intervals) -> list[tuple[int, int, int]]:
        """What buckets open, and the sweep would not come by."""
        if self._only is not None:
            return []
        ports = set(self._ports())
        return sorted(
            (version, value, port)
            for version, value, port in self._context.gate.policy.spots
            if port not in ports or not any(first <= value <= last for first, last in intervals[version == 6])
        )

    def _ports(self) -> Sequence[int]:
        return self._context.scope.ports.all if self._only is None else (self._only.port,)

    def _chunk_decided(self, start: int, stop: int, permitted: int, denied: Mapping[Denied, int]) -> None:
        log = self._context.audit_log
        if permitted:
            log.write("permitted_in_sweep", start=start, stop=stop, count=permitted)
        if denied:
            reasons = {reason.value: count for reason, count in denied.items()}
            log.write("denied_in_sweep", start=start, stop=stop, reasons=reasons)


def _syn_settings(scope: Scope) -> SynSettings:
    from leadapron.net.syn import SynSettings

    terms = scope.sweep
    first, last = terms.source_ports
    return SynSettings(
        packets_per_second=scope.packets_per_second,
        bits_per_second=terms.bits_per_second,
        probes=terms.probes,
        cooldown=terms.cooldown_seconds,
        source=terms.source_address,
        source_ports=range(first, last + 1),
    )
