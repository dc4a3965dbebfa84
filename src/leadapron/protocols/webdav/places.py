"""The places that are looked at, from `places.toml`: data with reasons."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

MOST = 6
_PATH = re.compile(r"/(?:[a-z0-9.-]{1,20}/){0,3}")


class Where(NamedTuple):
    path: str
    walk: bool
    front: tuple[bytes, ...] = ()
    """it is asked only where the front page has one of these, in whatever letters; none: anywhere"""


@functools.cache
def places() -> tuple[Where, ...]:
    """In the order of the file. Raises ValueError where it breaks its own rules."""
    return parse_places(resources.files(__package__).joinpath("places.toml").read_text("utf-8"))


def parse_places(document: str) -> tuple[Where, ...]:
    """Raises ValueError: a place without a reason, one that is no path, one that is there twice, too many."""
    entries = tomllib.loads(document).get("place", [])
    found = tuple(_where(entry) for entry in entries)
    is_sound = all(_PATH.fullmatch(place.path) and type(place.walk) is bool for place in found)
    has_reasons = all(entry.get("why") for entry in entries)
    if not is_sound or not has_reasons or len({place.path for place in found}) < len(found) or len(found) > MOST:
        raise ValueError("places.toml: paths in small letters with a slash at both ends, each once, with its reason")
    return found


def _where(entry: Mapping[str, Any]) -> Where:
    front = tuple(str(word).lower().encode() for word in entry.get("front", ()))
    return Where(str(entry.get("path")), entry.get("walk", True), front)
