"""`leadapron audit scope.toml`."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption, QuietOption, StoreOption
from leadapron.model import Finding, Run, RunStatus, Severity

if TYPE_CHECKING:
    from leadapron.pipeline import Options

EXIT_FINDINGS, EXIT_INCOMPLETE = 1, 3


def audit_command(
    scope: Annotated[
        Path, typer.Argument(metavar="SCOPE", help="The scope file: what may be touched, and who said so.")
    ],
    store: StoreOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run that was not finished.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Lift the budget of answers and seconds per service.")] = False,
    fail_on: Annotated[
        Severity,
        typer.Option("--fail-on", help="Exit with 1 when a finding is at least this severe."),
    ] = Severity.HIGH,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from leadapron.pipeline import Options

    hint = (
        f"To go on{', with the same --store' if store else ''}:\n  leadapron audit --resume {shlex.quote(str(scope))}"
    )
    try:
        run, findings = audit(scope, store=store, resume=resume, options=Options(full=full), json=json, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo(f"\nStopped at once; what was measured is kept. {hint}", err=True)
        raise typer.Exit(EXIT_INCOMPLETE) from None
    if run.status in (RunStatus.STOPPED, RunStatus.INCOMPLETE):
        with contextlib.suppress(BrokenPipeError):
            typer.echo(f"Not finished; what was measured is kept. {hint}", err=True)
    raise typer.Exit(exit_code(run, findings, fail_on))


def exit_code(run: Run, findings: Sequence[Finding], fail_on: Severity) -> int:
    """3 beats 1: of what was not seen nothing is known. A mistake in what was given (2) never comes as far as this.

    What is closed by now, or was not seen by this run, does not fail it.
    """
    from leadapron.report.view import is_active

    if run.status is not RunStatus.COMPLETE:
        return EXIT_INCOMPLETE
    severe = (is_active(finding, run) and finding.severity.rank >= fail_on.rank for finding in findings)
    return EXIT_FINDINGS if any(severe) else 0


def audit(
    scope_path: Path,
    *,
    store: str | None,
    resume: bool,
    options: Options,
    json: bool,
    quiet: bool,
) -> tuple[Run, list[Finding]]:
    """Run one audit and print its result."""
    from leadapron.cli.progress import TerminalProgress
    from leadapron.cli.show import print_run
    from leadapron.pipeline_run import audit_scope
    from leadapron.settings import default_store_url

    url = store or default_store_url()
    with TerminalProgress(quiet=quiet) as progress:
        run, findings = audit_scope(scope_path, url=url, resume=resume, options=options, progress=progress)
    print_run(url, run.id, json=json)
    return run, findings
