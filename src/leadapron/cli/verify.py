"""`leadapron verify KEY scope.toml`."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.audit import EXIT_FINDINGS, EXIT_INCOMPLETE, Ended, watched
from leadapron.cli.disposition import KeyArgument
from leadapron.cli.options import InventoryOption, JsonOption, QuietOption, StoreOption
from leadapron.cli.output import while_read
from leadapron.errors import LeadApronError
from leadapron.model import RunStatus

if TYPE_CHECKING:
    from leadapron.pipeline_run import Verified
    from leadapron.report.view import View


def verify_command(
    key: KeyArgument,
    scope: Annotated[Path, typer.Argument(metavar="SCOPE", help="The scope file, from the same kind of vantage.")],
    inventory: InventoryOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from leadapron.settings import default_store_url

    url = store or default_store_url()
    try:
        done = verify(scope, key, url=url, quiet=quiet, inventories=inventory or ())
    except KeyboardInterrupt:
        raise Ended("\nStopped at once; the finding stands as before.") from None
    except Ended as ended:
        raise Ended(f"{ended}\nNot finished; the finding stands as before.") from None
    try:
        _print(url, done, json=json)
    except LeadApronError as error:
        raise Ended(f"{error}\nThe run is kept: leadapron show {done.run.id}") from None
    raise typer.Exit(exit_code(done))


def verify(scope: Path, key: str, *, url: str, quiet: bool, inventories: Sequence[Path] = ()) -> Verified:
    """Raises InputError or StoreError before anything was touched, Ended afterwards."""
    from leadapron.pipeline import Options
    from leadapron.pipeline_run import verify_finding

    with watched(quiet=quiet) as progress:
        return verify_finding(scope, key, url=url, options=Options(), progress=progress, inventories=inventories)


def exit_code(done: Verified) -> int:
    """0: closed. 1: still broken. 3: could not be told, whatever was known before; silence closes nothing."""
    from leadapron.report.view import is_active

    if is_active(done.finding, done.run):
        return EXIT_FINDINGS
    return 0 if _is_closed(done) else EXIT_INCOMPLETE


def _is_closed(done: Verified) -> bool:
    return done.run.status is RunStatus.COMPLETE and done.is_refuted


def _print(url: str, done: Verified, *, json: bool) -> None:
    from leadapron.report.json import document
    from leadapron.report.load import load_view

    view, finding = load_view(url, done.run.id), done.finding
    with while_read():
        if not json:
            typer.echo("\n".join(_lines(view, done)))
            return
        result = {
            "key": finding.key,
            "control": finding.control,
            "status": finding.status.value,
            "refuted": done.is_refuted,
            "run": done.run.id,
            "run_status": done.run.status.value,
            "report": document(view),
        }
        typer.echo(json_module.dumps(result, indent=2))


def _lines(view: View, done: Verified) -> Iterator[str]:
    """What became of the finding, then what was seen."""
    from leadapron.report import words
    from leadapron.report.inert import plain
    from leadapron.report.messages import messages

    t, finding = messages("en"), done.finding
    title = words.control_text(t, finding).title
    yield plain(f"{finding.key} ({finding.control}: {title}) at {finding.service.endpoint} {_said(done)}.")
    if status := words.status(t, view.run):
        yield status
    for item in view.services:
        yield plain(f"  Called title: {words.title(t, item.observation)}")
        for name, _, meaning in words.accesses(t, item.observation.access):
            yield f"    {name}: {meaning}"
    for group in view.unknown_groups:
        stage, reason = words.unknown(t, group)
        yield f"  Unknown: {stage}: {reason}"
    if not view.services and not view.unknown_groups:
        yield "  The port refuses connections."
    yield f"Run {view.run.id}"


def _said(done: Verified) -> str:
    from leadapron.report.view import is_active

    if is_active(done.finding, done.run):
        return "is still open"
    if _is_closed(done):
        return "is closed"
    return f"could not be settled, and stands as {done.finding.status.value.replace('_', ' ')}"
