"""A scope file for tests."""

from __future__ import annotations

import datetime as dt
from pathlib import Path


def write_scope(
    path: Path,
    *,
    networks: list[str],
    ports: list[int],
    depth: str = "count",
    called_aets: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    cleartext_census: bool = False,
    granted: str = "",
    extra: str = "",
) -> Path:
    """Write a scope of one grant that is valid today; `granted` are further lines of it, `extra` is appended."""
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
dicom = {ports}

[pace]
connections_per_second = 5000
per_network = 5000
{extra}
""".replace("'", '"')
    )
    return path
