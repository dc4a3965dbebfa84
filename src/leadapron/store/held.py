"""The store as a worker of a cluster has it: it writes only while it holds its seat, and hands hits to whose they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import sqlalchemy as sa

from leadapron.model import Endpoint
from leadapron.store import tables
from leadapron.store.database import open_database
from leadapron.store.leases import Leases, check_seated, partition_of
from leadapron.store.store import Store

IDLE_IN_TRANSACTION = "10s"
"""A worker that is cut off in the middle of a transaction keeps nobody from its seat for longer."""


class HeldStore(Store):
    """Of one shift: what `holder` writes of the run while it sits. Raises RunStopped where it does not any more."""

    def __init__(self, engine: sa.Engine, run_id: str, holder: str) -> None:
        super().__init__(engine)
        self._run_id, self._holder = run_id, holder
        self.leases = Leases(engine, run_id)
        """through the same connections"""

    @classmethod
    def open_held(cls, url: str, run_id: str, holder: str) -> HeldStore:
        """Raises StoreError."""
        engine = open_database(url, create=False)
        if engine.dialect.name == "postgresql":
            sa.event.listen(engine, "connect", _bound)
        return cls(engine, run_id, holder)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if connection.dialect.name != "postgresql":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            check_seated(connection, self._run_id, self._holder)
            yield connection

    def _waits_in(self, endpoint: Endpoint) -> int:
        return partition_of(endpoint.address)

    def handed_over(self, run_id: str, partitions: Sequence[int]) -> list[Endpoint]:
        """The hits that wait in these partitions; they wait no more."""
        table = tables.endpoints
        waiting = (table.c.run_id == run_id) & table.c.waits_in.in_(partitions)
        taken = (
            sa.update(table).where(waiting).values(waits_in=None).returning(table.c.address, table.c.port, table.c.name)
        )
        with self._writing() as connection:
            return [
                Endpoint(address=ip_address(row.address), port=row.port, name=row.name)
                for row in connection.execute(taken)
            ]


def _bound(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION}'")
    connection.commit()
