"""MMDB files for tests, written by somebody else's writer. The places in them are made up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

BUILT = dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)

COUNTRIES = {
    "8.8.8.0/24": {"country": {"iso_code": "CH"}},
    "2a00::/16": {"country": {"iso_code": "IT"}},
    "192.168.0.0/16": {"country": {"iso_code": "AU"}},
}
CITIES = {
    "8.8.8.0/24": {"country": {"iso_code": "CH"}, "city": {"names": {"en": "Zürich", "de": "Zürich"}}},
    "9.9.9.0/24": {"country": {"iso_code": "FR"}, "city": {"names": {"en": "Lyon"}}},
}
SYSTEMS = {
    "8.8.8.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example <b>Net</b>"},
    "2a00::/16": {"autonomous_system_number": 64501, "autonomous_system_organization": "Esempio S.p.A."},
}


class _Writer(MMDBWriter):
    def _build_meta(self) -> dict[str, Any]:
        return super()._build_meta() | {"build_epoch": int(BUILT.timestamp())}


def write_mmdb(path: Path, networks: Mapping[str, Any], *, name: str = "Test-Country", ip_version: int = 6) -> Path:
    """`networks`: the record of each."""
    writer = _Writer(ip_version, name, languages=["en"], description="made up", ipv4_compatible=ip_version == 6)
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
