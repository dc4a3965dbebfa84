"""`leadapron survey`: what a survey owes those whom it meets, and how well it sees."""

from __future__ import annotations

import typer

from leadapron.cli.survey_compare import compare_command

survey_app = typer.Typer(no_args_is_help=True)


@survey_app.callback()
def _group() -> None:
    """What a survey owes those whom it meets, and how well it sees."""


survey_app.command("compare", short_help="Hold a run against the truth of a made-up world.")(compare_command)
