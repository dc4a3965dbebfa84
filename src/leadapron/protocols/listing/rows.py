"""The entries of a listing out of its bytes, as they come: of a page, of JSON, of XML. Sans-IO.

What is held is one row at most, however long the listing is. Any bytes give entries or `WireError`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from leadapron.errors import WireError
from leadapron.protocols.files.tree import Entry, Kind, is_a_name
from leadapron.protocols.listing.formats import JSON, Format
from leadapron.protocols.listing.links import Child, Left, child, plain

MAX_ROW = 16 << 10
"""Bytes of a link, or of an object."""
MAX_TAIL = 2 << 10
"""Bytes around a link that are looked at: date, size, the drawing that Caddy puts before the name."""
MAX_SIZE = 1 << 60
"""A larger one is not believed."""


class Rows(ABC):
    def __init__(self) -> None:
        self.odd = 0
        """entries that were left out because of their names"""
        self._rest = b""

    @abstractmethod
    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes. Raises WireError."""

    def finish(self) -> list[Entry]:
        """The last, which only the end of the page completes."""
        return []


def _entry(name: bytes, kind: Kind, size: int | None) -> Entry:
    return Entry(name, kind, size if size is not None and kind is Kind.FILE and 0 <= size <= MAX_SIZE else None)


def rows_of(known: Format, base: bytes, hosts: Collection[bytes] = ()) -> Rows:
    """What reads a listing of this format; `base` and `hosts` as in `leadapron.protocols.listing.links`."""
    if known in JSON:
        return JsonRows()
    return XmlRows() if known is Format.NGINX_XML else PageRows(known, base, hosts)


# -- pages -------------------------------------------------------------------------------------------------------------

