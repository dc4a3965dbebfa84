"""What makes a wide grant a survey: it looks at those who did not ask for it, so that they have to be told, and heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from leadapron.model import Depth
from leadapron.scope.checks import WIDEST, Found
from leadapron.scope.exclusions import read_exclusions
from leadapron.scope.file import GrantTable, SurveyTable
from leadapron.scope.grant import Exclusion, Network
from leadapron.scope.lines import Path as Place
from leadapron.scope.parse import Mistake
from leadapron.scope.policy import span
from leadapron.scope.spans import common, merged, size_of
from leadapron.scope.special import SPECIAL4

MAX_PAGE = 64 << 10
"""Bytes of the text of the page."""

LARGEST = 1 << 20
"""Public IPv4 addresses that one grant may hold without `wide = true`: as many as a /12."""

FOR_OWNERS = (
    "cleartext_census",
    "blank_login",
    "called_aets",
    "calling_aets",
    "well_known_titles",
    "client_certificate",
    "client_key",
)
"""Keys of a grant by which an owner lets us go further than any stranger would."""


def check_survey(table: SurveyTable, base: Path) -> Iterator[Found]:
    """`base` is the folder that its files are relative to."""
    try:
        read_page(base / table.page, table.page)
    except Mistake as mistake:
        yield Found(("survey", "page"), mistake)
    try:
        exclusions_of(table, base)
    except Mistake as mistake:
        yield Found(("survey", "exclusions"), mistake)


def exclusions_of(table: SurveyTable, base: Path) -> tuple[Exclusion, ...]:
    """None where the table names no file of them. Raises Mistake."""
    return read_exclusions(base / table.exclusions, table.exclusions) if table.exclusions else ()


def check_wide(grants: Mapping[int, GrantTable], *, has_survey: bool) -> Iterator[Found]:
    """What a wide grant needs and may not hold, and what is too much for one that is not."""
    for index, grant in grants.items():
        place: Place = ("grant", index)
        if not grant.wide:
            yield from _check_size(grant, place)
            continue
        if not has_survey:
            mistake = Mistake(
                "needs a table [survey]", "say in it how people opt out (`opt_out`) and read why (`page`)"
            )
            yield Found((*place, "wide"), mistake)
        if (too_deep := _too_deep(grant)) is not None:
            yield Found((*place, "depth"), too_deep)
        for key in FOR_OWNERS:
            if getattr(grant, key):
                remedy = "remove it, or grant the owner's networks apart, in a grant that is not wide"
                yield Found((*place, key), Mistake("is an owner's word, and a wide grant has many owners", remedy))


def _check_size(grant: GrantTable, place: Place) -> Iterator[Found]:
    if any(network.prefixlen < WIDEST[network.version] for network in grant.networks):
        return  # which is said already
    if (size := public_addresses(grant.networks)) > LARGEST:
        problem = f"hold {size:,} public IPv4 addresses, more than {LARGEST:,}"
        yield Found(
            (*place, "networks"), Mistake(problem, "set `wide = true` if it is a survey, else split it by owner")
        )


def public_addresses(networks: Iterable[Network]) -> int:
    """IPv4 addresses, each once, without those of special-purpose blocks."""
    spans = merged(sorted(span(network) for network in networks if network.version == 4))
    cut = sorted(span(block) for block, _ in SPECIAL4)
    return size_of(spans) - size_of(common(spans, cut))


def _too_deep(grant: GrantTable) -> Mistake | None:
    if grant.depth == Depth.CENSUS:
        return Mistake(
            "is census, in a wide grant", "what records hold is for their owner to show: use talk or connect"
        )
    if grant.depth == Depth.COUNT and grant.basis != "statutory":
        remedy = 'use talk or connect, or cite the law that lets you count: basis = "statutory", with a `reference`'
        return Mistake("is count, in a wide grant that no law is the basis of", remedy)
    return None


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
