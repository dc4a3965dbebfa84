"""`leadapron audit scope.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption, QuietOption, StoreOption
from leadapron.model import RunStatus, Severity

if TYPE_CHECKING:
    from leadapron.pipeline import Options

EXIT_FINDINGS, EXIT_INCOMPLETE = 1, 3


def audit_command(
    scope: Annotated[Path, typer.Argument(help="The scope file: what may be touched, and who said so.")],
    store: StoreOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run that was not finished.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Lift the budget of answers and seconds per service.")] = False,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", help="Exit with 1 when a finding is at least this severe.")
    ] = Severity.HIGH,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from leadapron.pipeline import Options

    options = Options(full=full)
    try:
        code = audit(scope, store=store, resume=resume, options=options, fail_on=fail_on, json=json, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo("Stopped; `leadapron audit --resume` goes on.", err=True)
        code = EXIT_INCOMPLETE
    raise typer.Exit(code)


def audit(
    scope_path: Path,
    *,
    store: str | None,
    resume: bool,
    options: Options,
    fail_on: Severity,
    json: bool,
    quiet: bool,
) -> int:
    """Run one audit and print its result. Returns the exit code."""
    from leadapron.cli.progress import TerminalProgress
    from leadapron.cli.show import print_run
    from leadapron.pipeline_run import audit_scope
    from leadapron.settings import default_store_url

    url = store or default_store_url()
    with TerminalProgress(quiet=quiet) as progress:
        run, findings = audit_scope(scope_path, url=url, resume=resume, options=options, progress=progress)
    print_run(url, run.id, json=json)
    if run.status is not RunStatus.COMPLETE:
        return EXIT_INCOMPLETE
    return EXIT_FINDINGS if any(finding.severity.rank >= fail_on.rank for finding in findings) else 0
