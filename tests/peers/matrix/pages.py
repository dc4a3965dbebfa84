"""The table "Tried on" of each door's page, from its cells. `make pages` writes them anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from leadapron.model import CountKind
from matrix import EXCUSED, MADE_UP, Row, matrix
from matrix.cells import Cell, Number

DOCS = Path(__file__).resolve().parents[3] / "docs"
BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
HEAD = ("server", "state", "service", "talk", "list", "read", "write", "studies", "images", "unknown", "controls")
NONE = "–"
INTRODUCTION = """\
Real servers, and servers of the tests that mean harm. Each row is a service at one of them, as an audit to the depth
`census` with `blank_login` and `cleartext_census` says; `tests/peers/test_matrix.py` holds it to what the server was given.
"""


def table(door: str, row: Row) -> str:
    """Of a door, with what it is not tried on."""
    lines = [INTRODUCTION, "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for each in (*row.peers, *row.hostile):
        for number, cell in enumerate(each.cells):
            name = each.server if number == 0 or cell.what else ""
            of = ", ".join(filter(None, (name, cell.what)))
            lines.append("| " + " | ".join([of, *_columns(door, cell)]) + " |")
    excuses = [f"No {state} one: {why}" for (name, state), why in EXCUSED.items() if name == door]
    if door in MADE_UP:
        excuses.insert(0, f"The open ones are of the tests, too: {MADE_UP[door]}.")
    return "\n".join([*lines, *("\n" + each for each in excuses)])


def _columns(door: str, cell: Cell) -> Iterator[str]:
    yield cell.state or ""
    yield _service(door, cell)
    for verdict in (cell.talk, cell.list, cell.read, cell.write):
        yield NONE if cell.resource is None else verdict.replace("_", " ")
    yield _number(cell.studies)
    yield _number(cell.images)
    yield ", ".join(sorted(f"{stage}: {reason.replace('_', ' ')}" for stage, reason in cell.why | cell.beside)) or NONE
    yield ", ".join(sorted(cell.controls)) or NONE


def _service(door: str, cell: Cell) -> str:
    if cell.resource is None:
        return "none"
    name = f"`{cell.resource}`" if cell.resource else "the server"
    return name if cell.protocol in ("", door) else f"{name} ({cell.protocol})"


def _number(number: Number | None) -> str:
    if number is None:
        return NONE
    return f"at least {number.value}" if number.kind is CountKind.BOUND else str(number.value)


def page(door: str, row: Row) -> str:
    """The whole page of a door, as it should be. Raises ValueError where it has no place for the table."""
    text = (DOCS / f"{door}.md").read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"docs/{door}.md: no lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table(door, row)}\n\n{END}{after}"


if __name__ == "__main__":
    for door, row in matrix().items():
        (DOCS / f"{door}.md").write_text(page(door, row))
