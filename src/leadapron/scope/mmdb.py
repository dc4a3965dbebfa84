"""MMDB files (MaxMind DB format 2.0) of countries, cities and autonomous systems: what they say of an address.

Here, and not in `leadapron.attribute`, because the scope file names them and is checked where it is read. They are read
in pure Python. Makers name the same fields differently; the names of MaxMind, DB-IP, IPinfo and ip-location-db are known.

What a file says is text of a stranger: it becomes a country code, a number, or `inert` text.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import re
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maxminddb

from leadapron.model import Address

MAX_TEXT = 64
"""Characters of a name."""

LOOKED_AT = 5_000
"""Records at the beginning of a file, of which one has to hold what the file is named for."""

_NOT_INERT = re.compile(r"[^\w .,&'()/+-]+")
_NO_COUNTRY = frozenset({"AP", "EU", "XX", "ZZ"})
"""What some makers write for a region, or for not known."""

_AS_NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})")
_NAMES_OF_MAKERS = ("autonomous_system_organization", "as_name", "as_organization", "organization")

_BROKEN = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the reader raises for a file that breaks the format."""


class Kind(enum.StrEnum):
    """What a file is named for in the scope."""

    COUNTRY = "country"
    CITY = "city"
    ASN = "asn"


class NotADatabase(ValueError):  # noqa: N818 - what the file is not
    """The file is no MMDB, or a broken one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An open file. `name` is what its maker calls it, inert; `built` is the UTC date on which he built it."""

    name: str
    built: dt.date
    reader: maxminddb.Reader

    @classmethod
    def open(cls, path: Path) -> Database:
        """Raises OSError, or NotADatabase."""
        try:
            reader = maxminddb.open_database(path, maxminddb.MODE_MMAP)
            meta = reader.metadata()
            built = dt.datetime.fromtimestamp(meta.build_epoch, dt.UTC).date()
            return cls(name=inert(meta.database_type), built=built, reader=reader)
        except _BROKEN:
            raise NotADatabase("is not an MMDB file") from None

    def close(self) -> None:
        self.reader.close()

    def country(self, address: Address) -> str:
        """ISO 3166-1 alpha-2; "" where the file does not say."""
        return _country(self._record(address))

    def city(self, address: Address) -> str:
        return _city(self._record(address))

    def autonomous_system(self, address: Address) -> tuple[int | None, str]:
        """Number and name of the AS that announces the address; None without a number."""
        record = self._record(address)
        number = _as_number(record)
        return number, _as_name(record) if number is not None else ""

    def holds(self, kind: Kind) -> bool:
        """Whether it says, of any network among its first, what a file of this kind is asked for."""
        says = {Kind.COUNTRY: _country, Kind.CITY: _city, Kind.ASN: _as_number}[kind]
        try:
            return any(
                says(record) for _, record in itertools.islice(self.reader, LOOKED_AT) if isinstance(record, Mapping)
            )
        except _BROKEN:
            return False

    def _record(self, address: Address) -> Mapping[str, Any]:
        """Empty where there is none, or a broken one; also for an IPv6 address where the file has IPv4 only."""
        try:
            record = self.reader.get(address)
        except _BROKEN:
            return {}
        return record if isinstance(record, Mapping) else {}


def inert(value: object) -> str:
    """At most `MAX_TEXT` letters, digits, spaces and `. , & ' ( ) / + - _` of a text; "" for what is none."""
    if not isinstance(value, str):
        return ""
    text = unicodedata.normalize("NFC", value[: 4 * MAX_TEXT])
    return " ".join(_NOT_INERT.sub(" ", text).split())[:MAX_TEXT].strip()


def _country(record: Mapping[str, Any]) -> str:
    found = record.get("country_code") or record.get("country")
    code = found.get("iso_code") if isinstance(found, Mapping) else found
    known = isinstance(code, str) and re.fullmatch("[A-Z]{2}", code) and code not in _NO_COUNTRY
    return str(code) if known else ""


def _city(record: Mapping[str, Any]) -> str:
    found = record.get("city")
    names = found.get("names") if isinstance(found, Mapping) else None
    return inert(names.get("en") if isinstance(names, Mapping) else found)


def _as_number(record: Mapping[str, Any]) -> int | None:
    found = record.get("autonomous_system_number", record.get("asn"))
    match = None if isinstance(found, bool) else _AS_NUMBER.fullmatch(str(found))
    return int(match[1]) if match and 0 < int(match[1]) < 1 << 32 else None


def _as_name(record: Mapping[str, Any]) -> str:
    return next((name for key in _NAMES_OF_MAKERS if (name := inert(record.get(key)))), "")
