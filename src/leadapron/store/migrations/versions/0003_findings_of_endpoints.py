"""Ports that refuse; findings about an endpoint have one key, whatever title opened it

LA-01 was keyed by the called title like every control: a server that began to check titles lost a finding and gained
another. The rows of a run that become one leave the worst: one that is active before one that is not.
"""

import hashlib
import json
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

CONTROL = "LA-01"
SEVERITIES = ("info", "low", "medium", "high", "critical")
ACTIVE = ("new", "open", "reopened")

findings = sa.table(
    "findings",
    sa.column("sequence", sa.Integer),
    sa.column("key", sa.String),
    sa.column("run_id", sa.String),
    sa.column("vantage_kind", sa.String),
    sa.column("status", sa.String),
    sa.column("data", sa.JSON),
)


def upgrade() -> None:
    op.create_table(
        "refusals",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_refusals_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "address", "port", name=op.f("pk_refusals")),
    )
    connection = op.get_bind()
    alike: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    about = sa.select(findings).where(findings.c.data["control"].as_string() == CONTROL)
    for row in connection.execute(about).all():
        alike[row.run_id, key(row.vantage_kind, row.data["service"])].append(row)
    for (_, new), rows in alike.items():
        kept, *others = sorted(rows, key=badness, reverse=True)
        connection.execute(sa.delete(findings).where(findings.c.sequence.in_([row.sequence for row in others])))
        changed = sa.update(findings).where(findings.c.sequence == kept.sequence)
        connection.execute(changed.values(key=new, data={**kept.data, "key": new}))


def key(vantage: str, service: Any) -> str:
    """As `leadapron.assess.keys.finding_key` makes it at this revision."""
    endpoint = service["endpoint"]
    parts = ["v1", vantage, service["protocol"], endpoint["address"], endpoint["port"], "", CONTROL]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:16]


def badness(row: Any) -> tuple[bool, int]:
    return row.status in ACTIVE, SEVERITIES.index(row.data["severity"])
