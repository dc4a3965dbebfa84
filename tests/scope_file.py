"""A scope file for tests."""

from __future__ import annotations

import datetime as dt
from pathlib import Path


def write_scope(
    path: Path,
    *,
    networks: list[str],
    ports: list[int] | dict[str, list[int]],
    depth: str = "count",
    called_aets: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    cleartext_census: bool = False,
    granted: str = "",
    extra: str = "",
) -> Path:
    """Write a scope of one grant that is valid today; `ports` of DICOM, or by door; `granted` are further lines of it,
    `extra` is appended."""
    by_door = ports if isinstance(ports, dict) else {"dicom": ports}
    today = dt.datetime.now(dt.UTC).date()
    path.write_text(
        f"""\
version = 1
id = "test"

[contact]
name = "Test"
email = "test@hospital.example"
calling_aet = "LEADAPRON"

[vantage]
kind = "internet"
name = "test"

[[grant]]
id = "g"
owner = "Example Hospital"
basis = "owner"
granted_by = "CISO"
reference = "TEST"
valid_from = {today - dt.timedelta(days=1)}
valid_until = {today + dt.timedelta(days=1)}
country = "DE"
depth = "{depth}"
networks = {list(networks)}
exclude = {list(exclude)}
called_aets = {list(called_aets)}
cleartext_census = {str(cleartext_census).lower()}
{granted}

[ports]
{chr(10).join(f"{door} = {numbers}" for door, numbers in by_door.items())}

[pace]
connections_per_second = 5000
per_network = 5000
{extra}
""".replace("'", '"')
    )
    return path
