"""The answer to PROPFIND (RFC 4918 section 13, elements in 14) as it comes, to entries. Sans-IO.

A document type is refused, and with it every entity of its own (defusedxml). What is held is one response, however many
there are; any bytes give entries or `WireError`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from defusedxml.ElementTree import DefusedXMLParser, ParseError

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.files.tree import Entry, Kind
from leadapron.protocols.listing.links import Child, Left, child

PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/></D:prop></D:propfind>'
)
"""The least that tells folders and sizes (section 9.1)."""

MAX_DEPTH = 24
MAX_NAMES = 512
"""Different names of elements and attributes: the parser keeps each for as long as it lives."""
MAX_SILENT = 256 << 10
"""Bytes of one tag or comment."""
MAX_IDLE = 1 << 20
"""Bytes without an entry in them."""
MAX_TEXT = 16 << 10
"""Characters of a link or a length that are held: more than any of them may have."""
MAX_SIZE = 1 << 60
_PIECE = 16 << 10

_ROOT, _RESPONSE, _HREF = "{DAV:}multistatus", "{DAV:}response", "{DAV:}href"
_COLLECTION, _LENGTH = "{DAV:}collection", "{DAV:}getcontentlength"
_DIGITS = re.compile(r"[0-9]{1,18}")


class Multistatus:
    """Of the folder `base`; `hosts` as in `leadapron.protocols.listing.links`."""

    def __init__(self, base: bytes, hosts: Collection[bytes] = ()) -> None:
        self._responses = _Responses(base, hosts)
        self._parser = DefusedXMLParser(target=self._responses, forbid_dtd=True)
        self._silent = self._idle = 0

    @property
    def odd(self) -> int:
        """Entries that were left out because of their names."""
        return self._responses.odd

    @property
    def is_begun(self) -> bool:
        """It is a multistatus, as far as it came."""
        return self._responses.depth > 0 or self._responses.is_closed

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes. Raises WireError: with `limit` where it does not end."""
        responses = self._responses
        for start in range(0, len(data), _PIECE):
            piece, events, found = data[start : start + _PIECE], responses.events, responses.seen
            self._parse(piece)
            self._silent = 0 if responses.events > events else self._silent + len(piece)
            self._idle = 0 if responses.seen > found else self._idle + len(piece)
            if self._silent > MAX_SILENT or self._idle > MAX_IDLE:
                raise WireError("a multistatus without responses that does not end", limit=True)
        return responses.taken()

    def finish(self) -> tuple[list[Entry], Reason | None]:
        """None, or why it was not whole: PROTOCOL, TRUNCATED."""
        try:
            self._parse(None)
        except WireError:
            return self._responses.taken(), Reason.TRUNCATED if self.is_begun else Reason.PROTOCOL
        return self._responses.taken(), None

    def _parse(self, data: bytes | None) -> None:
        """The errors of the parser hold what the peer sent: they end here."""
        try:
            if data is None:
                self._parser.close()
            else:
                self._parser.feed(data)
        except (ParseError, ValueError, LookupError):
            raise WireError("no XML, or one with a document type") from None


class _Responses:
    """What the parser calls: start, end, data, close."""

    def __init__(self, base: bytes, hosts: Collection[bytes]) -> None:
        self._base, self._hosts = base, hosts
        self._entries: list[Entry] = []
        self._names: set[str] = set()
        self._text: list[str] | None = None
        """of the element that is read, if it is one that counts"""
        self._held = 0
        self._link = self._length = ""
        self._is_collection = False
        self.depth = self.events = self.seen = self.odd = 0
        """`seen`: responses"""
        self.is_closed = False

    def taken(self) -> list[Entry]:
        entries, self._entries = self._entries, []
        return entries

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.events += 1
        self.depth += 1
        self._names.update((tag, *attributes))
        if self.depth > MAX_DEPTH or len(self._names) > MAX_NAMES:
            raise WireError("a multistatus of too many names, or nested too deep", limit=True)
        if self.depth == 1 and tag != _ROOT:
            raise WireError("no multistatus")
        if self.depth == 2:
            self._link, self._length, self._is_collection = "", "", False
        counts = (tag == _HREF and self.depth == 3) or tag == _LENGTH
        self._text, self._held = ([] if counts else None), 0
        self._is_collection = self._is_collection or tag == _COLLECTION

    def data(self, text: str) -> None:
        self.events += 1
        if self._text is None:
            return
        text = text[: MAX_TEXT - self._held]
        self._held += len(text)
        self._text.append(text)

    def end(self, tag: str) -> None:
        self.events += 1
        if self._text is not None:
            self._keep(tag, "".join(self._text))
            self._text = None
        if tag == _RESPONSE and self.depth == 2:
            self._respond()
        self.depth -= 1

    def close(self) -> None:
        self.is_closed = True

    def _keep(self, tag: str, text: str) -> None:
        """The first link counts, and the last length: a server may say of one property that it is not found."""
        if tag == _HREF:
            self._link = self._link or text
        elif text:
            self._length = text

    def _respond(self) -> None:
        self.seen += 1
        found = child(self._link.encode("utf-8", "replace"), self._base, self._hosts)
        if isinstance(found, Child):
            kind = Kind.FOLDER if self._is_collection or found.is_folder else Kind.FILE
            self._entries.append(Entry(found.name, kind, _size(self._length) if kind is Kind.FILE else None))
        self.odd += found is Left.ODD


def _size(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and _DIGITS.fullmatch(text) and int(text) <= MAX_SIZE else None
