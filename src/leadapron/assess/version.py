"""Versions as products write them, so that they can be compared: 3.6.7, 1.12.10, 1.5.0b."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]{1,8})([a-z]?)")

Version = tuple[tuple[int, str], ...]
"""A sort key. Zeros at the end are cut off, so that 3.7 equals 3.7.0."""


def read_version(text: str) -> Version | None:
    """Numbers between dots, each with at most one small letter behind it, which makes it a later one.

    None for anything else (`3.6.7-rc1`, `mainline`): what cannot be ordered for sure is not ordered.
    """
    parts = [_PART.fullmatch(part) for part in text.split(".")]
    read = [(int(part[1]), part[2]) for part in parts if part is not None]
    if len(read) < len(parts):
        return None
    while read and read[-1] == (0, ""):
        read.pop()
    return tuple(read)
