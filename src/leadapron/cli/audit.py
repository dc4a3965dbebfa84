"""`leadapron audit scope.toml`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from leadapron.cli.options import (
    AuditedArgument,
    FailOnOption,
    FullOption,
    InventoryOption,
    JsonOption,
    QuietOption,
    ResumeOption,
    StoreOption,
)
from leadapron.cli.output import say
from leadapron.errors import InputError, LeadApronError, RunStopped
from leadapron.model import Finding, Run, RunStatus, Severity

if TYPE_CHECKING:
    from leadapron.pipeline import Options
    from leadapron.pipeline_control import Progress

EXIT_FINDINGS, EXIT_INCOMPLETE = 1, 3


class Ended(LeadApronError):  # noqa: N818 - not a mistake of the user
    """A run that had begun did not come to its end, or its result could not be shown: exit code 3, not 2."""


def audit_command(
    scope: AuditedArgument,
    store: StoreOption = None,
    resume: ResumeOption = False,
    full: FullOption = False,
    inventory: InventoryOption = None,
    seeds: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="FILE", help="Ask only what this result of another scanner names; repeatable."),
    ] = None,
    since: Annotated[
        str,
        typer.Option("--since", metavar="RUN", help="Ask its findings again, and sweep the next share of the space."),
    ] = "",
    shares: Annotated[
        int | None, typer.Option("--shares", min=1, max=366, help="Shares of --since; 7 unless told.")
    ] = None,
    fail_on: FailOnOption = Severity.HIGH,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from leadapron.pipeline import Options
    from leadapron.pipeline_delta import SHARES
    from leadapron.settings import default_store_url

    url, hint = store or default_store_url(), _how_to_go_on(scope, store=store, full=full, seeds=seeds or ())
    try:
        _check(resume=resume, inventory=bool(inventory), seeds=bool(seeds), since=since, shares=shares)
        run, findings = audit(
            scope,
            url=url,
            resume=resume,
            options=Options(full=full),
            quiet=quiet,
            inventories=inventory or (),
            seeds=seeds or (),
            since=since,
            shares=shares or SHARES,
        )
    except KeyboardInterrupt:
        raise Ended(f"\nStopped at once; what was measured is kept. {hint}") from None
    except Ended as ended:
        raise Ended(f"{ended}\nNot finished; what was measured is kept. {hint}") from None
    conclude(url, run, findings, fail_on=fail_on, hint=hint, json=json)


def _check(*, resume: bool, inventory: bool, seeds: bool, since: str, shares: int | None) -> None:
    """Raises InputError for what does not go together."""
    check_resumed(resume=resume, inventory=inventory)
    if resume and since:
        raise InputError("--since: a run that goes on keeps its share; leave it out with --resume")
    if seeds and since:
        raise InputError("--from and --since: one asks what a file names, the other what findings need; choose one")
    if shares is not None and not since:
        raise InputError("--shares: only with --since RUN")


def check_resumed(*, resume: bool, inventory: bool) -> None:
    """Raises InputError for what does not go together."""
    if resume and inventory:
        raise InputError("--inventory: a run that goes on keeps the one it began with; leave it out with --resume")


def _how_to_go_on(scope: Path, *, store: str | None, full: bool, seeds: Sequence[Path]) -> str:
    """A URL may hold a password, and is not repeated."""
    files = "".join(f"--from {shlex.quote(str(each))} " for each in seeds)
    command = f"leadapron audit --resume {'--full ' if full else ''}{files}{shlex.quote(str(scope))}"
    return f"To go on{', with the same --store' if store else ''}:\n  {command}"


def conclude(url: str, run: Run, findings: Sequence[Finding], *, fail_on: Severity, hint: str, json: bool) -> NoReturn:
    """Print the run, and exit. `hint`: how to go on, where it is not finished."""
    excused = _show_run(url, run, json=json)
    if run.status in (RunStatus.STOPPED, RunStatus.INCOMPLETE):
        say(f"Not finished; what was measured is kept. {hint}")
    raise typer.Exit(exit_code(run, findings, fail_on, excused))


def _show_run(url: str, run: Run, *, json: bool) -> frozenset[str]:
    """Print the run. Returns the keys of findings about which something is decided that holds today."""
    from leadapron.cli.show import print_run

    try:
        return print_run(url, run.id, json=json).excused
    except LeadApronError as error:
        raise Ended(f"{error}\nThe run is kept: leadapron show {run.id}") from None


def exit_code(run: Run, findings: Sequence[Finding], fail_on: Severity, excused: frozenset[str] = frozenset()) -> int:
    """3 beats 1: of what was not seen nothing is known. A mistake in what was given (2) never comes as far as this.

    What is closed by now, or was not seen by this run, does not fail it; nor do findings whose keys are `excused`.
    """
    from leadapron.report.view import is_active

    if run.status is not RunStatus.COMPLETE:
        return EXIT_INCOMPLETE
    counted = (finding for finding in findings if is_active(finding, run) and finding.key not in excused)
    return EXIT_FINDINGS if any(finding.severity.rank >= fail_on.rank for finding in counted) else 0


def audit(
    scope_path: Path,
    *,
    url: str,
    resume: bool,
    options: Options,
    quiet: bool,
    inventories: Sequence[Path] = (),
    seeds: Sequence[Path] = (),
    since: str = "",
    shares: int = 1,
) -> tuple[Run, list[Finding]]:
    """Run one audit. Raises InputError or StoreError before anything was touched, Ended afterwards."""
    from leadapron.pipeline_run import audit_scope

    with watched(quiet=quiet) as progress:
        return audit_scope(
            scope_path,
            url=url,
            resume=resume,
            options=options,
            progress=progress,
            inventories=inventories,
            seeds=seeds,
            since=since,
            shares=shares,
        )


@contextmanager
def watched(*, quiet: bool) -> Iterator[Progress]:
    """Show how a run goes on. What ends it once something may have been touched is raised as Ended."""
    from leadapron.cli.progress import TerminalProgress

    with TerminalProgress(quiet=quiet) as progress:
        try:
            yield progress
        except LeadApronError as error:
            if not progress.has_begun and not isinstance(error, RunStopped):
                raise
            raise Ended(str(error)) from None
