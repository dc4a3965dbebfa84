"""The tables. `migrations/` holds the way to them; a test holds both equal.

Nothing here can hold a value of a patient: columns are addresses of ours, enum values, numbers, and JSON of
`leadapron.store.codec` (numbers, enum values, tokens).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
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
)

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
