"""`leadapron survey compare TRUTH [RUN]`."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import JsonOption, RunArgument, StoreOption
from leadapron.cli.output import while_read

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from leadapron.lab.world.compare import Comparison, CountryHeld, Held
    from leadapron.report.messages import Messages

EXIT_DIFFERS = 1
SCHEMA = "leadapron/survey-comparison/1"
SHOWN = 20
"""Rows of a table; the JSON has them all."""
_NAMED = 12
"""Countries that are shown although nothing is wrong about them."""

Row = tuple[str, ...]
Section = tuple[str, Row, Sequence[Row], int]
"""A title, names of columns, rows, and how many columns at the left are text."""


def compare_command(
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH",
            help="What stands there, as `python -m leadapron.lab world truth` writes it.",
            show_default=False,
        ),
    ],
    run: RunArgument = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Hold a run against the truth of a made-up world: servers, countries and totals, and what it claims that is not so."""
    from leadapron.lab.world.compare import compare
    from leadapron.lab.world.truth import read
    from leadapron.report.load import load_view
    from leadapron.settings import default_store_url
    from leadapron.store.store import Store

    known, url = read(truth), store or default_store_url()
    view = load_view(url, run)
    with Store.open(url, create=False) as opened:
        reached = opened.hits(view.run.id)
    found = compare(known, view, reached)
    with while_read():
        if json:
            typer.echo(json_module.dumps(document(found), indent=2))
        else:
            _print(found)
    raise typer.Exit(0 if found.is_good else EXIT_DIFFERS)


def document(found: Comparison) -> dict[str, object]:
    """Plain data."""
    return {
        "schema": SCHEMA,
        "found_the_truth": found.is_good,
        **{
            field.name: getattr(found, field.name)
            for field in dataclasses.fields(found)
            if isinstance(getattr(found, field.name), int | str)
        },
        **{
            name: [dataclasses.asdict(item) for item in getattr(found, name)]
            for name in ("missed", "false_alarms", "genuineness", "countries_wrong", "counts_wrong")
        },
        "totals": {held.name: _held(held) for held in found.totals},
        "countries": {
            country.code: {
                "servers": country.servers,
                "servers_found": country.servers_found,
                "images": _held(country.images),
            }
            for country in found.countries
        },
    }


def _held(held: Held) -> dict[str, object]:
    from leadapron.report.json import count_document

    return {
        "truth": held.truth,
        "found": count_document(held.found),
        "error": held.error,
        "holds_the_truth": held.is_inside,
        "judged": held.is_judged,
    }


# -- text --------------------------------------------------------------------------------------------------------------


def _print(found: Comparison) -> None:
    """Tables for a terminal, else lines with two blanks between columns."""
    from rich.console import Console

    from leadapron.report.messages import messages

    t = messages("en")
    console = Console(markup=False, highlight=False, emoji=False)
    sections = [section for section in _sections(found, t) if section[2]]
    if console.is_terminal:
        _print_tables(found, sections, console, t)
        return
    for line in _lines(found, sections, t):
        console.file.write(f"{line}\n")


def _print_tables(found: Comparison, sections: Sequence[Section], console: Console, t: Messages) -> None:
    from rich.padding import Padding
    from rich.text import Text

    style = "bold green" if found.is_good else "bold red"
    console.print(Padding(Text(_verdict(found), style=style), (1, 0, 0, 0)))
    console.print(Text(_sentence(found, t), style="bold"))
    console.print(Text(f"run {found.run}, {found.status}", style="dim"))
    for section in sections:
        console.print(Padding(Text(section[0], style="bold"), (1, 0, 0, 0)))
        console.print(_table(section))


def _table(section: Section) -> Table:
    from rich.table import Table
    from rich.text import Text

    _, names, rows, texts = section
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False, expand=False)
    for place, name in enumerate(names):
        is_text = place < texts or not name
        table.add_column(name, overflow="fold", justify="left" if is_text else "right", no_wrap=not is_text)
    for row in rows:
        style = "red" if row[-1] in _BAD else "green" if row[-1] in _GOOD else ""
        table.add_row(*map(Text, row[:-1]), Text(row[-1], style=style))
    return table


