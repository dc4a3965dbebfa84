"""The folders that are looked for, from `folders.toml`: data with reasons."""

from __future__ import annotations

import functools
import re
import tomllib
from importlib import resources

ROOT = "/"
MOST = 11
_PATH = re.compile(r"/(?:[a-z0-9.-]{1,20}/){1,3}")


@functools.cache
def folders() -> tuple[str, ...]:
    """In the order of the file. Raises ValueError where it breaks its own rules."""
    return parse_folders(resources.files(__package__).joinpath("folders.toml").read_text("utf-8"))


def parse_folders(document: str) -> tuple[str, ...]:
    """Raises ValueError: a folder without a reason, one that is no path, one that is there twice, too many."""
    entries = tomllib.loads(document).get("folder", [])
    paths = tuple(str(entry.get("path")) for entry in entries)
    is_sound = all(_PATH.fullmatch(path) for path in paths) and all(entry.get("why") for entry in entries)
    if not is_sound or len(set(paths)) < len(paths) or len(paths) > MOST:
        raise ValueError("folders.toml: paths in small letters with a slash at both ends, each once, with its reason")
    return paths
