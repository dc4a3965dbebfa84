"""`leadapron stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from leadapron.cli.options import StoreOption
from leadapron.errors import InputError


def stop_command(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="The run, or the beginning of its id; the latest by default.", show_default=False
        ),
    ] = None,
    store: StoreOption = None,
) -> None:
    from leadapron.model import RunStatus
    from leadapron.scope.audit_log import in_use
    from leadapron.settings import data_directory, default_store_url
    from leadapron.store.store import Store

    with Store.open(store or default_store_url(), create=False) as opened:
        found = opened.run(run)
    directory = data_directory() / "runs" / found.id
    if not in_use(directory / "audit.jsonl"):
        was = "was killed, or runs elsewhere" if found.status is RunStatus.RUNNING else f"is {found.status.value}"
        raise InputError(f"run {found.id} {was}; nothing to stop here")
    (directory / "stop").touch(mode=0o600)
    typer.echo(f"Run {found.id} stops within seconds. `leadapron audit --resume` with its scope goes on with it.")
