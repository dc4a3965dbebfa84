"""Who does what of a run that several workers share: seats and leases, in the store and nowhere else.

A worker sits on one of a fixed number of seats while it works: a seat is an equal share of the pace, so that together they
never exceed it. It holds leases: of shards of the sweep (ranges of the permutation), and of partitions of hosts, which only
its holder speaks to, so that no host has two connections at once. Who holds is an id that is made anew for each shift. A
seat that is not renewed in time is taken away, and with it everything that its holder held.

The clock is that of the database. A holder that was taken away finds out by its next renewal, and may not write any more
(`leadapron.store.held`); one that cannot renew stops by its own clock, before the seat is lost.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from leadapron.errors import RunStopped
from leadapron.model import Address
from leadapron.net.pace import NETWORK_BITS
from leadapron.scope.special import unmapped
from leadapron.store import tables

SWEEP, HOSTS = "sweep", "hosts"
PARTITIONS = 64
"""Of the hosts of a run."""
LIFE = 30.0
"""Seconds for which a seat is held without being renewed."""
LED = 60.0
"""Seconds after which a coordinator that was not seen is gone: nobody could stop its workers any more."""

_MOST_WHY = 500


def partition_of(address: Address) -> int:
    """All hosts of a network (a /24, a /48) are in one: what answers alike nearby is seen by one worker."""
    address = unmapped(address)
    network = int(address) >> NETWORK_BITS[address.version]
    return zlib.crc32(b"%d %d" % (address.version, network)) % PARTITIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`start` and `stop` are of a shard. `round` and `waited` are of a partition: 0, while it is not known whether all of
    its hosts are in; then how often what had waited was asked, and how many waited the last time."""

    kind: str
    number: int
    start: int = 0
    stop: int = 0
    holder: str | None = None
    round: int = 0
    waited: int = 0
    is_done: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)
    """what its last holder knew beside what it wrote; JSON"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What one holder of a seat said of itself."""

    holder: str
    worker: str
    entries: int
    head: str
    why: str
    is_over: bool
    rounds: Sequence[Any] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a worker has to know within seconds."""

    stopping: str
    is_led: bool
    version: int
    """of the exclusions"""
    seated: int
    """workers that hold a seat"""
    halts: Mapping[str, tuple[str, int]]


class Leases:
    """Of one run. Every method is one transaction; any of them raises StoreError."""

    def __init__(self, engine: sa.Engine, run_id: str) -> None:
        self._engine, self._run_id = engine, run_id

    # -- the coordinator -----------------------------------------------------------------------------------------------

    def begin(self, *, seats: int, shards: Sequence[range], exclusions: bytes | None) -> None:
        """Lay out the work, in place of what was laid out before; nobody may sit any more (`seated`)."""
        places = [{"kind": SWEEP, "start": shard.start, "stop": shard.stop} for shard in shards]
        places += [{"kind": HOSTS, "start": 0, "stop": 0} for _ in range(PARTITIONS)]
        numbered = [each | {"number": number} for kind in (SWEEP, HOSTS) for number, each in _numbered(places, kind)]
        fresh = {"run_id": self._run_id, "holder": None, "round": 0, "waited": 0, "is_done": False, "notes": None}
        row = {"stopping": "", "version": 1, "exclusions": exclusions}
        with self._writing() as connection:
            for table in (tables.halts, tables.leases, tables.shifts, tables.seats, tables.clusters):
                connection.execute(sa.delete(table).where(table.c.run_id == self._run_id))
            now = connection.execute(sa.select(_now(connection))).scalar_one()
            connection.execute(sa.insert(tables.clusters), [row | {"run_id": self._run_id, "seen_at": now}])
            vacant = {"run_id": self._run_id, "holder": None, "until": 0.0}
            connection.execute(sa.insert(tables.seats), [vacant | {"number": number} for number in range(seats)])
            connection.execute(sa.insert(tables.leases), [fresh | each for each in numbered])

    def lead(self, *, stopping: str = "", exclusions: bytes | None = None) -> None:
        """The coordinator is there. `stopping`: everybody has to stop, for this reason; the first one stays.
        `exclusions`: the file as it is now."""
        table = tables.clusters
        with self._writing() as connection:
            changes: dict[str, Any] = {"seen_at": _now(connection)}
            if exclusions is not None:
                changes |= {"version": table.c.version + 1, "exclusions": exclusions}
            connection.execute(sa.update(table).where(table.c.run_id == self._run_id).values(changes))
            if stopping:
                first = (table.c.run_id == self._run_id) & (table.c.stopping == "")
                connection.execute(sa.update(table).where(first).values(stopping=stopping[:_MOST_WHY]))

    def seated(self) -> int:
        """How many sit, once those are away whose time is over."""
        with self._writing() as connection:
            self._evict(connection)
            return self._seated(connection)

    def all(self, kind: str) -> list[Lease]:
        """In the order of their numbers."""
        table = tables.leases
        query = sa.select(table).where(table.c.run_id == self._run_id, table.c.kind == kind).order_by(table.c.number)
        with self._engine.connect() as connection:
            return [_lease(row) for row in connection.execute(query)]

    def is_swept(self) -> bool:
        """Whether every shard is done, as far as it could be."""
        table = tables.leases
        open_ = (table.c.run_id == self._run_id) & (table.c.kind == SWEEP) & table.c.is_done.is_(False)
        with self._engine.connect() as connection:
            return connection.execute(sa.select(table.c.number).where(open_).limit(1)).first() is None

    def shifts(self) -> list[Shift]:
        table = tables.shifts
        query = sa.select(table).where(table.c.run_id == self._run_id).order_by(table.c.worker, table.c.holder)
        names = [each.name for each in table.columns if each.name != "run_id"]
        with self._engine.connect() as connection:
            return [Shift(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]

    def progress(self) -> tuple[int, int, int]:
        """Targets of the sweep in chunks that are done, endpoints that were reached, doors that were spoken to."""
        chunks, endpoints, attempts = tables.sweep_chunks, tables.endpoints, tables.attempts
        swept = sa.select(sa.func.coalesce(sa.func.sum(chunks.c.stop - chunks.c.start), 0))
        swept = swept.where(chunks.c.run_id == self._run_id, chunks.c.waiting.is_(None))
        reached = sa.select(sa.func.count()).select_from(endpoints).where(endpoints.c.run_id == self._run_id)
        spoken = sa.select(sa.func.count()).select_from(attempts)
        spoken = spoken.where(attempts.c.run_id == self._run_id, attempts.c.job == "hello")
        with self._engine.connect() as connection:
            counts = [int(connection.execute(query).scalar_one()) for query in (swept, reached, spoken)]
        return counts[0], counts[1], counts[2]

    # -- a worker ------------------------------------------------------------------------------------------------------

    def sit(self, holder: str, worker: str, *, life: float = LIFE) -> int | None:
        """Take a free seat; None where there is none."""
        seats = tables.seats
        free = sa.select(seats.c.number).where(seats.c.run_id == self._run_id, seats.c.holder.is_(None))
        with self._writing() as connection:
            self._evict(connection)
            number = connection.execute(
                free.order_by(seats.c.number).limit(1).with_for_update(skip_locked=True)
            ).scalar_one_or_none()
            if number is None:
                return None
            here = (seats.c.run_id == self._run_id) & (seats.c.number == number)
            connection.execute(sa.update(seats).where(here).values(holder=holder, until=_now(connection) + life))
            shift = {"worker": worker[:255], "entries": 0, "head": "", "why": "", "is_over": False, "rounds": []}
            connection.execute(sa.insert(tables.shifts), [shift | {"run_id": self._run_id, "holder": holder}])
            return int(number)

    def renew(self, holder: str, *, entries: int, head: str, rounds: Sequence[Any] = (), life: float = LIFE) -> None:
        """Keep the seat, and say how far the audit log is. Raises RunStopped where it is lost."""
        seats, shifts = tables.seats, tables.shifts
        with self._writing() as connection:
            mine = (seats.c.run_id == self._run_id) & (seats.c.holder == holder) & (seats.c.until >= _now(connection))
            kept = connection.execute(sa.update(seats).where(mine).values(until=_now(connection) + life))
            if not kept.rowcount:
                raise _lost()
            said = (shifts.c.run_id == self._run_id) & (shifts.c.holder == holder)
            changes = {"entries": entries, "head": head, "rounds": list(rounds)}
            connection.execute(sa.update(shifts).where(said).values(changes))

    def news(self) -> News:
        table, halts = tables.clusters, tables.halts
        columns = (table.c.stopping, table.c.seen_at, table.c.version)
        halted = sa.select(halts).where(halts.c.run_id == self._run_id)
        with self._engine.connect() as connection:
            query = sa.select(*columns, _now(connection)).where(table.c.run_id == self._run_id)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise RunStopped("the run is not there any more")
            return News(
                stopping=row[0],
                is_led=row[3] - row[1] < LED,
                version=row[2],
                seated=self._seated(connection),
                halts={each.place: (each.address, each.port) for each in connection.execute(halted)},
            )

    def exclusions(self) -> tuple[int, bytes | None]:
        """The file as it is now, with its version; None where the scope has none."""
        table = tables.clusters
        query = sa.select(table.c.version, table.c.exclusions).where(table.c.run_id == self._run_id)
        with self._engine.connect() as connection:
            version, exclusions = connection.execute(query).one()
        return version, None if exclusions is None else bytes(exclusions)

    def take(self, kind: str, holder: str, most: int) -> list[Lease]:
        """At most so many that nobody holds and that are not done. Raises RunStopped where the seat is lost."""
        table = tables.leases
        free = table.c.holder.is_(None) & table.c.is_done.is_(False)
        of = (table.c.run_id == self._run_id) & (table.c.kind == kind)
        query = sa.select(table).where(of, free).order_by(table.c.number).limit(most)
        with self._writing() as connection:
            self._evict(connection)
            check_seated(connection, self._run_id, holder)
            rows = connection.execute(query.with_for_update(skip_locked=True)).all()
            taken = table.c.number.in_([row.number for row in rows])
            connection.execute(sa.update(table).where(of, taken).values(holder=holder))
        return [_lease(row) for row in rows]

    def go_on(self, holder: str, number: int, *, round: int, waited: int) -> None:  # noqa: A002 - it is one
        """A partition is through with a round. Raises RunStopped where it is lost."""
        self._change(HOSTS, holder, number, round=round, waited=waited)

    def give_back(self, kind: str, holder: str, number: int, *, is_done: bool, notes: Mapping[str, Any]) -> None:
        """Raises RunStopped where it is lost."""
        self._change(kind, holder, number, holder_then=None, is_done=is_done, notes=dict(notes))

    def _change(self, kind: str, holder: str, number: int, **changes: Any) -> None:
        table = tables.leases
        mine = (table.c.run_id == self._run_id) & (table.c.kind == kind) & (table.c.number == number)
        if "holder_then" in changes:
            changes["holder"] = changes.pop("holder_then")
        with self._writing() as connection:
            check_seated(connection, self._run_id, holder)
            changed = connection.execute(sa.update(table).where(mine, table.c.holder == holder).values(changes))
            if not changed.rowcount:
                raise _lost()

    def halt(self, places: Mapping[str, tuple[str, int]]) -> None:
        """Everybody leaves them alone."""
        rows = [
            {"run_id": self._run_id, "place": place, "address": address, "port": port}
            for place, (address, port) in places.items()
        ]
        with self._writing() as connection:
            insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(tables.halts)
            connection.execute(insert.values(rows).on_conflict_do_nothing())

    def leave(self, holder: str, *, why: str, entries: int, head: str, rounds: Sequence[Any] = ()) -> None:
        """Get up, whatever it still holds. `why`: "" where it did what there was to do, or was told to stop."""
        shifts = tables.shifts
        said = (shifts.c.run_id == self._run_id) & (shifts.c.holder == holder)
        last = {"why": why[:_MOST_WHY], "is_over": True, "entries": entries, "head": head, "rounds": list(rounds)}
        with self._writing() as connection:
            self._get_up(connection, [holder])
            connection.execute(sa.update(shifts).where(said).values(last))

    # -- what they share -----------------------------------------------------------------------------------------------

    def _evict(self, connection: sa.Connection) -> None:
        """Those whose time is over, and what they held; but for one whose transaction is on its way."""
        seats, late = tables.seats, tables.seats.c.until < _now(connection)
        query = sa.select(seats.c.holder).where(seats.c.run_id == self._run_id, seats.c.holder.is_not(None), late)
        gone = connection.execute(query.with_for_update(skip_locked=True)).scalars().all()
        self._get_up(connection, gone)

    def _get_up(self, connection: sa.Connection, holders: Sequence[str | None]) -> None:
        for table in (tables.seats, tables.leases):
            held = (table.c.run_id == self._run_id) & table.c.holder.in_(holders)
            connection.execute(sa.update(table).where(held).values(holder=None))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if connection.dialect.name == "sqlite":  # what is read first may not change before it is written
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def _seated(self, connection: sa.Connection) -> int:
        seats = tables.seats
        query = sa.select(sa.func.count()).where(seats.c.run_id == self._run_id, seats.c.holder.is_not(None))
        return int(connection.execute(query).scalar_one())


def check_seated(connection: sa.Connection, run_id: str, holder: str) -> None:
    """Until the transaction ends nobody takes the seat away. Raises RunStopped where somebody has."""
    seats = tables.seats
    query = sa.select(seats.c.number).where(seats.c.run_id == run_id, seats.c.holder == holder)
    if connection.execute(query.with_for_update(read=True)).one_or_none() is None:
        raise _lost()


def is_finished(partitions: Iterable[Lease]) -> bool:
    """Whether all hosts were asked: after the last round nobody waited, anywhere."""
    known = list(partitions)
    rounds = {each.round for each in known}
    return len(rounds) == 1 and rounds.pop() > 1 and not any(each.waited for each in known)


def _lost() -> RunStopped:
    return RunStopped("the seat was lost: it was not renewed in time")


def _numbered(places: Sequence[dict[str, Any]], kind: str) -> Iterable[tuple[int, dict[str, Any]]]:
    return enumerate(each for each in places if each["kind"] == kind)


def _now(connection: sa.Connection) -> sa.ColumnElement[Any]:
    """Seconds since 1970, at this moment and not when the transaction began."""
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float)
    return (sa.func.julianday("now") - 2440587.5) * 86400.0


def _lease(row: Any) -> Lease:
    names = ("kind", "number", "start", "stop", "holder", "round", "waited", "is_done")
    return Lease(**{name: getattr(row, name) for name in names}, notes=row.notes or {})
