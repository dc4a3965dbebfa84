"""The attributes of a census, from `census.toml`: data, so that what is looked for can be read and changed in one place."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

GROUPS = ("direct", "contact", "dates", "clinical", "staff", "institution")
_KEYWORD = re.compile(r"[A-Z][A-Za-z]{2,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    keyword: str
    """PS3.6"""
    group: str
    """one of `GROUPS`"""


@functools.cache
def groups() -> Mapping[str, str]:
    """The group of each keyword."""
    return {attribute.keyword: attribute.group for attribute in attributes().values()}


@functools.cache
def attributes() -> Mapping[int, Attribute]:
    """By tag (group << 16 | element), in ascending order. Raises ValueError where the file breaks its own rules."""
    raw = tomllib.loads((resources.files(__package__) / "census.toml").read_text("utf-8"))
    if set(raw) != set(GROUPS):
        raise ValueError(f"census.toml: groups are {', '.join(GROUPS)}")
    found: dict[int, Attribute] = {}
    for group, rows in raw.items():
        for keyword, tag in rows.items():
            if not _KEYWORD.fullmatch(keyword) or not 0x00080000 <= tag < 0x7FE00000 or tag in found:
                raise ValueError(f"census.toml: {group}.{keyword}: no keyword, no tag, or a tag twice")
            found[tag] = Attribute(keyword=keyword, group=group)
    return dict(sorted(found.items()))
