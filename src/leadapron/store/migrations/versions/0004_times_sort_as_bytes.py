"""Times are compared byte by byte in PostgreSQL too, whatever the collation of the database"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("runs", "started_at", type_=sa.String(32, collation="C"))
