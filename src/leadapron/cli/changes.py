"""`leadapron changes [RUN]`."""

from __future__ import annotations

from typing import Annotated

import typer

from leadapron.cli.feeds import Owners
from leadapron.cli.options import JsonOption, RunArgument, StoreOption
from leadapron.cli.output import while_read


def changes_command(
    run: RunArgument = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="RUN", help="The earlier run; the complete audit before by default.", show_default=False
        ),
    ] = None,
    by: Annotated[Owners, typer.Option("--by", help="What divides the numbers.")] = Owners.COUNTRY,
    tlp: Annotated[str, typer.Option("--tlp", help="The marking.")] = "TLP:AMBER+STRICT",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    from leadapron.report.changes_formats import changes_lines, render_changes_json
    from leadapron.report.load import load_changes
    from leadapron.report.owners import By
    from leadapron.report.tlp import tlp_label
    from leadapron.settings import default_store_url

    label = tlp_label(tlp)
    changed = load_changes(store or default_store_url(), run, since, By(by.value))
    with while_read():
        if json:
            typer.echo(render_changes_json(changed, label), nl=False)
        else:
            typer.echo(label)
            for line in changes_lines(changed):
                typer.echo(line)
