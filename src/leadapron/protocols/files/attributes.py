"""The attributes that a census of files looks for, from `attributes.toml`, as they lie in a header of either byte order."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources

from leadapron.protocols.dicom.attributes import GROUPS as PUBLIC_GROUPS
from leadapron.protocols.dicom.attributes import Attribute
from leadapron.protocols.dicom.attributes import attributes as public

GROUPS = (*PUBLIC_GROUPS, "uids")
OVERLAYS = 0x6000
"""The lowest of the 16 even groups of overlays (PS3.5 section 7.6)."""

_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{2,63}")


@functools.cache
def attributes() -> Mapping[int, Attribute]:
    """By tag (group << 16 | element), in ascending order. Raises ValueError where the file breaks its own rules."""
    raw = tomllib.loads((resources.files(__package__) / "attributes.toml").read_text("utf-8"))
    if set(raw) != set(GROUPS):
        raise ValueError(f"attributes.toml: groups are {', '.join(GROUPS)}")
    found: dict[int, Attribute] = {}
    for group, rows in raw.items():
        for keyword, tag in rows.items():
            if not _KEYWORD.fullmatch(keyword) or not 0x00080000 <= tag < 0x7FE00000 or tag in found:
                raise ValueError(f"attributes.toml: {group}.{keyword}: no keyword, no tag, or a tag twice")
            found[tag] = Attribute(keyword=keyword, group=group)
    return dict(sorted(found.items()))


@functools.cache
def groups() -> Mapping[str, str]:
    """The group of each keyword: of a census of files, or of an archive."""
    return {attribute.keyword: attribute.group for attribute in (*attributes().values(), *public().values())}


@functools.cache
def wanted() -> Mapping[int, int]:
    """From each tag that counts to the tag under which it counts: overlays of every group to those of the lowest."""
    own = {tag: tag for tag in attributes()}
    for tag in attributes():
        if tag >> 16 == OVERLAYS:
            own |= {tag + (number << 17): tag for number in range(16)}
    return own
