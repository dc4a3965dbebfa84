"""The store: runs, what they did, what they saw. Speaks only the types of the model.

Every write is idempotent under (run, identity): what was written once and comes again changes nothing, so that a run
that was killed between doing and writing can do again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from ipaddress import ip_address
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from leadapron.assess.moved import Move, Place
from leadapron.errors import InputError
from leadapron.model import (
    FINAL,
    VERIFY,
    Disposition,
    Endpoint,
    Finding,
    Method,
    Observation,
    Run,
    RunStatus,
    Service,
    Summary,
    SweepFigures,
    Unique,
    Unknown,
    Vantage,
    VantageKind,
)
from leadapron.store import codec, dispositions, history, places, tables
from leadapron.store.chunk import SweepChunk, unpacked
from leadapron.store.database import open_database

Payload = Mapping[str, Any]
Selected = TypeVar("Selected", bound=sa.Select[Any])


class Store:
    """An open store. Use as a context manager, or `close` it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open and migrate; create it if need be (mode 0600, sidecars included), or not. Raises StoreError."""
        return cls(open_database(url, create=create))

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- runs ----------------------------------------------------------------------------------------------------------

    def create_run(self, run: Run, permutation_key: str) -> None:
        row = {
            "id": run.id,
            "started_at": run.started_at.isoformat(),
            "finished_at": None,
            "status": run.status.value,
            "scope_sha256": run.scope_sha256,
            "vantage_kind": run.vantage.kind.value,
            "permutation_key": permutation_key,
            "data": codec.dump(run),
        }
        with self._engine.begin() as connection:
            _write(connection, tables.runs, [row])

    def finish_run(self, run_id: str, status: RunStatus, why: str, finished_at: dt.datetime, audit_head: str) -> None:
        """A run that does not go on keeps no lists of studies: they go in the same transaction."""
        self._change_run(
            run_id,
            forget=status in FINAL,
            status=status.value,
            why=why,
            finished_at=finished_at.isoformat(),
            audit_head=audit_head,
        )

    def update_method(self, run_id: str, method: Method, catalogue: str) -> None:
        """A run that goes on may do so under another budget, and another catalogue: the report names the last."""
        self._change_run(run_id, method=codec.dump(method), catalogue=catalogue)

    def update_data(self, run_id: str, data: Mapping[str, str]) -> None:
        """Of a run that goes on, all owners are told by the sources of its last process."""
        self._change_run(run_id, data=dict(data))

    def update_totals(self, run_id: str, endpoints_tried: int, endpoints_reached: int) -> None:
        self._change_run(run_id, endpoints_tried=endpoints_tried, endpoints_reached=endpoints_reached)

    def _change_run(self, run_id: str, *, forget: bool = False, **changes: Any) -> None:
        with self._engine.begin() as connection:
            if forget:
                _forget_shown_studies(connection, run_id)
            where = tables.runs.c.id == run_id
            data = connection.execute(sa.select(tables.runs.c.data).where(where)).scalar_one()
            columns = {name: changes[name] for name in ("status", "finished_at") if name in changes}
            connection.execute(sa.update(tables.runs).where(where).values(data={**data, **changes}, **columns))

    def run(self, run_id: str | None = None) -> Run:
        """The run of this id or unique beginning of an id; without one the latest audit. Raises InputError."""
        if run_id is None:
            return self._latest_audit()
        query = sa.select(tables.runs.c.data).where(tables.runs.c.id.startswith(run_id, autoescape=True))
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(2)).scalars().all()
        if not rows:
            raise InputError(f"no run {run_id!r} in this store; `leadapron audit scope.toml` makes one")
        if len(rows) > 1:
            raise InputError(f"more than one run begins with {run_id!r}; give more of its id")
        return codec.load(Run, rows[0])

    def _latest_audit(self) -> Run:
        """Not the re-check of one finding, whose report says nothing about all others."""
        latest = next((run for run in self.runs() if run.kind != VERIFY), None)
        if latest is None:
            raise InputError("no run yet in this store; `leadapron audit scope.toml` makes one")
        return latest

    def runs(self) -> list[Run]:
        """All runs, the latest first."""
        query = sa.select(tables.runs.c.data).order_by(tables.runs.c.started_at.desc(), tables.runs.c.id.desc())
        with self._engine.connect() as connection:
            return [codec.load(Run, data) for data in connection.execute(query).scalars()]

    def resumable_run(self, scope_sha256: str, vantage: Vantage) -> Run | None:
        """The latest audit of this scope from this kind of vantage, if it is not complete."""
        for run in self.runs():
            if run.kind != VERIFY and run.scope_sha256 == scope_sha256 and run.vantage.kind is vantage.kind:
                return run if run.status not in FINAL else None
        return None

    def permutation_key(self, run_id: str) -> str:
        with self._engine.connect() as connection:
            key: str = connection.execute(
                sa.select(tables.runs.c.permutation_key).where(tables.runs.c.id == run_id)
            ).scalar_one()
        return key

    # -- sweep ---------------------------------------------------------------------------------------------------------

    def record_chunks(self, run_id: str, chunks: Sequence[SweepChunk]) -> None:
        """What is known of these chunks of the permutation, in place of what was known of them before."""
        rows = [
            {
                "run_id": run_id,
                "start": chunk.start,
                "stop": chunk.stop,
                "outcomes": dict(chunk.outcomes),
                "waiting": chunk.packed(),
            }
            for chunk in chunks
        ]
        hits = self._hit_rows(run_id, [endpoint for chunk in chunks for endpoint in chunk.hits])
        with self._writing() as connection:
            _write(connection, tables.sweep_chunks, rows, update=True)
            _write(connection, tables.endpoints, hits)

    def record_hits(self, run_id: str, endpoints: Sequence[Endpoint]) -> None:
        """What was reached in chunks that are not done yet."""
        with self._writing() as connection:
            _write(connection, tables.endpoints, self._hit_rows(run_id, endpoints))

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction of the stages of a run: with a lease only while it is held (`leadapron.store.held`)."""
        return self._engine.begin()

    def _waits_in(self, _endpoint: Endpoint) -> int | None:
        """The partition in which a hit waits for its holder; None where who reached it also asks it."""
        return None

    def _hit_rows(self, run_id: str, endpoints: Iterable[Endpoint]) -> list[dict[str, Any]]:
        return [
            {"run_id": run_id, **_place(each), "name": each.name, "waits_in": self._waits_in(each)}
            for each in endpoints
        ]

    def progress(self, run_id: str, part: range | None = None) -> list[tuple[int, int]]:
        """What is done whole, as merged, sorted intervals [start, stop); of a part of the space, what touches it."""
        chunks = tables.sweep_chunks
        query = sa.select(chunks.c.start, chunks.c.stop).where(chunks.c.run_id == run_id, chunks.c.waiting.is_(None))
        merged: list[tuple[int, int]] = []
        with self._engine.connect() as connection:
            for start, stop in connection.execute(_touching(query.order_by(chunks.c.start), part)):
                if merged and start <= merged[-1][1]:
                    merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
                else:
                    merged.append((start, stop))
        return merged

    def chunks_in_part(self, run_id: str, part: range | None = None) -> list[SweepChunk]:
        """What is done in part, sorted; of a part of the space, what touches it."""
        chunks = tables.sweep_chunks
        query = sa.select(chunks).where(chunks.c.run_id == run_id, chunks.c.waiting.is_not(None))
        query = _touching(query, part)
        with self._engine.connect() as connection:
            return [
                SweepChunk(
                    start=row.start,
                    stop=row.stop,
                    outcomes=row.outcomes,
                    waiting=unpacked(row.waiting, row.stop - row.start),
                )
                for row in connection.execute(query.order_by(chunks.c.start))
            ]

    def outcomes(self, run_id: str) -> dict[str, int]:
        """How many targets of the sweep ended in which way."""
        query = sa.select(tables.sweep_chunks.c.outcomes).where(tables.sweep_chunks.c.run_id == run_id)
        total: Counter[str] = Counter()
        with self._engine.connect() as connection:
            for outcomes in connection.execute(query).scalars():
                total.update(outcomes)
        return dict(total)

    def outcomes_in_order(self, run_id: str, part: range | None = None) -> list[tuple[int, int, dict[str, int]]]:
        """Of each chunk of the sweep, in its order: start, stop and `outcomes`; of a part of the space, what touches it."""
        chunks = tables.sweep_chunks
        query = sa.select(chunks.c.start, chunks.c.stop, chunks.c.outcomes).where(chunks.c.run_id == run_id)
        query = _touching(query, part)
        with self._engine.connect() as connection:
            return [
                (row.start, row.stop, dict(row.outcomes)) for row in connection.execute(query.order_by(chunks.c.start))
            ]

    def hits(self, run_id: str) -> list[Endpoint]:
        """The endpoints that were reached, sorted."""
        query = sa.select(tables.endpoints).where(tables.endpoints.c.run_id == run_id)
        with self._engine.connect() as connection:
            found = [_endpoint(row) for row in connection.execute(query)]
        return sorted(found, key=_order)

    def record_refusals(self, run_id: str, endpoints: Iterable[Endpoint]) -> None:
        """Ports of findings that stand, which refused a connection in the sweep."""
        rows = [{"run_id": run_id, **_place(endpoint)} for endpoint in endpoints]
        with self._writing() as connection:
            _write(connection, tables.refusals, rows)

    def refusals(self, run_id: str) -> list[Endpoint]:
        """Sorted."""
        query = sa.select(tables.refusals).where(tables.refusals.c.run_id == run_id)
        with self._engine.connect() as connection:
            found = [_endpoint(row) for row in connection.execute(query)]
        return sorted(found, key=_order)

    # -- attempts ------------------------------------------------------------------------------------------------------

    def record_attempt(
        self,
        run_id: str,
        endpoint: Endpoint,
        protocol: str,
        job: str,
        payload: Payload,
        *,
        shown: bytes = b"",
        again: bool = False,
    ) -> None:
        """The result of a job, and the studies that it listed. The first one stays, unless it was asked `again` on
        purpose."""
        row = _attempt_row(run_id, endpoint, protocol, job, payload)
        with self._writing() as connection:
            _write(connection, tables.attempts, [row], update=again)
            listed = {key: row[key] for key in ("run_id", "address", "port", "protocol", "job")}
            if again:
                of = sa.and_(*(tables.shown_studies.c[key] == value for key, value in listed.items()))
                connection.execute(sa.delete(tables.shown_studies).where(of))
            if shown:
                _write(connection, tables.shown_studies, [listed | {"records": shown}])

    def record_hellos(self, run_id: str, protocol: str, answers: Iterable[tuple[Endpoint, Payload]]) -> None:
        """The results of first exchanges. The first one of each endpoint stays."""
        rows = [_attempt_row(run_id, endpoint, protocol, "hello", payload) for endpoint, payload in answers]
        if rows:
            with self._writing() as connection:
                _write(connection, tables.attempts, rows)

    def attempts(self, run_id: str) -> dict[tuple[Endpoint, str], dict[str, Payload]]:
        """By endpoint and protocol: the payloads by job name."""
        query = sa.select(tables.attempts).where(tables.attempts.c.run_id == run_id)
        found: defaultdict[tuple[Endpoint, str], dict[str, Payload]] = defaultdict(dict)
        with self._engine.connect() as connection:
            for row in sorted(connection.execute(query), key=_attempt_order):
                found[_endpoint(row), row.protocol][row.job] = row.payload
        return dict(found)

    def shown_studies(self, run_id: str) -> Iterator[tuple[Endpoint, str, str, bytes]]:
        """Endpoint, protocol, job and the studies that it listed (`leadapron.protocols.shown`), one after the other."""
        table = tables.shown_studies
        order = (table.c.address, table.c.port, table.c.protocol, table.c.job)
        query = sa.select(*order).where(table.c.run_id == run_id).order_by(*order)
        with self._engine.connect() as connection:
            for row in connection.execute(query).all():
                here = sa.and_(table.c.run_id == run_id, *(column == row[place] for place, column in enumerate(order)))
                records = connection.execute(sa.select(table.c.records).where(here)).scalar_one()
                endpoint = Endpoint(address=ip_address(row.address), port=row.port)
                yield endpoint, row.protocol, row.job, records

    def superseded(self) -> list[Run]:
        """The runs that never go on: those that have ended for good, checks, and audits that a later one followed. One of
        them may still be under way."""
        latest: set[tuple[str, str]] = set()
        found: list[Run] = []
        for run in self.runs():
            of = (run.scope_sha256, run.vantage.kind.value)
            is_latest = run.kind != VERIFY and of not in latest
            if run.kind != VERIFY:
                latest.add(of)
            if not is_latest or run.status in FINAL:
                found.append(run)
        return found

    def forget_shown_studies(self, run_id: str) -> None:
        """Once they are summed up for good."""
        with self._engine.begin() as connection:
            _forget_shown_studies(connection, run_id)

    def update_sweep(self, run_id: str, figures: SweepFigures) -> None:
        self._change_run(run_id, sweep=codec.dump(figures))

    def add_cpu(self, run_id: str, cpu: Mapping[str, float]) -> None:
        """What another process of the run used."""
        before = self.run(run_id).cpu
        total = {stage: before.get(stage, 0.0) + cpu.get(stage, 0.0) for stage in sorted({*before, *cpu})}
        self._change_run(run_id, cpu=total)

    def update_summary(self, run_id: str, summary: Summary) -> None:
        self._change_run(run_id, summary=codec.dump(summary))

    def update_unique(self, run_id: str, unique: Unique | None) -> None:
        self._change_run(run_id, unique=codec.dump(unique))

    # -- what was seen -------------------------------------------------------------------------------------------------

    def record_observations(self, run_id: str, observations: Iterable[Observation]) -> None:
        """All observations of a run, in place of those recorded before: what was a service when it was stopped may be a part
        of a middlebox by now."""
        rows = [
            {
                "run_id": run_id,
                **_place(seen.service.endpoint),
                "protocol": seen.service.protocol,
                "resource": seen.service.resource,
                "data": codec.dump(seen),
            }
            for seen in observations
        ]
        with self._engine.begin() as connection:
            connection.execute(sa.delete(tables.observations).where(tables.observations.c.run_id == run_id))
            _write(connection, tables.observations, rows)

    def observations(self, run_id: str) -> list[Observation]:
        """Sorted by service."""
        query = sa.select(tables.observations.c.data).where(tables.observations.c.run_id == run_id)
        with self._engine.connect() as connection:
            found = [codec.load(Observation, data) for data in connection.execute(query).scalars()]
        return sorted(found, key=lambda seen: (*_order(seen.service.endpoint), seen.service.resource))

    def last_seen(self, run: Run) -> dict[Place, str]:
        """See `leadapron.store.places.last_seen`."""
        with self._engine.connect() as connection:
            return places.last_seen(connection, run)

    def observed_at(self, at: Iterable[tuple[Place, str]]) -> dict[Place, list[Observation]]:
        """See `leadapron.store.places.observations`."""
        with self._engine.connect() as connection:
            return places.observations(connection, at)

    def record_unknowns(self, run_id: str, unknowns: Iterable[Unknown]) -> None:
        """All unknowns of a run, in place of those recorded before."""
        rows = [{"run_id": run_id, **codec.dump(unknown)} for unknown in unknowns]
        with self._engine.begin() as connection:
            connection.execute(sa.delete(tables.unknowns).where(tables.unknowns.c.run_id == run_id))
            if rows:
                connection.execute(sa.insert(tables.unknowns), rows)

    def unknowns(self, run_id: str) -> list[Unknown]:
        table = tables.unknowns
        columns = (table.c.endpoint, table.c.stage, table.c.reason, table.c.count)
        query = sa.select(*columns).where(table.c.run_id == run_id).order_by(table.c.id)
        with self._engine.connect() as connection:
            return [codec.load(Unknown, dict(row._mapping)) for row in connection.execute(query)]  # noqa: SLF001

    # -- findings ------------------------------------------------------------------------------------------------------

    def apply_findings(
        self,
        run: Run,
        findings: Sequence[Finding],
        observed: Mapping[Service, Observation],
        *,
        refuted: Callable[[str, Observation], bool],
        covered: history.Covered,
        moves: Iterable[Move] = (),
        only: Endpoint | None = None,
    ) -> list[Finding]:
        """Bring a run's findings together with those before it (see `history.advance`); keep how they stand.

        `only`: those of one endpoint. A run of one endpoint may end in the middle of an audit that began before it.
        """
        with self._engine.begin() as connection:
            before = _standing(connection, run)
            after = history.advance(run, before, findings, observed, refuted=refuted, covered=covered, moves=moves)
            connection.execute(sa.delete(tables.findings).where(tables.findings.c.run_id == run.id))
            if only is not None:
                place = only.address, only.port
                after = [each for each in after if (each.service.endpoint.address, each.service.endpoint.port) == place]
            rows = [_finding_row(run, finding) for finding in after]
            if rows:
                connection.execute(sa.insert(tables.findings), rows)
        return after

    def standing(self, run: Run) -> list[Finding]:
        """Each finding of the run's vantage kind as it stood after the latest earlier run."""
        with self._engine.connect() as connection:
            return _standing(connection, run)

    def findings(self, run_id: str) -> list[Finding]:
        """As they stood when the run was over, the most severe first."""
        query = sa.select(tables.findings.c.data).where(tables.findings.c.run_id == run_id)
        with self._engine.connect() as connection:
            found = [codec.load(Finding, data) for data in connection.execute(query).scalars()]
        return sorted(
            found, key=lambda f: (-f.severity.rank, *_order(f.service.endpoint), f.service.resource, f.control)
        )

    def finding(self, key: str) -> tuple[Finding, VantageKind]:
        """See `leadapron.store.dispositions.find`."""
        with self._engine.connect() as connection:
            return dispositions.find(connection, key)

    def record_disposition(self, disposition: Disposition) -> None:
        """In place of what was decided about the finding before; that is kept, and counts no more."""
        with self._engine.begin() as connection:
            dispositions.add(connection, disposition)

    def withdraw_disposition(self, key: str, *, at: dt.datetime, by: str) -> None:
        with self._engine.begin() as connection:
            dispositions.withdraw(connection, key, at=at, by=by)

    def dispositions(self) -> dict[str, Disposition]:
        """What is decided by now, by the key of the finding; also what has expired."""
        with self._engine.connect() as connection:
            return dispositions.standing(connection)

    # -- purge ---------------------------------------------------------------------------------------------------------

    def purge(self, older_than: dt.datetime, *, keep: Sequence[str] = (), dry_run: bool = False) -> list[str]:
        """Delete the runs that started before, with everything of theirs, but for `keep`. Returns their ids.

        SQLite overwrites what it deletes (secure_delete), and the file shrinks.
        """
        where = (tables.runs.c.started_at < older_than.astimezone(dt.UTC).isoformat()) & tables.runs.c.id.not_in(keep)
        with self._engine.begin() as connection:
            ids = list(connection.execute(sa.select(tables.runs.c.id).where(where)).scalars())
            if not dry_run:
                connection.execute(sa.delete(tables.runs).where(where))
                dispositions.drop_those_of_nothing(connection)
        if ids and not dry_run and self._engine.dialect.name == "sqlite":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return ids


