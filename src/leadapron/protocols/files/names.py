"""What a share, an export, a bucket or a module may be called in results."""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from importlib import resources

MAX_SHOWN = 48
"""Characters."""

_SHAPE = re.compile(rb"[A-Za-z0-9]+(?:[-_. ][A-Za-z0-9]+)*\$?")
_NUMBER = re.compile(r"[0-9]{1,2}")


@functools.cache
def vocabulary() -> frozenset[str]:
    return frozenset(tomllib.loads((resources.files(__package__) / "names.toml").read_text("utf-8"))["words"])


def shown_name(raw: bytes) -> str:
    """The name itself where each of its words is of a closed vocabulary (`public`, `pacs-backup`), or a number of one or
    two digits behind one; else `share-` and 16 bits of its hash, which tell apart what one server has."""
    if len(raw) <= MAX_SHOWN and _SHAPE.fullmatch(raw):
        text = raw.decode("ascii")
        words = re.split(r"[-_. ]", text.rstrip("$").lower())
        if words[0] in vocabulary() and all(word in vocabulary() or _NUMBER.fullmatch(word) for word in words):
            return text
    return f"share-{hashlib.blake2b(raw, digest_size=2, person=b'share').hexdigest()}"
