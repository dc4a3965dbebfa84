"""What servers listed, as keyed hashes, until the run is complete"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shown_studies",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("protocol", sa.String(length=32), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_shown_studies_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "address", "port", "protocol", "job", name=op.f("pk_shown_studies")),
    )