def _write(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], *, update: bool = False) -> None:
    """INSERT that leaves, or with `update` replaces, a row of the same primary key. All rows have the same columns.

    The rows are no part of the statement: SQLAlchemy keeps it compiled, and PostgreSQL is sent them in a stream."""
    if not rows:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    key = list(table.primary_key)
    if update:
        changed = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed), rows)
    else:
        connection.execute(insert.on_conflict_do_nothing(index_elements=key), rows)


def _touching(query: Selected, part: range | None) -> Selected:
    if part is None:
        return query
    chunks = tables.sweep_chunks
    return query.where(chunks.c.start < part.stop, chunks.c.stop > part.start)


def _forget_shown_studies(connection: sa.Connection, run_id: str) -> None:
    connection.execute(sa.delete(tables.shown_studies).where(tables.shown_studies.c.run_id == run_id))


def _standing(connection: sa.Connection, run: Run) -> list[Finding]:
    table, runs = tables.findings, tables.runs
    query = (
        sa.select(table.c.key, table.c.data)
        .join(runs, runs.c.id == table.c.run_id)
        .where(table.c.vantage_kind == run.vantage.kind.value, table.c.run_id != run.id)
        .where(runs.c.started_at <= run.started_at.isoformat())
        .order_by(runs.c.started_at, table.c.sequence)
    )
    latest = {row.key: row.data for row in connection.execute(query)}
    return [codec.load(Finding, data) for data in latest.values()]


