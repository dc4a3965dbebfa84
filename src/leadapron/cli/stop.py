"""`leadapron stop`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from leadapron.cli.options import JsonOption, StoreOption
from leadapron.cli.output import while_read
from leadapron.errors import InputError


def stop_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="The run, or the beginning of its id; the latest that is running by default.",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    from leadapron.model import VERIFY, RunStatus
    from leadapron.settings import data_directory, default_store_url
    from leadapron.store.store import Store

    with Store.open(store or default_store_url(), create=False) as opened:
        running = (each for each in opened.runs() if _is_running(data_directory() / "runs" / each.id))
        found = (next(running, None) if run is None else None) or opened.run(run)
    directory = data_directory() / "runs" / found.id
    if not _is_running(directory):
        was = "was killed, or runs elsewhere" if found.status is RunStatus.RUNNING else f"is {found.status.value}"
        raise InputError(f"run {found.id} {was}; nothing to stop here")
    (directory / "stop").touch(mode=0o600)
    goes_on = "`leadapron audit --resume` with its scope goes on with it."
    text = f"Run {found.id} stops within seconds. {'Verify again.' if found.kind == VERIFY else goes_on}"
    with while_read():
        typer.echo(json_module.dumps({"run": found.id, "stopping": True}) if json else text)


def _is_running(directory: Path) -> bool:
    from leadapron.scope.audit_log import in_use

    return in_use(directory / "audit.jsonl")
