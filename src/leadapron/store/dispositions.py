"""Decisions about findings: which one counts, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import re

import sqlalchemy as sa

from leadapron.errors import InputError
from leadapron.model import Disposition, Finding, FindingStatus, VantageKind
from leadapron.store import codec
from leadapron.store.tables import dispositions, findings, runs

_KEY = re.compile("[0-9a-f]{1,64}")
_WHERE_KEYS_ARE = "`leadapron report --format csv --rows findings` has their keys"


def find(connection: sa.Connection, key: str) -> tuple[Finding, VantageKind]:
    """The finding of this key or unique beginning of a key, as it stands, and the kind of vantage that it was seen from.
    Raises InputError."""
    asked = key.strip().lower()
    if not _KEY.fullmatch(asked):
        raise InputError(f"{key!r} is no key of a finding, nor the beginning of one; {_WHERE_KEYS_ARE}")
    alike = sa.select(findings.c.key).distinct().where(findings.c.key.startswith(asked)).limit(2)
    known = connection.execute(alike).scalars().all()
    if not known:
        raise InputError(f"no finding {asked!r} in this store; {_WHERE_KEYS_ARE}")
    if len(known) > 1:
        raise InputError(f"more than one finding begins with {asked!r}; give more of its key")
    query = (
        sa.select(findings.c.data, findings.c.vantage_kind)
        .join(runs, runs.c.id == findings.c.run_id)
        .where(findings.c.key == known[0])
        .order_by(runs.c.started_at.desc(), findings.c.sequence.desc())
    )
    row = connection.execute(query.limit(1)).one()
    return codec.load(Finding, row.data), VantageKind(row.vantage_kind)


def check_is_here(finding: Finding) -> None:
    """Raises InputError for a finding that moved with its service: what is asked or decided now concerns the other place."""
    if finding.status is FindingStatus.MOVED and finding.moved_to is not None:
        raise InputError(
            f"finding {finding.key} moved with its service to {finding.moved_to.endpoint}; name the one there: "
            f"{finding.moved_to.key}"
        )


def add(connection: sa.Connection, disposition: Disposition) -> None:
    connection.execute(sa.insert(dispositions).values(key=disposition.key, data=codec.dump(disposition)))


def standing(connection: sa.Connection) -> dict[str, Disposition]:
    """By key: the last decision, where it was not withdrawn."""
    query = sa.select(dispositions.c.key, dispositions.c.data, dispositions.c.withdrawn_at)
    last = {row.key: row for row in connection.execute(query.order_by(dispositions.c.sequence))}
    return {key: codec.load(Disposition, row.data) for key, row in last.items() if row.withdrawn_at is None}


def withdraw(connection: sa.Connection, key: str, *, at: dt.datetime, by: str) -> None:
    """Whatever was decided about it."""
    where = (dispositions.c.key == key) & dispositions.c.withdrawn_at.is_(None)
    connection.execute(sa.update(dispositions).where(where).values(withdrawn_at=at.isoformat(), withdrawn_by=by))


def drop_those_of_nothing(connection: sa.Connection) -> None:
    """Decisions about findings that no run of the store knows."""
    connection.execute(sa.delete(dispositions).where(dispositions.c.key.not_in(sa.select(findings.c.key))))
