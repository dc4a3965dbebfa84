"""What a file is by its name, from `formats.toml`. A name is read and forgotten: what is left of it is one of our words."""

from __future__ import annotations

import enum
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


class Sort(enum.StrEnum):
    """What a format is to us."""

    DICOM = "dicom"
    IMAGING = "imaging"
    """other formats of medical images"""
    ARCHIVE = "archive"
    """may hold images"""
    TRACE = "trace"
    """somebody else was here"""
    OTHER = "other"
    UNNAMED = "unnamed"
    """the name says nothing: it may be DICOM"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    name: str
    """ours: a key of `formats.toml`, or `unnamed`"""
    sort: Sort


DICOMDIR, UNNAMED = "dicomdir", Format(name="unnamed", sort=Sort.UNNAMED)
MAY_BE_DICOM = frozenset((Sort.DICOM, Sort.UNNAMED))
"""Worth a read."""
MAX_NAME = 255
"""Bytes: a longer name says nothing."""


@dataclass(frozen=True, slots=True)
class _Table:
    formats: Mapping[str, Format]
    ends: Mapping[bytes, Format]
    names: re.Pattern[bytes]


@functools.cache
def _table() -> _Table:
    """Raises ValueError where the file breaks its own rules."""
    raw = tomllib.loads((resources.files(__package__) / "formats.toml").read_text("utf-8"))
    formats = {name: Format(name=name, sort=Sort(rows["kind"])) for name, rows in raw.items()}
    ends: dict[bytes, Format] = {}
    for name, rows in raw.items():
        for end in rows.get("ends", ()):
            if not re.fullmatch(r"(\.[a-z0-9]+){1,2}", end) or end.encode() in ends or not rows["source"]:
                raise ValueError(f"formats.toml: {name}: {end} is no ending, or there twice")
            ends[end.encode()] = formats[name]
    patterns = [f"(?P<{name}>{'|'.join(rows['names'])})" for name, rows in raw.items() if "names" in rows]
    return _Table(formats, ends, re.compile("|".join(patterns).encode()))


def formats() -> Mapping[str, Format]:
    """By name, in the order of the file."""
    return _table().formats


def format_of(name: bytes) -> Format:
    """By the whole name where it is a known one, else by its ending."""
    table, low = _table(), name.lower()
    if len(low) > MAX_NAME:
        return UNNAMED
    if (match := table.names.fullmatch(low)) is not None and match.lastgroup is not None:
        return table.formats[match.lastgroup]
    *_, second, last = (b"", b"", *low.split(b"."))
    if b"." not in low or not last:
        return UNNAMED
    return table.ends.get(b"." + second + b"." + last) or table.ends.get(b"." + last) or UNNAMED