def _lines(found: Comparison, sections: Sequence[Section], t: Messages) -> Iterator[str]:
    yield _verdict(found)
    yield _sentence(found, t)
    yield f"run {found.run}, {found.status}"
    for title, names, rows, texts in sections:
        yield ""
        yield title
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (
                cell.ljust(width) if place < texts or not names[place] else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "  ".join(cells).rstrip()


_GOOD, _BAD = ("holds",), ("misses", "over 1 %", "not known", "missing")


def _verdict(found: Comparison) -> str:
    return "The run found the truth." if found.is_good else "The run differs from the truth."


def _sentence(found: Comparison, t: Messages) -> str:
    parts = [f"{t.number(found.found)} of {t.number(found.exposed)} exposed servers were found"]
    parts.append(_counted(t, len(found.false_alarms), "false alarm"))
    if found.not_judged:
        parts.append(f"of {t.number(found.not_judged)} nobody judged whose records they show")
    if found.estimates:
        parts.append(f"{t.number(found.estimates_missed)} of {t.number(found.estimates)} estimates miss")
    return "; ".join(parts) + "."


def _counted(t: Messages, number: int, what: str) -> str:
    return f"{t.number(number) if number else 'no'} {what}{'' if number == 1 else 's'}"


def _sections(found: Comparison, t: Messages) -> Iterator[Section]:
    columns = ("", "truth", "found", "error", "")
    yield "Totals", columns, [_total_row(held, t) for held in found.totals], 1
    missed = sorted(found.missed, key=lambda server: -server.images)
    rows: list[Row] = [(m.endpoint, m.country, m.kind, m.why, t.number(m.images)) for m in missed]
    yield _titled("Missed", rows), ("server", "", "what it is", "what the run says", "images"), rows[:SHOWN], 4
    for title, wrong in (
        ("False alarms", found.false_alarms),
        ("Records taken for others", found.genuineness),
        ("Wrong country", found.countries_wrong),
        ("Counts that do not hold the truth", found.counts_wrong),
    ):
        rows = [(item.endpoint, item.says, item.truth) for item in wrong]
        yield _titled(title, rows), ("server", "the run says", "in truth"), rows[:SHOWN], 3
    yield _by_country(found.countries, t)


def _titled(title: str, rows: Sequence[object]) -> str:
    return f"{title} ({SHOWN} of {len(rows)} shown)" if len(rows) > SHOWN else title


_WORDS = {
    "images": "images, as reported",
    "unique_images": "images, each once",
    "genuine_images": "patients' images, as reported",
    "unique_genuine_images": "patients' images, each once",
    "studies": "studies, as reported",
    "unique_studies": "studies, each once",
}


def _total_row(held: Held, t: Messages) -> Row:
    from leadapron.report.words import short_number

    return _WORDS[held.name], t.number(held.truth), short_number(t, held.found), _percent(held), _said(held)


def _said(held: Held) -> str:
    """`holds`: the interval holds the truth, and the value is within 1 % of it; `over 1 %`: the interval alone does."""
    if held.found is None:
        return "not known" if held.is_judged else "not judged"
    said = "misses" if not held.is_inside else "holds" if held.is_good else "over 1 %"
    return said if held.is_judged else f"{said} (for information)"


def _percent(held: Held) -> str:
    return "–" if held.error is None else f"{100 * held.error:+.2f} %"


def _standing(country: CountryHeld) -> str:
    return "missing" if country.servers_found < country.servers else _said(country.images)


def _by_country(countries: Sequence[CountryHeld], t: Messages) -> Section:
    """The largest, and all about which something is wrong."""
    from leadapron.report.words import short_number

    shown = [
        country
        for place, country in enumerate(countries)
        if place < _NAMED or not country.images.is_good or country.servers != country.servers_found
    ]
    rows: list[Row] = [
        (
            country.code or "none",
            f"{t.number(country.servers_found)} of {t.number(country.servers)}",
            t.number(country.images.truth),
            short_number(t, country.images.found),
            _percent(country.images),
            _standing(country),
        )
        for country in shown
    ]
    left = len(countries) - len(shown)
    title = "Images by country, as reported" + (f"; {t.number(left)} more within 1 %" if left else "")
    return title, ("", "servers", "truth", "found", "error", ""), rows, 1
