"""What a scope file must hold beyond the shape of its keys: how values go together."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import ssl
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from leadapron.errors import InputError
from leadapron.scope.file import AttributionTable, GrantTable, ZoneTable
from leadapron.scope.grant import Network
from leadapron.scope.lines import Path as Place
from leadapron.scope.mmdb import Database, Kind, NotADatabase
from leadapron.scope.our_listener import read_token
from leadapron.scope.parse import Mistake
from leadapron.scope.policy import span
from leadapron.scope.spans import merged

WIDEST = {4: 8, 6: 32}
"""Prefixes shorter than this need `wide = true`."""

MAX_DOCUMENT = 256 << 20
_LATEST = dt.date(2200, 1, 1)


class Found(NamedTuple):
    """A mistake at a key of the file."""

    place: Place
    mistake: Mistake


def check_grants(grants: Mapping[int, GrantTable], base: Path, today: dt.date) -> Iterator[Found]:
    """`grants` by their index in the file; `base` is the folder that `document` is relative to."""
    first: dict[str, int] = {}
    for index, grant in grants.items():
        place: Place = ("grant", index)
        if first.setdefault(grant.id, index) != index:
            text = f"{grant.id!r} is the id of another grant too"
            yield Found((*place, "id"), Mistake(text, "give each grant its own id: results name it"))
        yield from _check_validity(grant, place, today)
        yield from _check_reach(grant, place)
        if grant.basis == "statutory" and not grant.reference:
            yield Found(place, Mistake("has a statutory basis without a reference", "cite the law in `reference`"))
        if grant.document and not _is_readable(base / grant.document):
            mistake = Mistake(
                f"{grant.document!r} cannot be read", "name a file, relative to the scope file, or drop it"
            )
            yield Found((*place, "document"), mistake)
        key = "client_certificate" if grant.client_certificate else "client_key"
        yield from (Found((*place, key), mistake) for mistake in _key_pair_mistakes(grant, base))


def _key_pair_mistakes(grant: GrantTable, base: Path) -> Iterator[Mistake]:
    """Whether the client certificate can be used as it is: an audit has nobody who could be asked for a password."""
    if not grant.client_certificate:
        if grant.client_key:
            yield Mistake("has no certificate beside it", "name it in `client_certificate`, or drop the key")
        return
    certificate = base / grant.client_certificate
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(certificate, base / (grant.client_key or grant.client_certificate), password="")
    except OSError:  # ssl.SSLError is one
        remedy = "name both in PEM, without a password, in `client_certificate` and `client_key`"
        yield Mistake("and its key are no pair of files that can be read", remedy)


def _check_validity(grant: GrantTable, place: Place, today: dt.date) -> Iterator[Found]:
    key = (*place, "valid_until")
    if grant.valid_until < grant.valid_from:
        text = f"{grant.valid_until} is before valid_from, {grant.valid_from}"
        yield Found(key, Mistake(text, "both days are included; exchange or correct them"))
    elif grant.valid_until < today:
        text = f"expired: the last day was {grant.valid_until}, today is {today} (UTC)"
        yield Found(key, Mistake(text, "ask the owner for a new grant, or remove this one"))
    elif grant.valid_until > _LATEST:
        yield Found(key, Mistake(f"{grant.valid_until} is not a credible end", "grants are renewed; give a nearer day"))


def _check_reach(grant: GrantTable, place: Place) -> Iterator[Found]:
    if not (grant.networks or grant.names or grant.buckets or grant.urls or grant.snapshot):
        yield Found(
            place,
            Mistake("grants nothing", "list it in `networks`, `names`, `buckets` or `urls`, or name a `snapshot`"),
        )
    for item, network in enumerate(grant.networks):
        widest = WIDEST[network.version]
        if network.prefixlen < widest and not grant.wide:
            mistake = Mistake(f"{network} is wider than /{widest}", "narrow it, or set `wide = true` if it is meant")
            yield Found((*place, "networks", item), mistake)


def check_not_all_later(grants: Mapping[int, GrantTable], today: dt.date) -> Iterator[Found]:
    """A grant may begin later, but not all of them."""
    if grants and all(grant.valid_from > today for grant in grants.values()):
        index, grant = min(grants.items(), key=lambda item: item[1].valid_from)
        text = f"no grant holds yet: the first day is {grant.valid_from}, today is {today} (UTC)"
        yield Found(("grant", index, "valid_from"), Mistake(text, "wait, or correct the date"))


def check_zones(zones: Mapping[int, ZoneTable], grants: Mapping[int, GrantTable] | None) -> Iterator[Found]:
    """`grants` is None when some could not be read: then nothing is said about what lies in them."""
    first: dict[str, int] = {}
    meets = _meeting(grants) if grants is not None else None
    for index, zone in zones.items():
        if first.setdefault(zone.name, index) != index:
            text = f"{zone.name!r} is the name of another zone too"
            yield Found(("zone", index, "name"), Mistake(text, "give each zone its own name"))
        for item, network in enumerate(zone.networks):
            if meets is not None and not meets(network):
                mistake = Mistake(f"{network} lies outside all grants", "correct it, or remove it: it has no effect")
                yield Found(("zone", index, "networks", item), mistake)


def check_token_file(vantage: object, base: Path) -> Iterator[Found]:
    """`vantage` is the table as it stands in the file; `base` is the folder that `token_file` is relative to."""
    name = vantage.get("token_file") if isinstance(vantage, dict) else None
    if not isinstance(name, str) or not name:
        return
    try:
        read_token(base / name)
    except InputError:
        mistake = Mistake(f"{name!r} holds no token", "name a file with the 16 to 256 characters of `leadapron listen`")
        yield Found(("vantage", "token_file"), mistake)


def _meeting(grants: Mapping[int, GrantTable]) -> Callable[[Network], bool]:
    """Whether a network meets any grant. Names may lead anywhere, so with names any network may; so may buckets and
    snapshots."""
    if any(grant.names or grant.buckets or grant.urls or grant.snapshot for grant in grants.values()):
        return lambda network: True  # noqa: ARG005 - one of two answers to the same question
    networks = [network for grant in grants.values() for network in grant.networks]
    spans = {
        version: merged(sorted(span(network) for network in networks if network.version == version))
        for version in (4, 6)
    }

    def meets(network: Network) -> bool:
        first, last = span(network)
        own = spans[network.version]
        before = bisect_right(own, last, key=itemgetter(0))
        return before > 0 and own[before - 1][1] >= first

    return meets


_HELD = {Kind.COUNTRY: "countries", Kind.CITY: "cities", Kind.ASN: "autonomous systems"}


def check_attribution(table: AttributionTable, base: Path) -> Iterator[Found]:
    """`base` is the folder that the files are relative to."""
    for kind in Kind:
        if (name := getattr(table, kind.value)) and (mistake := _database_mistake(base / name, name, kind)):
            yield Found(("attribution", kind.value), mistake)


def _database_mistake(path: Path, name: str, kind: Kind) -> Mistake | None:
    wanted = f"name an MMDB file of {_HELD[kind]}, relative to the scope file, or drop the key"
    try:
        if not path.is_file():
            return Mistake(f"{name!r} is no file", wanted)
        with contextlib.closing(Database.open(path)) as database:
            if not database.holds(kind):
                return Mistake(f"{name!r} says nothing of {_HELD[kind]}", wanted)
    except OSError as error:
        return Mistake(f"{name!r} cannot be read: {error.strerror}", wanted)
    except NotADatabase as error:
        return Mistake(f"{name!r} {error}", wanted)
    return None


def _is_readable(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MAX_DOCUMENT and bool(digest_of(path))
    except OSError:
        return False


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
