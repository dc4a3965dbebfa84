"""`leadapron show [RUN]`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import typer

from leadapron.cli.options import JsonOption, RunArgument, StoreOption
from leadapron.cli.output import while_read

if TYPE_CHECKING:
    from leadapron.report.view import View


def show_command(
    run: RunArgument = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    from leadapron.settings import default_store_url

    print_run(store or default_store_url(), run, json=json)


def print_run(url: str, run_id: str | None, *, json: bool) -> View:
    """To stdout: as JSON, as tables for a terminal, else as plain lines. Returns what it printed."""
    from leadapron.report.load import load_view

    view = load_view(url, run_id)
    with while_read():
        if json:
            from leadapron.report.json import render_json

            typer.echo(render_json(view), nl=False)
            return view
        from rich.console import Console

        from leadapron.report.terminal import show

        show(view, Console(markup=False, highlight=False, emoji=False), store=_elsewhere(url))
    return view


def _elsewhere(url: str) -> str:
    """What `--store` has to say for this store; a URL that may hold a password is not repeated."""
    from leadapron.settings import default_store_url

    if url in (default_store_url(), os.environ.get("LEADAPRON_STORE")):
        return ""
    return shlex.quote(url) if url.startswith("sqlite:") else "URL"
