"""From a link to a file or folder directly below the one that is listed; everything else is no entry of it.

A link is a reference (RFC 3986 section 4.1) as browsers read it, but for what leads elsewhere: another origin, another
folder, a query (the links that sort a listing), a fragment. These are left out. So is what would lead elsewhere once it
is decoded, `%2e%2e` or a slash within a name; that is counted as odd.
"""

from __future__ import annotations

import enum
import html
import re
from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from leadapron.protocols.files.tree import Tree, is_a_name

LONGEST = 4 * Tree.MAX_NAME
"""Bytes of a link at most: a name of the longest, with each byte as a percent sign and two digits, and its path."""

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
_URL = re.compile(rb"https?://(?:[^/@]*@)?([^/]*)(/.*)", re.IGNORECASE | re.DOTALL)


class Child(NamedTuple):
    """Its name, decoded to bytes."""

    name: bytes
    is_folder: bool


class Left(enum.Enum):
    """What is no entry."""

    ELSEWHERE = enum.auto()
    ODD = enum.auto()
    """in the folder by its place, and no name of a file"""


def plain(raw: bytes) -> bytes:
    """An attribute of HTML without its character references."""
    if b"&" not in raw:
        return raw
    return html.unescape(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def child(link: bytes, base: bytes, hosts: Collection[bytes] = ()) -> Child | Left:
    """What a link in the folder `base` leads to.

    `base` is the path of the folder, percent-decoded, with a slash at both ends. `hosts`: those that are the server itself,
    for links that are whole URLs.
    """
    link = link.strip(b" \t\r\n")
    if b"?" in link or b"#" in link:
        return Left.ELSEWHERE
    if len(link) > LONGEST + len(base):
        return Left.ODD
    relative = _below(link, base, hosts)
    if relative is None:
        return Left.ELSEWHERE
    name, slash, rest = relative.partition(b"/")
    if rest:
        return Left.ELSEWHERE
    decoded = unquote_to_bytes(name)
    if decoded in (b"", b".") or name == b"..":
        return Left.ELSEWHERE
    return Child(decoded, bool(slash)) if is_a_name(decoded) else Left.ODD


def _below(link: bytes, base: bytes, hosts: Collection[bytes]) -> bytes | None:
    """The part of it that lies below the folder, as it was encoded; None where it does not lie there."""
    if link.startswith(b"./"):
        return link[2:]
    if link.startswith(b"//"):
        return None
    if link.startswith(b"/"):
        return _without(link, base)
    if _SCHEME.match(link):
        url = _URL.fullmatch(link)
        return _without(url[2], base) if url is not None and url[1].lower() in hosts else None
    return link


def _without(path: bytes, base: bytes) -> bytes | None:
    """Compared part by part once decoded: servers escape more or fewer characters than we do."""
    depth = base.count(b"/")
    parts = path.split(b"/", depth)
    if len(parts) <= depth:
        return None
    theirs = b"/".join(unquote_to_bytes(part) for part in parts[:depth]) + b"/"
    return parts[depth] if theirs == base else None
