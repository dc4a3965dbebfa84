"""Stores of earlier versions, brought up to date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from leadapron.assess.keys import finding_key
from leadapron.model import (
    Endpoint,
    Finding,
    FindingStatus,
    Run,
    Service,
    Severity,
    Vantage,
    VantageKind,
)
from leadapron.store import codec, database
from leadapron.store.store import Store

BEGAN = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
SERVICE = Service(endpoint=Endpoint(address=ip_address("198.18.0.9"), port=104), protocol="dicom", resource="ANY-SCP")
RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="s",
    scope_sha256="0" * 64,
    vantage=Vantage(kind=VantageKind.INTERNET, name="here"),
    version="0",
    started_at=BEGAN,
)


@pytest.fixture
def old(store_url: str) -> Iterator[sa.Engine]:
    """A store as revision 0002 made it, with one run."""
    url = sa.make_url(store_url)
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").parent.mkdir()
    engine = sa.create_engine(url)
    with engine.begin() as connection, database._migrations() as directory:
        config = Config()
        config.set_main_option("script_location", str(directory))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        insert = sa.text("INSERT INTO runs VALUES ('run-1', :at, null, 'complete', '', 'internet', '00', :data)")
        connection.execute(
            insert.bindparams(sa.bindparam("data", type_=sa.JSON())),
            {"at": BEGAN.isoformat(), "data": codec.dump(RUN)},
        )
    yield engine
    engine.dispose()


def finding(key: str, control: str, resource: str, severity: Severity, status: FindingStatus) -> Finding:
    return Finding(
        key=key,
        control=control,
        title="t",
        severity=severity,
        service=replace(SERVICE, resource=resource),
        evidence={},
        remedy="r",
        status=status,
        first_seen=BEGAN,
        last_seen=BEGAN,
    )


def insert(engine: sa.Engine, *findings: Finding) -> None:
    from leadapron.store.store import _finding_row
    from leadapron.store.tables import findings as table

    with engine.begin() as connection:
        connection.execute(sa.insert(table), [_finding_row(RUN, each) for each in findings])


def test_findings_about_an_endpoint_become_one_under_the_key_of_today(old: sa.Engine, store_url: str) -> None:
    other = finding("c", "LA-11", "PACS", Severity.HIGH, FindingStatus.OPEN)
    insert(
        old,
        finding("a", "LA-01", "ANY-SCP", Severity.HIGH, FindingStatus.NOT_OBSERVED),
        finding("b", "LA-01", "", Severity.MEDIUM, FindingStatus.NEW),
        other,
    )

    with Store.open(store_url) as store:
        stands, kept = sorted(store.findings("run-1"), key=lambda each: each.control)

    assert kept == other
    assert (stands.control, stands.severity, stands.status) == ("LA-01", Severity.MEDIUM, FindingStatus.NEW)
    assert stands.key == finding_key(VantageKind.INTERNET, SERVICE, "LA-01")
