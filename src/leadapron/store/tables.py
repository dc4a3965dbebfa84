"""The tables. `migrations/` holds the way to them; a test holds both equal.

Nothing here can hold a value of a patient: columns are addresses of ours, enum values, numbers, and JSON of
`leadapron.store.codec` (numbers, enum values, tokens).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


_TIME = String(32).with_variant(String(32, collation="C"), "postgresql")
"""ISO 8601 in UTC. It sorts as text, byte by byte: other collations look past the signs in it."""


_ONLY_THOSE_THAT_WAIT: dict[str, Any] = {
    name: text("waits_in IS NOT NULL") for name in ("postgresql_where", "sqlite_where")
}


def _run(*, primary_key: bool = False, index: bool = False) -> Column[str]:
    key = ForeignKey("runs.id", ondelete="CASCADE")
    return Column("run_id", String(40), key, nullable=False, primary_key=primary_key, index=index)


runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("started_at", _TIME, nullable=False, index=True),
    Column("finished_at", String(32)),
    Column("status", String(16), nullable=False),
    Column("scope_sha256", String(64), nullable=False),
    Column("vantage_kind", String(16), nullable=False),
    Column("permutation_key", String(64), nullable=False),
    Column("data", JSON, nullable=False),
)

sweep_chunks = Table(
    "sweep_chunks",
    metadata,
    _run(primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("stop", BigInteger, nullable=False),
    Column("outcomes", JSON, nullable=False),
    Column("waiting", LargeBinary),
)
"""`waiting`: null for a chunk that is done, else which of its targets are not (see `leadapron.store.chunk`)."""

endpoints = Table(
    "endpoints",
    metadata,
    _run(primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    Column("waits_in", Integer),
    Index("ix_endpoints_waits_in", "run_id", "waits_in", **_ONLY_THOSE_THAT_WAIT),
)
"""`waits_in`: in a cluster, the partition of hosts whose holder has not taken it up yet; else null."""

refusals = Table(
    "refusals",
    metadata,
    _run(primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
)
"""Of the endpoints that refused a connection in the sweep, those of findings that stood before the run."""

attempts = Table(
    "attempts",
    metadata,
    _run(primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False),
    Column("protocol", String(32), primary_key=True),
    Column("job", String(64), primary_key=True),
    Column("payload", JSON, nullable=False),
)

shown_studies = Table(
    "shown_studies",
    metadata,
    _run(primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("protocol", String(32), primary_key=True),
    Column("job", String(64), primary_key=True),
    Column("records", LargeBinary, nullable=False),
)
"""Beside an attempt: the studies that it listed, hashed under the run's key, which is not here. Gone when the run is
complete."""

observations = Table(
    "observations",
    metadata,
    _run(primary_key=True),
    Column("address", String(45), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("protocol", String(32), primary_key=True),
    Column("resource", String(255), primary_key=True),
    Column("data", JSON, nullable=False),
)

unknowns = Table(
    "unknowns",
    metadata,
    Column("id", Integer, primary_key=True),
    _run(index=True),
    Column("endpoint", String(255), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("count", BigInteger, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    _run(index=True),
    Column("vantage_kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("first_seen", String(32), nullable=False),
    Column("last_seen", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    UniqueConstraint("key", "run_id"),
)
"""One row per finding and run: how the finding stood when the run was over."""

dispositions = Table(
    "dispositions",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("key", String(64), nullable=False, index=True),
    Column("data", JSON, nullable=False),
    Column("withdrawn_at", String(32)),
    Column("withdrawn_by", String(255)),
)
"""Decisions about findings. Of a key the last one counts, unless it was withdrawn; the earlier ones tell the story."""

clusters = Table(
    "clusters",
    metadata,
    _run(primary_key=True),
    Column("stopping", String(500), nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("exclusions", LargeBinary),
)
"""A run whose work is done by workers elsewhere: why it is to stop ("": it is not), when its coordinator was seen last, and
the file of its exclusions as it is by now, with a number that grows with each change. Seats and leases, below, are explained
in `leadapron.store.leases`."""

seats = Table(
    "seats",
    metadata,
    _run(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(32), index=True),
    Column("until", Float, nullable=False),
)
"""`until`, and `seen_at` above: seconds since 1970, by the clock of the database."""

leases = Table(
    "leases",
    metadata,
    _run(primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    Column("holder", String(32), index=True),
    Column("round", Integer, nullable=False),
    Column("waited", Integer, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Column("notes", JSON),
)

shifts = Table(
    "shifts",
    metadata,
    _run(primary_key=True),
    Column("holder", String(32), primary_key=True),
    Column("worker", String(255), nullable=False),
    Column("entries", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    Column("why", String(500), nullable=False),
    Column("is_over", Boolean, nullable=False),
    Column("rounds", JSON, nullable=False),
)
"""What each worker did while it held a seat: the length and the head of its audit log, why it went before its time, and what
it saw of the listener."""

halts = Table(
    "halts",
    metadata,
    _run(primary_key=True),
    Column("place", String(255), primary_key=True),
    Column("address", String(45), nullable=False),
    Column("port", Integer, nullable=False),
)
"""What all workers leave alone, and the service that stopped answering there."""
