"""Discover: which (address, port) of the scope accepts a connection.

What is many of the extent, IPv4, may be swept by processes of their own, by SYN packets or by connections; what is few, and
all of a small audit, by connections of this process.
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

import numpy as np

from leadapron.discover.space import Intervals, TargetSpace
from leadapron.discover.spaces import Spaces
from leadapron.model import Endpoint, SweepFigures
from leadapron.net.feed import Held
from leadapron.net.target import Outcome
from leadapron.pipeline_away import Books, sweep_away
from leadapron.pipeline_context import Context
from leadapron.pipeline_extent import Extent
from leadapron.pipeline_history import Refusals
from leadapron.pipeline_inventory import Inventory
from leadapron.pipeline_method import CONNECT, SYN, method_of
from leadapron.pipeline_sweep import LARGEST_CHUNK, MOST_IN_PIECE, Sweep, Write, chunk_size, left_in, within
from leadapron.pipeline_wire import Order
from leadapron.scope.decision import Denied
from leadapron.scope.grant import Pace, Scope
from leadapron.scope.policy import names_by_address
from leadapron.store.chunk import SweepChunk

if TYPE_CHECKING:
    from leadapron.net.syn import SynSettings

Told = Callable[[Endpoint], object]
Piece = tuple[Sequence[SweepChunk], Sequence[tuple[int, int]]]
"""What is done in part, and what is missing."""


def parts(whole: range, count: int) -> list[range]:
    """So many, of about the same length, in order."""
    ends = [whole.start + len(whole) * each // count for each in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


class Discovery:
    """Of one run, or of one endpoint (`only`). `shard`: a part of the spaces, in place of all of them; then its `figures`
    are not yet those of the run."""

    def __init__(
        self,
        context: Context,
        extent: Extent,
        *,
        only: Endpoint | None,
        inventory: Inventory,
        shard: range | None = None,
    ) -> None:
        self._context, self._extent, self._only, self._inventory = context, extent, only, inventory
        self._shard = shard
        self._method = CONNECT if only is not None else method_of(context.scope).method
        self._sweep: Sweep | None = None
        self._books: Books | None = None
        self._figures_before = SweepFigures(method="")

    @property
    def has_begun(self) -> bool:
        return self._sweep is not None

    @property
    def figures(self) -> SweepFigures:
        """Of the processes that swept."""
        return self._books.figures if self._books is not None else SweepFigures(method="")

    @property
    def left(self) -> int:
        """Targets that are still to be asked."""
        return sum(each.left for each in (self._sweep, self._books) if each is not None)

    @property
    def not_asked(self) -> Counter[Outcome]:
        """Why targets were left out this time; not those that a stop kept from their turn."""
        parts = (each.not_asked for each in (self._sweep, self._books) if each is not None)
        return sum(parts, Counter())

    async def run(self, told: Told = lambda _: None, is_held: Callable[[], bool] = lambda: False) -> None:
        """Ask every (address, port), in permuted order, at the pace. `told` of what is reached, once it is kept; while it
        `is_held`, no more is begun."""
        context, extent = self._context, self._extent
        done = context.store.progress(context.run.id, self._shard)
        in_part = context.store.chunks_in_part(context.run.id, self._shard)
        swept, spaces = self._mine(extent.swept), extent.spaces
        rest = within(self._mine(range(len(extent.many), len(spaces))), done, in_part)
        is_away = self._is_away(len(swept))
        here = rest if is_away else _both(within(swept, done, in_part), rest)
        noted = Refusals(context.store, context.run, self._only, self._inventory.places() if self._only is None else ())
        pieces = [within(part, done, in_part) for part in self._parts(swept)] if is_away else []
        pieces = [piece for piece in pieces if left_in(*piece)]
        orders = [self._order(piece, noted, len(pieces)) for piece in pieces]
        self._sweep = self._connecting(spaces, here, noted, told)
        self._books = self._keeping(orders, noted, told, self._known(extent.many, orders))
        self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connect(self._sweep, noted, is_held))
                if orders:
                    group.create_task(sweep_away(orders, self._books, control=context.control, is_held=is_held))
        finally:
            self._sweep.write()
            self._end()

    def _begin(self) -> None:
        context, targets = self._context, self._extent.targets
        digest = hashlib.sha256(self._extent.key).hexdigest()
        self._figures_before = context.store.run(context.run.id).sweep or SweepFigures(method="")
        self._keep_figures()
        context.audit_log.write("sweep", key_sha256=digest, targets=targets, left=self.left)
        context.progress.begin("discover", targets, targets - self.left)

    def _end(self) -> None:
        context = self._context
        if self._shard is not None:
            context.audit_log.write("swept", start=self._shard.start, stop=self._shard.stop, left=self.left)
            return
        self._keep_figures()
        context.audit_log.write("swept", outcomes=context.store.outcomes(context.run.id), left=self.left)
        context.progress.end("discover")

    def _keep_figures(self) -> None:
        """Also before there are any, so that those of a process that is killed are known to be missing."""
        if self._shard is None and self._books is not None and self._books.figures.method:
            figures = self._figures_before + self._books.figures
            self._context.store.update_sweep(self._context.run.id, figures)

    # -- in this process -----------------------------------------------------------------------------------------------

    def _connecting(self, spaces: Spaces, here: Piece, noted: Refusals, told: Told) -> Sweep:
        context = self._context
        in_part, missing = here
        return Sweep(
            spaces,
            context.gate,
            size=chunk_size(self._pace(), *self._networks()),
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
        stats = await self._context.engine(self._context.options.sweep_timeout).drive(
            Held(sweep.targets(), is_held), noted.noted_by(sweep.record), should_stop=sweep.polled(control.should_stop)
        )
        self._context.cpu["discover"] += stats.cpu

    def _write(self, noted: Refusals) -> Write:
        store, run_id = self._context.store, self._context.run.id
        return noted.written_before(lambda chunks: store.record_chunks(run_id, chunks))

    # -- in processes of their own -------------------------------------------------------------------------------------

    def _is_away(self, targets: int) -> bool:
        return bool(targets) and (self._method == SYN or self._processes > 1)

    @property
    def _processes(self) -> int:
        """One where a zone has a gap: the turns of its hosts are kept in this process."""
        return 1 if self._only is not None or self._context.gate.has_gaps() else self._context.scope.sweep.processes

    def _parts(self, swept: range) -> list[range]:
        """One for each process."""
        return parts(swept, 1 if self._method == SYN else self._processes)

    def _networks(self) -> tuple[Intervals, Intervals]:
        """Between which the rate is divided: what is many, and what is few."""
        if (pairs := self._extent.pairs4) is not None:
            addresses = [int(address) for address in pairs[0][:LARGEST_CHUNK]]
            return [(address, address) for address in addresses], ()
        return self._extent.intervals(4), self._extent.intervals(6)

    def _mine(self, whole: range) -> range:
        """What of it lies in the shard."""
        if self._shard is None:
            return whole
        start = min(max(whole.start, self._shard.start), whole.stop)
        return range(start, max(start, min(whole.stop, self._shard.stop)))

    def _pace(self) -> Pace:
        pace = self._context.scope.pace
        if self._method != SYN:
            return pace
        return Pace(connections_per_second=self._context.scope.packets_per_second, per_network=pace.per_network)

    def _order(self, piece: Piece, noted: Refusals, processes: int) -> Order:
        context, extent, whole = self._context, self._extent, self._pace()
        pace = Pace(
            connections_per_second=whole.connections_per_second / processes,
            per_network=whole.per_network / processes,
        )
        in_part, missing = piece
        most = MOST_IN_PIECE if self._method == SYN else LARGEST_CHUNK
        return Order(
            scope=context.scope.path,
            digests=context.scope.digests,
            exclusions=len(context.scope.exclusions),
            pins=context.gate.pins,
            stop_file=context.control.stop_file,
            intervals=extent.intervals(4),
            ports=extent.ports,
            pairs=extent.pairs4,
            key=extent.key,
            in_part=in_part,
            missing=missing,
            size=chunk_size(pace, self._networks()[0], (), most),
            per_network=pace.per_network,
            wanted=noted.wanted4(),
            syn=_syn_settings(context.scope) if self._method == SYN else None,
            cookie_key=secrets.token_bytes(16),
            connections_per_second=pace.connections_per_second,
            concurrency=context.options.concurrency,
            timeout=context.options.sweep_timeout,
            level=logging.getLogger().getEffectiveLevel(),
        )

    def _known(self, space: TargetSpace, orders: Sequence[Order]) -> frozenset[Endpoint]:
        """Who was reached by an earlier process of this run, in a piece that it did not come to close."""
        if not orders:
            return frozenset()
        hits = [hit for hit in self._context.store.hits(self._context.run.id) if hit.address.version == 4]
        addresses = np.array([int(hit.address) for hit in hits], dtype=np.uint32)
        indices = space.indices4(addresses, np.array([hit.port for hit in hits], dtype=np.uint16))
        open_ = sorted(
            span
            for order in orders
            for span in (*order.missing, *((chunk.start, chunk.stop) for chunk in order.in_part))
        )
        starts, stops = np.array(open_, dtype=np.int64).reshape(-1, 2).T
        at = np.searchsorted(starts, indices, side="right") - 1
        is_open = (at >= 0) & (indices < np.append(stops, 0)[at])
        return frozenset(hits[place] for place in np.flatnonzero(is_open).tolist())

    def _keeping(self, orders: Sequence[Order], noted: Refusals, told: Told, known: frozenset[Endpoint]) -> Books:
        context = self._context
        store, run_id = context.store, context.run.id
        return Books(
            orders,
            write=self._write(noted),
            keep=lambda endpoints: store.record_hits(run_id, endpoints),
            refused=noted.note,
            decided=self._chunk_decided,
            withheld=self._withheld,
            told=told,
            names=names_by_address(context.scope, context.gate.pins),
            progress=context.progress,
            known=known,
        )

    def _chunk_decided(self, start: int, stop: int, permitted: int, denied: Mapping[Denied, int]) -> None:
        log = self._context.audit_log
        if permitted:
            log.write("permitted_in_sweep", start=start, stop=stop, count=permitted)
        if denied:
            log.write("denied_in_sweep", start=start, stop=stop, reasons=_by_value(denied))

    def _withheld(self, denied: Mapping[Denied, int]) -> None:
        self._context.audit_log.write("withheld_in_sweep", reasons=_by_value(denied))


def _by_value(denied: Mapping[Denied, int]) -> dict[str, int]:
    return {reason.value: count for reason, count in denied.items()}


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


def _both(one: Piece, other: Piece) -> Piece:
    return [*one[0], *other[0]], [*one[1], *other[1]]
