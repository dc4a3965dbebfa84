"""`leadapron purge --older-than`."""

from __future__ import annotations

import datetime as dt
import json as json_module
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from leadapron.cli.options import JsonOption, StoreOption
from leadapron.cli.output import say, while_read
from leadapron.errors import InputError
from leadapron.model import Run, RunStatus
from leadapron.scope.audit_log import in_use

_AGE = re.compile(r"([0-9]{1,5})([dw])")


def purge_command(
    older_than: Annotated[str, typer.Option("--older-than", help="An age (90d, 12w) or a date (2026-01-31, UTC).")],
    store: StoreOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    from leadapron.settings import data_directory, default_store_url
    from leadapron.store.store import Store

    before = parse_age(older_than, now=dt.datetime.now(dt.UTC))
    with Store.open(store or default_store_url(), create=False) as opened:
        old = [run for run in opened.runs() if run.started_at < before]
        running = [run for run in old if in_use(data_directory() / "runs" / run.id / "audit.jsonl")]
        going = [run for run in old if run not in running]
        for line in _lines(going, running, before):
            say(line)
        done = bool(going) and not dry_run and (yes or _confirmed())
        if done:
            opened.purge(before, keep=[run.id for run in running])
            for run in going:
                shutil.rmtree(data_directory() / "runs" / run.id, ignore_errors=True)
    with while_read():
        if json:
            typer.echo(json_module.dumps({"runs": [run.id for run in going], "deleted": done}))
        else:
            typer.echo(_outcome(len(going), done=done))


def _lines(going: Sequence[Run], running: Sequence[Run], before: dt.datetime) -> Iterator[str]:
    """What is about to go, and what is not."""
    if going:
        yield f"From before {before:%Y-%m-%d %H:%M} UTC, with what they found and their audit logs:"
    for run in going:
        status = "not finished" if run.status is RunStatus.RUNNING else run.status.value
        yield f"  {run.id}  scope {run.scope_id}, {status}"
    for run in running:
        yield f"  {run.id}  is left: it is running right now"


def _confirmed() -> bool:
    """Asked on stderr: stdout is for the result."""
    say("Delete them? [y/N]: ", end="")
    answer = sys.stdin.readline()
    if not answer:
        raise InputError("nobody answered, and nothing was deleted; --yes deletes without asking")
    return answer.strip().lower() in ("y", "yes")


def _outcome(count: int, *, done: bool) -> str:
    runs = f"{count} run{'' if count == 1 else 's'}"
    if not count:
        return "Nothing to delete."
    return f"{runs} deleted." if done else f"Nothing deleted; {runs} would be."


def parse_age(text: str, *, now: dt.datetime) -> dt.datetime:
    """The moment that `text` names. Raises InputError."""
    if (age := _AGE.fullmatch(text)) is not None:
        return now - dt.timedelta(days=int(age[1]) * (7 if age[2] == "w" else 1))
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise InputError(
            f"--older-than {text!r} is neither an age nor a date; examples: 90d, 12w, 2026-01-31"
        ) from None
