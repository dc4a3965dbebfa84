"""`leadapron files PATH`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadapron.cli.options import JsonOption
from leadapron.cli.output import while_read

if TYPE_CHECKING:
    from leadapron.model import Observation
    from leadapron.protocols.files.result import Found

ENTRIES, READS, SECONDS = 200_000, 20_000, 60.0
FULL_ENTRIES, FULL_READS, FULL_BYTES, FULL_SECONDS = 1_000_000_000, 1_000_000_000, 1 << 50, 7 * 86_400.0
INCOMPLETE = 3


def files_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder.", show_default=False)],
    full: Annotated[bool, typer.Option("--full", help="Without bounds on entries, reads, bytes and time.")] = False,
    json: JsonOption = False,
) -> None:
    """Count the DICOM files of a folder, and which patient data their headers hold. Shows numbers only."""
    found, seen = _census(_folder(path), full=full)
    with while_read():
        if json:
            typer.echo(json_module.dumps(_document(found, seen), indent=2))
        else:
            _show(found, seen)
    if not _is_whole(found):
        raise typer.Exit(INCOMPLETE)


def _is_whole(found: Found) -> bool:
    """Every folder was listed, and every file that was drawn was read. A sample is whole, and so is an empty folder."""
    missed = (found.unlisted, found.broken, found.closed, found.loops, found.barred, found.unread)
    return not (any(missed) or found.refused)


def _folder(path: Path) -> Path:
    """Raises InputError for what is no folder that can be opened."""
    import os

    from leadapron.errors import InputError

    try:
        os.scandir(path).close()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such folder") from None
    except NotADirectoryError:
        raise InputError(f"{path}: is no folder; name the one that it is in") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; run as somebody who may") from None
    except (OSError, ValueError):
        raise InputError(f"{path}: cannot be opened as a folder") from None
    return path


def _census(path: Path, *, full: bool) -> tuple[Found, Observation]:
    import secrets
    from dataclasses import replace
    from ipaddress import IPv4Address

    from leadapron.assess.genuineness import weigh
    from leadapron.model import Depth, Endpoint, Owner, Service
    from leadapron.protocols.base import Terms
    from leadapron.protocols.files.local import LocalTree
    from leadapron.protocols.files.verdicts import observe
    from leadapron.protocols.files.walk import MOST_BYTES, Walk

    terms = Terms(
        depth=Depth.CENSUS,
        owner=Owner(grant=""),
        calling_aet="",
        census=True,
        key=secrets.token_bytes(16),
        answers=FULL_ENTRIES if full else ENTRIES,
        requests=FULL_READS if full else READS,
        seconds=FULL_SECONDS if full else SECONDS,
    )
    tree = LocalTree(path)
    walk = Walk(tree, terms, in_clear=False, most_bytes=FULL_BYTES if full else MOST_BYTES)
    try:
        for _ in walk.run():
            pass
    finally:
        tree.close()
    found = walk.found()
    here = Service(endpoint=Endpoint(address=IPv4Address(0), port=0), protocol="files")
    seen = observe(found, here, terms, facts={})
    return found, replace(seen, genuineness=weigh(seen))


def _document(found: Found, seen: Observation) -> dict[str, Any]:
    from leadapron.report.json import count_document

    return {
        "images": count_document(seen.counts.images),
        "studies": count_document(seen.counts.studies),
        "facts": dict(seen.facts),
        "formats": dict(sorted(found.formats.items())),
        "census": None if seen.census is None else {"sampled": found.sampled, "present": dict(found.present)},
        "genuineness": None
        if seen.genuineness is None
        else {"verdict": seen.genuineness.verdict, "signals": list(seen.genuineness.signals)},
        "unknowns": [{"stage": each.stage.value, "reason": each.reason.value} for each in seen.unknowns],
    }


def _show(found: Found, seen: Observation) -> None:
    """A table for a terminal, else a line each, name and value with a TAB between."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = list(_rows(found, seen))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        for name, value in rows:
            typer.echo(f"{name}\t{value}")
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", max_width=20, overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    console.print(table)


def _rows(found: Found, seen: Observation) -> list[tuple[str, str]]:
    from leadapron.protocols.files.formats import Sort, formats
    from leadapron.report import words
    from leadapron.report.messages import messages

    t = messages("en")
    bytes_ = f", {found.size:,} bytes" if found.sized else ""
    rows = [
        ("images", words.number(t, seen.counts.images)),
        ("studies", words.number(t, seen.counts.studies)),
        ("entries", f"{found.entries:,}: {found.files:,} files, {found.folders:,} folders{bytes_}"),
        ("read", f"{found.read:,} of {found.candidates:,} files that may be DICOM; {found.proven:,} are"),
    ]
    known = formats()
    for sort, title in ((Sort.IMAGING, "other images"), (Sort.ARCHIVE, "archives"), (Sort.TRACE, "traces")):
        named = [f"{name} {n:,}" for name, n in found.formats.items() if name in known and known[name].sort is sort]
        rows += [(title, ", ".join(named))] if named else []
    if found.headers:
        rows.append(
            (
                "headers",
                f"{found.private:,} with private data, {found.reports:,} reports, {found.documents:,} documents",
            )
        )
    rows += [(f"preamble {name}", f"{n:,}") for name, n in found.preambles.items() if name != "plain"]
    rows += [("anyone may write", f"{found.writable:,}")] if found.writable else []
    for group, most, attributes in words.census(t, seen):
        shown = ", ".join(f"{keyword} {count:,}" for keyword, count in attributes[:6])
        rows.append((group, f"in {most:,} of {found.sampled:,} headers: {shown}{', …' if attributes[6:] else ''}"))
    verdict, because = words.genuineness(t, seen)
    rows += [("whose", f"{verdict} {because}".strip())] if verdict else []
    return rows + [("not known", f"{each.stage.value}: {each.reason.value}") for each in seen.unknowns]
