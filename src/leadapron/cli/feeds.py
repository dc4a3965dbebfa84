"""`leadapron feeds [RUN] --out DIR`."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption, RunArgument, StoreOption
from leadapron.cli.output import say, while_read
from leadapron.cli.report import write_private
from leadapron.errors import InputError
from leadapron.model import RunStatus

if TYPE_CHECKING:
    from leadapron.report.feeds import Feed, Feeds


class Owners(enum.StrEnum):
    COUNTRY = "country"
    AS = "as"
    GRANT = "grant"
    PARTY = "party"


class Format(enum.StrEnum):
    CSV = "csv"
    INTELMQ = "intelmq"


ENDINGS = {Format.CSV: "csv", Format.INTELMQ: "jsonl"}
LONGEST = 200
"""Characters of `--provider`."""


def feeds_command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A folder that is new, or empty.")],
    run: RunArgument = None,
    by: Annotated[Owners, typer.Option("--by", help="What divides the findings: a file for each.")] = Owners.COUNTRY,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.CSV,  # noqa: A002
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GROUP", help="Only this one (DE, AS64500). May be repeated.")
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="TEXT", help="intelmq: who provides the feed.", show_default=False),
    ] = None,
    tlp: Annotated[str, typer.Option("--tlp", help="The marking.")] = "TLP:AMBER+STRICT",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    from leadapron.report.feeds import feeds
    from leadapron.report.feeds_index import INDEX, feeds_document, render_index
    from leadapron.report.load import load_view
    from leadapron.report.owners import By
    from leadapron.report.tlp import tlp_label
    from leadapron.settings import default_store_url

    name = _provider(provider, format)
    tlp_label(tlp)
    made = feeds(load_view(store or default_store_url(), run), By(by.value), only or ())
    _prepare(out)
    document = feeds_document(made, _write(made, out, format, tlp=tlp, provider=name), tlp)
    write_private(out / INDEX, render_index(document), force=False)
    _warn(made)
    with while_read():
        if json:
            typer.echo(render_index(document), nl=False)
        else:
            for line in _lines(made, out, format):
                typer.echo(line)


def _provider(text: str | None, chosen: Format) -> str:
    if text is None:
        return "Lead Apron"
    if chosen is not Format.INTELMQ:
        raise InputError("--provider serves --format intelmq only; leave it out, or change the format")
    if not text.strip() or len(text) > LONGEST or not text.isprintable():
        raise InputError(f"--provider is no line of text of at most {LONGEST} characters; write a name")
    return text.strip()


def _prepare(out: Path) -> None:
    """What lies in a folder from last week would be handed over again: it has to be empty."""
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise InputError(f"{out}: is not empty; name a new folder, one for each hand-over")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another place") from None


def _write(made: Feeds, out: Path, chosen: Format, *, tlp: str, provider: str) -> Iterator[tuple[Feed, str, str]]:
    from leadapron.report.feeds_csv import render_feed_csv
    from leadapron.report.feeds_intelmq import render_feed_intelmq

    for feed in made.feeds:
        if chosen is Format.CSV:
            text = "".join(render_feed_csv(feed, made.run, tlp))
        else:
            text = "".join(render_feed_intelmq(feed, made.run, tlp, provider))
        name = _file(feed, chosen)
        write_private(out / name, text, force=False)
        yield feed, name, hashlib.sha256(text.encode("utf-8")).hexdigest()


def _file(feed: Feed, chosen: Format) -> str:
    return f"{feed.group.stem}.{ENDINGS[chosen]}"


def _warn(made: Feeds) -> None:
    """A group without a file is not clean."""
    if made.run.status is not RunStatus.COMPLETE:
        say(f"The run is {made.run.status.value}: what it did not see is in no feed.")
    if made.unknowns:
        say(f"{made.unknowns:,} places could not be seen; `leadapron show {made.run.id}` says which.")
    if made.false_positives:
        say(f"{made.false_positives:,} findings are left out: decided to be none.")


def _lines(made: Feeds, out: Path, chosen: Format) -> Iterator[str]:
    from leadapron.report.inert import plain

    for feed in made.feeds:
        count = len(feed.entries)
        yield f"{out / _file(feed, chosen)}: {plain(feed.group.name)}, {count:,} finding{'' if count == 1 else 's'}"
    if not made.feeds:
        yield "No finding stands in this run."
