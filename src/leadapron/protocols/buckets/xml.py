"""Listings in XML, read as they are written: an element at a time, into keys. S3 and Azure differ by a table.

A document type is refused as soon as it begins, so that there are no entities to expand and nothing outside to fetch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from leadapron.errors import WireError
from leadapron.protocols.buckets.dialect import MAX_TOKEN, Key, Page

MAX_KEY = 8192
"""Bytes of a text that is looked at."""
MAX_KEYS = 10_000
"""Of one page, however many were asked for: Azure gives 5,000."""
MAX_DEPTH = 16
_SIZE = re.compile(r"[0-9]{1,18}")
_CODE = re.compile(r"[A-Za-z]{1,64}")
ENCODED = "Encoded"
"""An attribute of Azure's names that XML cannot hold: then they have percent signs."""


class Shape(NamedTuple):
    """Where in a listing things stand, as paths of local names."""

    root: str
    key: str
    size: str
    folder: str
    token: str
    cut: str
    """holds `true` where there is more; "" where only the token tells"""
    entry: str
    """around key and size"""


class _Reader:
    """One document."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._wanted = frozenset((shape.key, shape.size, shape.folder, shape.token, shape.cut)) - {""}
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._length = 0
        self._is_encoded = False
        self._key: bytes | None = None
        self._size: int | None = None
        self.keys: list[Key] = []
        self.token = b""
        self.is_cut = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if len(self._path) >= MAX_DEPTH:
            raise WireError("XML that is nested too deeply", limit=True)
        if not self._path and _local(name) != self._shape.root:
            raise WireError("XML that is no listing")
        self._path.append(_local(name))
        if "/".join(self._path) in self._wanted:
            self._text, self._length = [], 0
            self._is_encoded = attributes.get(ENCODED, "").lower() == "true"

    def text(self, data: str) -> None:
        if self._text is None:
            return
        self._length += len(data)
        if self._length > MAX_KEY:
            raise WireError("a text of a listing that is too long", limit=True)
        self._text.append(data)

    def end(self, _name: str) -> None:
        path = "/".join(self._path)
        if self._text is not None and path in self._wanted:
            self._take(path, "".join(self._text))
            self._text = None
        if path == self._shape.entry:
            self._finish()
        self._path.pop()

    def _take(self, path: str, text: str) -> None:
        shape = self._shape
        if path == shape.cut:
            self.is_cut = text.strip() == "true"
        elif path == shape.size:
            self._size = int(text) if _SIZE.fullmatch(text) else None
        elif path == shape.token:
            self.token = text.encode()
            if len(self.token) > MAX_TOKEN:
                raise WireError("a continuation token that is too long", limit=True)
        else:
            raw = unquote_to_bytes(text) if self._is_encoded else text.encode()
            if path == shape.key:
                self._key = raw
            else:
                self._add(Key(raw, is_folder=True))

    def _finish(self) -> None:
        if self._key is not None:
            self._add(Key(self._key, is_folder=False, size=self._size))
        self._key = self._size = None

    def _add(self, key: Key) -> None:
        if len(self.keys) >= MAX_KEYS:
            raise WireError("more entries than a page has", limit=True)
        self.keys.append(key)


def read_page(body: bytes, shape: Shape) -> Page:
    """Raises WireError."""
    reader = _Reader(shape)
    _parse(body, reader.start, reader.text, reader.end)
    is_cut = reader.is_cut and not reader.token
    token = reader.token if reader.is_cut or not shape.cut else b""
    return Page(keys=reader.keys, token=token, is_cut=is_cut)


def read_code(body: bytes) -> str:
    """The <Code> of an <Error>, one word; "" where there is none, or the body is none."""
    path: list[str] = []
    found: list[str] = []

    def start(name: str, _attributes: Mapping[str, str]) -> None:
        path.append(_local(name))
        if len(path) > MAX_DEPTH:
            raise WireError("XML that is nested too deeply", limit=True)

    def text(data: str) -> None:
        if path == ["Error", "Code"]:
            found.append(data)

    def end(_name: str) -> None:
        path.pop()

    try:
        _parse(body, start, text, end)
    except WireError:
        return ""
    code = "".join(found)
    return code if _CODE.fullmatch(code) else ""


def _parse(
    body: bytes,
    start: Callable[[str, Mapping[str, str]], None],
    text: Callable[[str], None],
    end: Callable[[str], None],
) -> None:
    """Raises WireError."""
    # UTF-8 whatever the document says: other encodings are ways around those who look for a document type.
    parser = expat.ParserCreate("utf-8", "|")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise WireError("XML that is not well-formed") from None
    except (UnicodeError, ValueError):
        raise WireError("XML that cannot be read") from None


def _refuse(*_what: object) -> None:
    raise WireError("XML with a document type")


def _local(name: str) -> str:
    return name.rpartition("|")[2]
