"""What makes a wide grant a survey: it looks at those who did not ask for it, so that they have to be told, and heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from leadapron.scope.checks import Found
from leadapron.scope.file import GrantTable, SurveyTable
from leadapron.scope.parse import Mistake

MAX_PAGE = 64 << 10
"""Bytes of the text of the page."""


def check_survey(table: SurveyTable, base: Path) -> Iterator[Found]:
    """`base` is the folder that its files are relative to."""
    try:
        read_page(base / table.page, table.page)
    except Mistake as mistake:
        yield Found(("survey", "page"), mistake)


def check_wide(grants: Mapping[int, GrantTable], *, has_survey: bool) -> Iterator[Found]:
    """What a grant may not hold that is wide."""
    for index, grant in grants.items():
        if grant.wide and not has_survey:
            mistake = Mistake(
                "needs a table [survey]", "say in it how people opt out (`opt_out`) and read why (`page`)"
            )
            yield Found(("grant", index, "wide"), mistake)


def read_page(path: Path, name: str) -> str:
    """The text of the page. `name` is how the scope names it. Raises Mistake."""
    remedy = "name a file of plain text in UTF-8, at most 64 KiB, relative to the scope file"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PAGE + 1)
        text = data.decode()
    except OSError as error:
        raise Mistake(f"{name!r} cannot be read: {error.strerror}", remedy) from None
    except UnicodeDecodeError:
        raise Mistake(f"{name!r} is not UTF-8", remedy) from None
    if len(data) > MAX_PAGE:
        raise Mistake(f"{name!r} is larger than 64 KiB", remedy)
    if not text.strip():
        raise Mistake(f"{name!r} is empty", "write in it who you are, what you ask for, and why")
    return text