_LINK = re.compile(rb"<a\s([^<>]{0,%d})>" % MAX_ROW, re.IGNORECASE)
_HREF = re.compile(rb"(?:^|\s)href\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)

_AFTER: Mapping[Format, re.Pattern[bytes]] = {
    Format.NGINX: re.compile(rb"\A[^<]*</a>\s+[0-9]{2}-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}\s+([0-9]{1,18})\s"),
    Format.APACHE_FANCY: re.compile(rb"\A[^<]*</a>\s+[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}\s+([0-9]{1,4})\s"),
    Format.APACHE_TABLE: re.compile(rb"\A[^<]*</a>\s*</td><td[^>]*>[^<]*</td><td[^>]*>\s*([0-9]{1,4})\s*</td>"),
    Format.OTHER: re.compile(rb"\A[^<]*</a>\s*</td>\s*<td>[^<]*</td>\s*<td>([0-9]{1,18}) Bytes</td>"),  # WsgiDAV
    Format.CADDY: re.compile(rb"<td(?: class=\"size\")? data-(?:order|size)=\"([0-9]{1,18})\""),
    Format.RCLONE: re.compile(rb"\A[^<]*</a></span>\s*</td>\s*<td data-order=\"([0-9]{1,18})\""),
}
"""Sizes in bytes, behind the link. Not those that are rounded (1.2K), which lighttpd and Apache write of larger files."""
_BEFORE: Mapping[Format, re.Pattern[bytes]] = {
    Format.IIS: re.compile(rb"[0-9]{1,2}:[0-9]{2} [AP]M\s{1,40}([0-9]{1,18})\s\Z")
}


class PageRows(Rows):
    """The links of a page that lead one level below its own folder."""

    def __init__(self, known: Format, base: bytes, hosts: Collection[bytes]) -> None:
        super().__init__()
        self._base, self._hosts = base, hosts
        self._after, self._before = _AFTER.get(known), _BEFORE.get(known)
        self._pending: Child | None = None
        self._tail = b""
        """of the link that is pending"""
        self._size: int | None = None
        """that stood before it"""

    def feed(self, data: bytes) -> list[Entry]:
        text, place = self._rest + data, 0
        entries: list[Entry] = []
        for link in _LINK.finditer(text):
            self._pass(text[place : link.start()])
            found = _HREF.search(link[1])
            if found is not None:
                entries += self._follow(plain(found[1] or found[2] or found[3] or b""))
            place = link.end()
        opened = text.rfind(b"<", place)
        kept = len(text) if opened < 0 or b">" in text[opened:] or len(text) - opened > MAX_ROW else opened
        self._pass(text[place:kept])
        self._rest = text[kept:]
        return entries

    def finish(self) -> list[Entry]:
        self._pass(self._rest)
        self._rest = b""
        return list(self._flush())

    def _pass(self, text: bytes) -> None:
        """Over what stands between two links: the beginning belongs to the one before, the end to the one behind."""
        if self._before is None:
            self._tail = (self._tail + text[:MAX_TAIL])[:MAX_TAIL]
        else:
            self._tail = (self._tail + text[-MAX_TAIL:])[-MAX_TAIL:]

    def _follow(self, link: bytes) -> list[Entry]:
        found = child(link, self._base, self._hosts)
        if isinstance(found, Child) and found == self._pending:
            self._tail = b""  # an icon that leads where the name does: the row goes on
            return []
        entries = list(self._flush())
        if isinstance(found, Child):
            self._pending = found
        self.odd += found is Left.ODD
        return entries

    def _flush(self) -> Iterator[Entry]:
        """The entry of the link that is pending, now that all of its row is there."""
        tail, self._tail = self._tail, b""
        before, self._size = self._size, _number(self._before, tail)
        if self._pending is not None:
            kind = Kind.FOLDER if self._pending.is_folder else Kind.FILE
            size = before if self._before is not None else _number(self._after, tail)
            yield _entry(self._pending.name, kind, size)
            self._pending = None


def _number(pattern: re.Pattern[bytes] | None, text: bytes) -> int | None:
    found = None if pattern is None else pattern.search(text)
    return None if found is None else int(found[1])


# -- JSON, XML ---------------------------------------------------------------------------------------------------------

_BETWEEN = re.compile(rb"[\s,]*")
_OBJECT = re.compile(rb'\{(?:[^][{}"]++|"(?:[^"\\]++|\\.)*+")*+\}', re.DOTALL)


class JsonRows(Rows):
    """An array of flat objects: `autoindex_format json` of nginx, and Caddy's answer to who accepts JSON."""

    def __init__(self) -> None:
        super().__init__()
        self._is_begun = self._is_ended = False

    def feed(self, data: bytes) -> list[Entry]:
        text, place = self._rest + data, 0
        entries: list[Entry] = []
        while not self._is_ended:
            place = _skip(text, place)
            if place == len(text):
                break
            if not self._is_begun:
                self._is_begun = text[place : place + 1] == b"["
                if not self._is_begun:
                    raise WireError("a listing in JSON that is no array")
                place += 1
            elif text[place : place + 1] == b"]":
                self._is_ended = True
            else:
                found = _OBJECT.match(text, place)
                if found is None:
                    break
                entries += self._read(found[0])
                place = found.end()
        self._rest = b"" if self._is_ended else text[place:]
        self._check()
        return entries

    def _check(self) -> None:
        if self._rest and self._rest[:1] != b"{":
            raise WireError("a listing in JSON with something else than objects")
        if len(self._rest) > MAX_ROW:
            raise WireError("an object that does not end", limit=True)

    def _read(self, raw: bytes) -> Iterator[Entry]:
        try:
            found: dict[str, Any] = json.loads(raw.decode("utf-8", "surrogateescape"))
            name = str(found["name"]).encode("utf-8", "surrogateescape")
        except (ValueError, KeyError):
            self.odd += 1
            return
        is_folder = found.get("is_dir") is True or found.get("type") == "directory"
        name = name.removesuffix(b"/") if is_folder else name
        if not is_a_name(name):
            self.odd += 1
            return
        size = found.get("size")
        kind = Kind.FOLDER if is_folder else Kind.OTHER if found.get("type") == "other" else Kind.FILE
        yield _entry(name, kind, size if type(size) is int else None)


def _skip(text: bytes, place: int) -> int:
    found = _BETWEEN.match(text, place)
    return place if found is None else found.end()


_ELEMENT = re.compile(rb"<(directory|file|other)\b([^<>]{0,300})>([^<>]{0,%d})</\1>" % MAX_ROW)
_SIZE = re.compile(rb"\bsize=\"([0-9]{1,18})\"")
_KINDS = {b"directory": Kind.FOLDER, b"file": Kind.FILE, b"other": Kind.OTHER}


class XmlRows(Rows):
    """`autoindex_format xml` of nginx: flat elements, read without a parser of XML, so that none of its traps is there."""

    def feed(self, data: bytes) -> list[Entry]:
        text, place = self._rest + data, 0
        entries: list[Entry] = []
        for element in _ELEMENT.finditer(text):
            place = element.end()
            name = plain(element[3])
            if is_a_name(name):
                entries.append(_entry(name, _KINDS[element[1]], _number(_SIZE, element[2])))
            else:
                self.odd += 1
        self._rest = text[max(place, len(text) - 2 * MAX_ROW) :]
        return entries
