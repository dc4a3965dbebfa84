"""Runs whose work is done by workers elsewhere"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.add_column(sa.Column("waits_in", sa.Integer(), nullable=True))
    where = sa.text("waits_in IS NOT NULL")
    op.create_index(
        "ix_endpoints_waits_in", "endpoints", ["run_id", "waits_in"], postgresql_where=where, sqlite_where=where
    )
    _create(
        "clusters",
        sa.Column("stopping", sa.String(length=500), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("exclusions", sa.LargeBinary(), nullable=True),
        key=(),
    )
    _create(
        "seats",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=True),
        sa.Column("until", sa.Float(), nullable=False),
        key=("number",),
    )
    op.create_index(op.f("ix_seats_holder"), "seats", ["holder"], unique=False)
    _create(
        "leases",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("waited", sa.Integer(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=True),
        key=("kind", "number"),
    )
    op.create_index(op.f("ix_leases_holder"), "leases", ["holder"], unique=False)
    _create(
        "shifts",
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.Column("is_over", sa.Boolean(), nullable=False),
        sa.Column("rounds", sa.JSON(), nullable=False),
        key=("holder",),
    )
    _create(
        "halts",
        sa.Column("place", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        key=("place",),
    )


def _create(name: str, *columns: sa.Column[object], key: tuple[str, ...]) -> None:
    """A table of a run."""
    op.create_table(
        name,
        sa.Column("run_id", sa.String(length=40), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f(f"fk_{name}_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", *key, name=op.f(f"pk_{name}")),
    )
