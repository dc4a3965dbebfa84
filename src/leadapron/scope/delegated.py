"""Statistics files of the regional internet registries ("delegated", "delegated-extended"): whose networks are a country's.

RIR Statistics Exchange Format, as APNIC and ARIN publish it: a version line, summary lines, and records, whose fields stand
apart by |. A number of IPv4 addresses need not be a power of two.

    2|ripencc|1790287199|176081|19830705|20261126|+0100     version|registry|serial|records|startdate|enddate|UTCoffset
    ripencc|*|ipv4|*|68487|summary                          registry|*|type|*|count|summary
    ripencc|FR|ipv4|2.0.0.0|1048576|20100712|allocated|…    registry|cc|type|start|value|date|status[|opaque-id…]
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Network
from typing import BinaryIO

from leadapron.scope.spans import Span

LONGEST_LINE = 4096
"""Bytes."""

_VERSION = re.compile(rb"2(?:\.[0-9]{1,2})?\|")
_HELD = (b"allocated", b"assigned")
_TYPES = (b"ipv4", b"ipv6")


class NotDelegated(ValueError):  # noqa: N818 - what the file is not
    """The file breaks the format. Says in which line, and repeats nothing of it."""


@dataclass(slots=True, kw_only=True)
class Delegated:
    """What a file says of some countries. Spans are in the order of the file, by IP version."""

    registry: str
    date: dt.date
    """the last day that the file tells of (enddate)"""
    spans: dict[int, list[Span]] = field(default_factory=lambda: {4: [], 6: []})


def is_delegated(file: BinaryIO) -> bool:
    """Whether the file begins as one does. Leaves it at its beginning."""
    head = file.read(1 << 16)
    file.seek(0)
    lines = (line for line in head.split(b"\n") if line.strip() and not line.startswith(b"#"))
    return _VERSION.match(next(lines, b"")) is not None


def read_delegated(file: BinaryIO, countries: Collection[str]) -> Delegated:
    """The networks that were allocated or assigned to these countries (ISO 3166-1 alpha-2). Raises NotDelegated, also for a
    file that has fewer records than its summary lines promise: it was cut off."""
    wanted = {country.encode() for country in countries}
    found: Delegated | None = None
    promised, seen = Counter[bytes](), Counter[bytes]()
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if not line.endswith(b"\n"):
            raise NotDelegated(f"is cut off, or too long, in line {number}")
        if line.startswith(b"#") or not (text := line.strip()):
            continue
        fields = text.split(b"|")
        if found is None:
            found = _version(fields)
        elif len(fields) == 6 and fields[5] == b"summary":
            promised[fields[2]] += _number(fields[4], number)
        elif len(fields) < 7:
            raise NotDelegated(f"has no record in line {number}")
        else:
            seen[fields[2]] += 1
            if fields[1].upper() in wanted and fields[6] in _HELD and fields[2] in _TYPES:
                _add(found, fields, number)
    if found is None:
        raise NotDelegated("has no version line")
    if any(seen[kind] < count for kind, count in promised.items()):
        raise NotDelegated("has fewer records than its summary lines promise: it was cut off")
    return found


def _version(fields: list[bytes]) -> Delegated:
    if len(fields) < 7 or not re.fullmatch(rb"2(?:\.[0-9]{1,2})?", fields[0]):
        raise NotDelegated("has no version line at its beginning")
    registry, end = fields[1], fields[5]
    if not re.fullmatch(rb"[a-z]{2,10}", registry):
        raise NotDelegated("names no registry in its version line")
    try:
        date = dt.datetime.strptime(end.decode("ascii"), "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise NotDelegated("has no date in its version line") from None
    return Delegated(registry=registry.decode(), date=date)


def _number(text: bytes, line: int) -> int:
    if not re.fullmatch(rb"[0-9]{1,10}", text):
        raise NotDelegated(f"has no number where one belongs in line {line}")
    return int(text)


def _add(found: Delegated, fields: list[bytes], line: int) -> None:
    value = _number(fields[4], line)
    try:
        start = fields[3].decode("ascii")
        version, span = (4, _span4(start, value)) if fields[2] == b"ipv4" else (6, _span6(start, value))
    except ValueError:
        raise NotDelegated(f"has no network in line {line}") from None
    found.spans[version].append(span)


def _span4(start: str, count: int) -> Span:
    """Raises ValueError."""
    first = int(IPv4Address(start))
    if not 0 < count <= (1 << 32) - first:
        raise ValueError("is no range of addresses")
    return first, first + count - 1


def _span6(start: str, length: int) -> Span:
    """Raises ValueError."""
    network = IPv6Network((start, length))
    if not network.prefixlen:
        raise ValueError("is all of IPv6")
    return int(network.network_address), int(network.broadcast_address)
