"""`leadapron cluster audit scope.toml`."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.audit import Ended, check_resumed, conclude, watched
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
from leadapron.errors import InputError
from leadapron.model import Finding, Run, Severity

if TYPE_CHECKING:
    from leadapron.cluster.crew import DaskCrew
    from leadapron.pipeline_control import Options


def cluster_audit_command(
    scope: AuditedArgument,
    scheduler: Annotated[str, typer.Option("--scheduler", metavar="URL", help="tls://HOST:PORT")],
    certificates: Annotated[
        Path, typer.Option("--certificates", metavar="DIR", help="The folder of `leadapron cluster certificates`.")
    ],
    store: StoreOption = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=1024, help="At most so many at once; those that are there by default."),
    ] = None,
    shards: Annotated[
        int | None, typer.Option("--shards", min=1, max=4096, help="Parts of the sweep; two minutes each by default.")
    ] = None,
    resume: ResumeOption = False,
    full: FullOption = False,
    inventory: InventoryOption = None,
    fail_on: FailOnOption = Severity.HIGH,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from leadapron.cli.cluster import require_dask
    from leadapron.pipeline_control import Options
    from leadapron.settings import default_store_url

    require_dask()
    check_resumed(resume=resume, inventory=bool(inventory))
    url = store or default_store_url()
    hint = f"To go on:\n  leadapron cluster audit --resume … {shlex.quote(str(scope))}"
    try:
        with closing(_crew(scope, scheduler, certificates, url)) as crew:
            run, findings = _audit(
                crew,
                scope,
                url,
                seats=workers or _present(crew),
                shards=shards,
                resume=resume,
                options=Options(full=full),
                quiet=quiet,
                inventories=tuple(inventory or ()),
                scheduler=scheduler,
            )
    except KeyboardInterrupt:
        raise Ended(f"\nStopped at once; workers stop within a minute, what was measured is kept. {hint}") from None
    except Ended as ended:
        raise Ended(f"{ended}\nNot finished; what was measured is kept. {hint}") from None
    conclude(url, run, findings, fail_on=fail_on, hint=hint, json=json)


def _crew(scope: Path, scheduler: str, certificates: Path, url: str) -> DaskCrew:
    """Raises InputError, before anything is connected to that the scope does not name."""
    from leadapron.cluster.begin import check
    from leadapron.cluster.crew import DaskCrew, endpoint_of
    from leadapron.scope.grant import load_scope

    place, loaded = endpoint_of(scheduler), load_scope(scope)
    check(loaded, url=url, scheduler=place)
    return DaskCrew(place, certificates, loaded.vantage.kind)


def _present(crew: DaskCrew) -> int:
    if not (count := crew.count()):
        raise InputError("no worker of this vantage is there; begin some, or say with --workers how many will come")
    return count


def _audit(
    crew: DaskCrew,
    scope: Path,
    url: str,
    *,
    seats: int,
    shards: int | None,
    resume: bool,
    options: Options,
    quiet: bool,
    inventories: tuple[Path, ...],
    scheduler: str,
) -> tuple[Run, list[Finding]]:
    """Raises InputError or StoreError before anything was touched, Ended afterwards."""
    from leadapron.cluster.begin import audit_with
    from leadapron.cluster.crew import endpoint_of

    with watched(quiet=quiet) as progress:
        return audit_with(
            crew,
            scope,
            url=url,
            seats=seats,
            scheduler=endpoint_of(scheduler),
            shards=shards,
            resume=resume,
            options=options,
            progress=progress,
            inventories=inventories,
        )
