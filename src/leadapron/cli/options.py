"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadapron.model import Severity

RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="The run, or the beginning of its id; the latest audit by default.", show_default=False
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="LEADAPRON_STORE",
        help="The store; SQLite in the data directory by default.",
    ),
]
ScopeArgument = Annotated[Path, typer.Argument(metavar="SCOPE", help="The scope file.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AuditedArgument = Annotated[
    Path, typer.Argument(metavar="SCOPE", help="The scope file: what may be touched, and who said so.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the last run that was not finished.")]
FullOption = Annotated[bool, typer.Option("--full", help="Lift the budget of answers and seconds per service.")]
FailOnOption = Annotated[
    Severity, typer.Option("--fail-on", help="Exit with 1 when a finding is at least this severe.")
]
InventoryOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--inventory",
        metavar="FILE",
        help="What there should be: a CSV, an orthanc.json or an LDIF. May be repeated.",
    ),
]
