"""Scopes for tests: one as a file, and builders for those that need none."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from leadapron.model import Address, Depth, Vantage, VantageKind
from leadapron.scope.grant import Budget, Contact, Grant, Pace, Ports, Scope, Zone

TODAY = dt.date(2026, 11, 20)
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)

FILE = """\
version = 1
id = "own-estate"

[contact]
name = "Security team, Example Hospital"
email = "security@hospital.example"
calling_aet = "LEADAPRON"

[vantage]
kind = "internet"
name = "vm-frankfurt-1"

[[grant]]
id = "own-estate-2026"
owner = "Example Hospital"
party = ""
basis = "owner"
granted_by = "CISO"
reference = "AUD-2026-014"
valid_from = 2026-11-01
valid_until = 2027-02-01
country = "DE"
depth = "census"
networks = ["198.18.0.0/24"]
names = []
exclude = [
    "198.18.0.7",
    "198.18.0.64/28",
]
called_aets = []
well_known_titles = false
cleartext_census = false
blank_login = false

[[zone]]
name = "modalities"
networks = ["198.18.0.128/25"]
max_depth = "connect"
window = "22:00-05:00 Europe/Berlin"
gap_seconds = 2.0

[ports]
dicom = [104, 2762, 4242, 11112]

[pace]
connections_per_second = 500
per_network = 100

[budget]
associations = 12
queries = 40
answers = 20000
seconds = 60

[infrastructure]
allow = []
"""

MINIMAL = """\
version = 1
id = "least"
contact = {name = "Team", email = "team@hospital.example"}
vantage = {kind = "office", name = "laptop"}

[[grant]]
id = "one"
owner = "Example Hospital"
basis = "owner"
granted_by = "CISO"
valid_from = 2026-11-01
valid_until = 2027-02-01
depth = "talk"
networks = ["198.18.0.0/24"]
"""


def grant(*networks: str, id: str = "one", **values: Any) -> Grant:
    given: dict[str, Any] = {
        "owner": "Example Hospital",
        "basis": "owner",
        "granted_by": "CISO",
        "valid_from": dt.date(2026, 11, 1),
        "valid_until": dt.date(2027, 2, 1),
        "depth": Depth.CENSUS,
        **values,
    }
    given["exclude"] = tuple(ip_network(text) for text in given.get("exclude", ()))
    return Grant(id=id, networks=tuple(ip_network(text) for text in networks), **given)


def zone(*networks: str, name: str = "gentle", **values: Any) -> Zone:
    return Zone(name=name, networks=tuple(ip_network(text) for text in networks), **values)


def scope(*grants: Grant, sha256: str = "0" * 64, **values: Any) -> Scope:
    given: dict[str, Any] = {"ports": Ports.of(dicom=(104, 11112)), **values}
    return Scope(
        version=1,
        id="test",
        contact=Contact(name="Team", email="team@hospital.example"),
        vantage=Vantage(kind=VantageKind.OFFICE, name="laptop"),
        grants=grants,
        pace=Pace(),
        budget=Budget(),
        sha256=sha256,
        path=Path("scope.toml"),
        **given,
    )


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: dt.datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()


Pins = dict[str, tuple[Address, ...]]
