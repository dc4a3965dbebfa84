"""`leadapron report [RUN]`."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadapron.cli.options import RunArgument, StoreOption
from leadapron.cli.output import while_read
from leadapron.errors import InputError
from leadapron.settings import replace_private

if TYPE_CHECKING:
    from leadapron.report.view import View


class Format(enum.StrEnum):
    HTML = "html"
    JSON = "json"
    CSV = "csv"


class Rows(enum.StrEnum):
    SERVICES = "services"
    FINDINGS = "findings"


def report_command(
    run: RunArgument = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = Format.HTML,  # noqa: A002
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file, mode 0600; stdout by default.", show_default=False),
    ] = None,
    store: StoreOption = None,
    lang: Annotated[
        str | None, typer.Option("--lang", help="HTML: en (the default) or it.", show_default=False)
    ] = None,
    tlp: Annotated[
        str | None,
        typer.Option(
            "--tlp",
            help="HTML, JSON: the marking, TLP:AMBER+STRICT by default, TLP:CLEAR with --public.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        Rows | None,
        typer.Option("--rows", help="CSV: a row per service (the default) or finding.", show_default=False),
    ] = None,
    party: Annotated[
        str | None,
        typer.Option(
            "--party", metavar="NAME", help="Only what this party of a grant answers for.", show_default=False
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Aggregates only, for publication.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")] = False,
) -> None:
    from leadapron.report.load import load_view
    from leadapron.settings import default_store_url

    _refuse_what_does_nothing(format, lang=lang, tlp=tlp, rows=rows)
    if public:
        _refuse_what_is_not_public(party=party, rows=rows)
    view = load_view(store or default_store_url(), run)
    if public:
        text = _render_public(view, format, lang=lang, tlp=tlp)
    else:
        text = _render(_part(view, party), format, lang=lang, tlp=tlp, rows=rows)
    if output is None:
        with while_read():
            typer.get_binary_stream("stdout").write(text.encode("utf-8"))
        return
    write_private(output, text, force=force)
    typer.echo(str(output), err=True)


def _refuse_what_does_nothing(chosen: Format, *, lang: str | None, tlp: str | None, rows: Rows | None) -> None:
    given = {
        "--lang": (lang, (Format.HTML,)),
        "--tlp": (tlp, (Format.HTML, Format.JSON)),
        "--rows": (rows, (Format.CSV,)),
    }
    for option, (value, serves) in given.items():
        if value is not None and chosen not in serves:
            formats = " and ".join(serves)
            raise InputError(f"{option} serves --format {formats} only; leave it out, or change the format")


def _refuse_what_is_not_public(*, party: str | None, rows: Rows | None) -> None:
    if party is not None:
        raise InputError(
            "--public and --party exclude each other: one party's numbers are not for publication; choose one"
        )
    if rows is not None:
        raise InputError("--rows does nothing with --public: a row is a cell of a table; leave it out")


def _part(view: View, party: str | None) -> View:
    from leadapron.report.subset import for_party

    return view if party is None else for_party(view, party)


def _render_public(view: View, chosen: Format, *, lang: str | None, tlp: str | None) -> str:
    from leadapron.report.public import published
    from leadapron.report.tlp import PUBLIC_TLP

    public = published(view)
    if chosen is Format.JSON:
        from leadapron.report.public_json import render_public_json

        return render_public_json(public, tlp or PUBLIC_TLP)
    if chosen is Format.CSV:
        from leadapron.report.public_csv import render_public_csv

        return render_public_csv(public)
    from leadapron.report.public_html import render_public_html

    return render_public_html(public, lang or "en", tlp or PUBLIC_TLP)


def _render(view: View, chosen: Format, *, lang: str | None, tlp: str | None, rows: Rows | None) -> str:
    from leadapron.report.tlp import DEFAULT_TLP

    if chosen is Format.JSON:
        from leadapron.report.json import render_json

        return render_json(view, tlp or DEFAULT_TLP)
    if chosen is Format.CSV:
        from leadapron.report.csv import render_csv

        return render_csv(view, (rows or Rows.SERVICES).value)
    from leadapron.report.html import render_html

    return render_html(view, lang or "en", tlp or DEFAULT_TLP)


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Mode 0600, whole or not at all. Without `force` an existing file, or link, stays as it is: `InputError`."""
    try:
        if not force:
            _create(path, text)
            return
        replace_private(path, text.encode("utf-8"))
    except FileExistsError as error:
        raise InputError(f"{path}: exists; choose another name, or --force to replace it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _create(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(text.encode("utf-8"))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
