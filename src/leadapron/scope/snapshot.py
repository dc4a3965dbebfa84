"""Networks of a country, or of an autonomous system, from a file of one day: an MMDB file, or statistics of a registry.

The networks are those of the file and of no other day: a run is about what it said when the run began. Nothing that it says
of special-purpose blocks (RFC 6890) is taken: nobody's country is theirs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from leadapron.model import Address
from leadapron.scope.checks import Found
from leadapron.scope.delegated import NotDelegated, is_delegated, read_delegated
from leadapron.scope.file import GrantTable
from leadapron.scope.grant import Network, Snapshot
from leadapron.scope.lines import Path as Place
from leadapron.scope.mmdb import Database, NotADatabase
from leadapron.scope.parse import Mistake
from leadapron.scope.policy import span
from leadapron.scope.spans import Span, merged, networks4, networks6, size_of, without
from leadapron.scope.special import SPECIAL4, SPECIAL6

MAX_SIZE = 512 << 20
"""Bytes."""
MOST = 4_000_000
"""Networks."""

_WANTED = "name an MMDB file of countries or autonomous systems, or a file delegated-…-extended of a registry"


class Taken(NamedTuple):
    snapshot: Snapshot
    networks: tuple[Network, ...]


def check_snapshots(grants: Mapping[int, GrantTable], base: Path) -> Iterator[Found]:
    """`base` is the folder that their files are relative to."""
    for index, grant in grants.items():
        place: Place = ("grant", index)
        if not (grant.snapshot or grant.countries or grant.as_numbers):
            continue
        misused = list(_misused(grant, place))
        yield from misused
        if not misused:
            try:
                taken_from(grant, base)
            except Mistake as mistake:
                yield Found((*place, "snapshot"), mistake)


def _misused(grant: GrantTable, place: Place) -> Iterator[Found]:
    key = "countries" if grant.countries else "as_numbers"
    if not grant.snapshot:
        remedy = "name in `snapshot` the file that says which networks are meant"
        yield Found((*place, key), Mistake("says nothing by itself", remedy))
    elif not (grant.countries or grant.as_numbers):
        mistake = Mistake("is taken nothing from", "list `countries` or `as_numbers`, or drop it")
        yield Found((*place, "snapshot"), mistake)
    elif grant.countries and grant.as_numbers:
        mistake = Mistake("stands beside `countries`", "write a grant for each: one file seldom knows both")
        yield Found((*place, "as_numbers"), mistake)
    if grant.networks:
        mistake = Mistake("stand beside those of a snapshot", "write a grant of their own for them")
        yield Found((*place, "networks"), mistake)
    if not grant.wide:
        mistake = Mistake("makes the grant a survey", "set `wide = true`, and say in [survey] how people opt out")
        yield Found((*place, "snapshot" if grant.snapshot else key), mistake)


def taken_from(grant: GrantTable, base: Path) -> Taken:
    """What the grant takes from its snapshot. Raises Mistake."""
    path, name = base / grant.snapshot, grant.snapshot
    try:
        if not path.is_file():
            raise Mistake(f"{name!r} is no file", _WANTED)
        before = path.stat()
        if before.st_size > MAX_SIZE:
            raise Mistake(f"{name!r} is larger than 512 MiB", "take a smaller edition, of countries alone")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        taken = _taken(path, name, sha256, tuple(grant.countries), tuple(grant.as_numbers))
        after = path.stat()
    except OSError as error:
        raise Mistake(f"{name!r} cannot be read: {error.strerror}", _WANTED) from None
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise Mistake(f"{name!r} changed while it was read", "try again when it is whole")
    return taken


@functools.lru_cache(maxsize=8)
def _taken(path: Path, name: str, sha256: str, countries: tuple[str, ...], as_numbers: tuple[int, ...]) -> Taken:
    """By its digest, since a scope is read more than once."""
    with path.open("rb") as file:
        kind, title, date, spans = _read(path, name, file, countries, as_numbers)
    spans4 = list(without(merged(sorted(spans[4])), sorted(span(block) for block, _ in SPECIAL4)))
    spans6 = list(without(merged(sorted(spans[6])), sorted(span(block) for block, _ in SPECIAL6)))
    networks: list[Network] = []
    for source in (networks4(spans4), networks6(spans6)):
        for network in source:
            networks.append(network)
            if len(networks) > MOST:
                raise Mistake(f"{name!r} has more than {MOST:,} networks of them", "grant fewer at a time")
    if not networks:
        listed = ", ".join([*countries, *(f"AS{number}" for number in as_numbers)])
        raise Mistake(f"{name!r} has no network of {listed}", _WANTED)
    snapshot = Snapshot(
        file=path.name,
        kind=kind,
        title=title,
        date=date,
        sha256=sha256,
        networks=len(networks),
        addresses4=size_of(spans4),
    )
    return Taken(snapshot, tuple(networks))


def _read(
    path: Path, name: str, file: BinaryIO, countries: tuple[str, ...], as_numbers: tuple[int, ...]
) -> tuple[str, str, dt.date, Mapping[int, list[Span]]]:
    """Kind, title, date, and the spans by IP version."""
    from leadapron.scope.mmdb_tree import spans_of

    try:
        if is_delegated(file):
            if as_numbers:
                raise Mistake(f"{name!r} does not say which networks an AS has", "name an MMDB file of ASNs")
            found = read_delegated(file, countries)
            return "delegated", found.registry, found.date, found.spans
        with contextlib.closing(Database.open(path)) as database:
            says = _says(database, frozenset(countries), frozenset(as_numbers))
            return "mmdb", database.name, database.built, spans_of(path, database, says)
    except (NotADatabase, NotDelegated) as error:
        raise Mistake(f"{name!r} {error}", _WANTED) from None


def _says(database: Database, countries: frozenset[str], as_numbers: frozenset[int]) -> Callable[[Address], bool]:
    def says(address: Address) -> bool:
        if countries:
            return database.country(address) in countries
        return database.autonomous_system(address)[0] in as_numbers

    return says
