"""Decisions about findings"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dispositions",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("withdrawn_at", sa.String(length=32), nullable=True),
        sa.Column("withdrawn_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_dispositions")),
    )
    op.create_index(op.f("ix_dispositions_key"), "dispositions", ["key"], unique=False)
