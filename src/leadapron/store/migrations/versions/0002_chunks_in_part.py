"""Chunks of a sweep that are done in part"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sweep_chunks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("waiting", sa.LargeBinary(), nullable=True))
