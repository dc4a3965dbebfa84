"""`leadapron stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from leadapron.cli.options import StoreOption
from leadapron.errors import InputError


def stop_command(
    run: Annotated[
        str | None, typer.Argument(help="The run, or the beginning of its id; the latest by default.")
    ] = None,
    store: StoreOption = None,
) -> None:
    from leadapron.model import RunStatus
    from leadapron.settings import data_directory, default_store_url
    from leadapron.store.store import Store

    with Store.open(store or default_store_url()) as opened:
        found = opened.run(run)
    directory = data_directory() / "runs" / found.id
    if found.status is not RunStatus.RUNNING or not directory.is_dir():
        raise InputError(f"run {found.id} is not running here (it is {found.status.value}); nothing to stop")
    (directory / "stop").touch(mode=0o600)
    typer.echo(f"Run {found.id} stops within seconds. `leadapron audit --resume` goes on with it.")
