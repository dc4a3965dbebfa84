"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="LEADAPRON_STORE",
        help="The store; SQLite in the data directory by default.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
InventoryOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--inventory",
        metavar="FILE",
        help="What there should be: a CSV, an orthanc.json or an LDIF. May be repeated.",
    ),
]
