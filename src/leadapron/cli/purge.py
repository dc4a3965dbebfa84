"""`leadapron purge --older-than`."""

from __future__ import annotations

import datetime as dt
import json as json_module
import re
from typing import Annotated

import typer

from leadapron.cli.options import JsonOption, StoreOption
from leadapron.errors import InputError

_AGE = re.compile(r"([0-9]{1,5})([dw])")


def purge_command(
    older_than: Annotated[str, typer.Option("--older-than", help="An age (90d, 12w) or a date (2026-01-31, UTC).")],
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    import shutil

    from leadapron.settings import data_directory, default_store_url
    from leadapron.store.store import Store

    before = parse_age(older_than, now=dt.datetime.now(dt.UTC))
    with Store.open(store or default_store_url()) as opened:
        runs = opened.purge(before, dry_run=True)
        sure = dry_run or yes or not runs or typer.confirm(f"Delete {len(runs)} runs from before {before:%Y-%m-%d}?")
        done = bool(runs) and sure and not dry_run
        if done:
            opened.purge(before)
            for run in runs:
                shutil.rmtree(data_directory() / "runs" / run, ignore_errors=True)
    if json:
        typer.echo(json_module.dumps({"runs": runs, "deleted": done}))
    else:
        typer.echo(f"{len(runs)} runs {'deleted' if done else 'would be deleted' if dry_run else 'left as they are'}.")


def parse_age(text: str, *, now: dt.datetime) -> dt.datetime:
    """The moment that `text` names. Raises InputError."""
    if (age := _AGE.fullmatch(text)) is not None:
        return now - dt.timedelta(days=int(age[1]) * (7 if age[2] == "w" else 1))
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
    except ValueError:
        raise InputError(
            f"--older-than {text!r} is neither an age nor a date; examples: 90d, 12w, 2026-01-31"
        ) from None
