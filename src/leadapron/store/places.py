"""What earlier runs saw, by place."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import sqlalchemy as sa

from leadapron.assess.moved import Place
from leadapron.model import Observation, Run
from leadapron.store import codec, tables


def last_seen(connection: sa.Connection, run: Run) -> dict[Place, str]:
    """The places at which earlier runs from the run's vantage kind saw a service; of each, the last such run."""
    seen, runs = tables.observations, tables.runs
    query = (
        sa.select(seen.c.address, seen.c.port, seen.c.protocol, seen.c.run_id)
        .distinct()
        .join(runs, runs.c.id == seen.c.run_id)
        .add_columns(runs.c.started_at)
        .where(runs.c.vantage_kind == run.vantage.kind.value, runs.c.id != run.id)
        .where(runs.c.started_at <= run.started_at.isoformat())
        .order_by(runs.c.started_at)
    )
    return {(ip_address(row.address), row.port, row.protocol): row.run_id for row in connection.execute(query)}


def observations(connection: sa.Connection, at: Iterable[tuple[Place, str]]) -> dict[Place, list[Observation]]:
    """What the run of each place saw there, sorted by resource."""
    seen = tables.observations
    found: dict[Place, list[Observation]] = {}
    for (address, port, protocol), run_id in at:
        query = (
            sa.select(seen.c.data)
            .where(seen.c.run_id == run_id, seen.c.address == str(address))
            .where(seen.c.port == port, seen.c.protocol == protocol)
        )
        loaded = [codec.load(Observation, data) for data in connection.execute(query).scalars()]
        found[address, port, protocol] = sorted(loaded, key=lambda each: each.service.resource)
    return found