def _finding_row(run: Run, finding: Finding) -> dict[str, Any]:
    assert finding.first_seen is not None
    assert finding.last_seen is not None
    return {
        "key": finding.key,
        "run_id": run.id,
        "vantage_kind": run.vantage.kind.value,
        "status": finding.status.value,
        "first_seen": finding.first_seen.isoformat(),
        "last_seen": finding.last_seen.isoformat(),
        "data": codec.dump(finding),
    }


def _place(endpoint: Endpoint) -> dict[str, Any]:
    return {"address": str(endpoint.address), "port": endpoint.port}


def _endpoint(row: Any) -> Endpoint:
    place = {"address": row.address, "port": row.port, "name": getattr(row, "name", "")}
    return codec.load(Endpoint, place)


def _attempt_row(run_id: str, endpoint: Endpoint, protocol: str, job: str, payload: Payload) -> dict[str, Any]:
    named = {"run_id": run_id, **_place(endpoint), "name": endpoint.name}
    return named | {"protocol": protocol, "job": job, "payload": dict(payload)}


def _attempt_order(row: Any) -> tuple[str, int, str, str]:
    """The same in every database, whatever its collation."""
    return row.address, row.port, row.protocol, row.job


def _order(endpoint: Endpoint) -> tuple[int, int, int]:
    return endpoint.address.version, int(endpoint.address), endpoint.port
