"""One listing as it comes: what it is, then its entries; and at its end, whether it was whole. Sans-IO."""

from __future__ import annotations

from collections.abc import Collection

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.files.tree import Entry
from leadapron.protocols.listing.formats import CAPS, LOOKED_AT, Format, format_of, is_whole
from leadapron.protocols.listing.rows import Rows, rows_of

MAX_IDLE = 1 << 20
"""Bytes of a listing without an entry in them."""
_END = 4 << 10
"""Bytes at its end, in which it says so: lighttpd writes a script behind the last entry."""


class Listing:
    """Of the folder `base`, as in `leadapron.protocols.listing.links`. Bytes in, entries out; one row is held at most, and
    the first 64 KiB until they say what they are. `may_be_empty_json`: `[]` is a folder of this server without a file."""

    def __init__(self, base: bytes, hosts: Collection[bytes] = (), *, may_be_empty_json: bool = False) -> None:
        self.format: Format | None = None
        self._base, self._hosts, self._may_be_empty = base, hosts, may_be_empty_json
        self._rows: Rows | None = None
        self._start, self._end = bytearray(), b""
        self._idle = self._count = 0

    @property
    def odd(self) -> int:
        """Entries that were left out because of their names."""
        return 0 if self._rows is None else self._rows.odd

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes. Raises WireError: with `limit` where it does not end."""
        self._end = (self._end + data[-_END:])[-_END:]
        if self._rows is None:
            self._start += data
            return [] if len(self._start) < LOOKED_AT else self._begin()
        return self._feed(self._rows, data)

    def _begin(self) -> list[Entry]:
        """Once the first 64 KiB have come, or all: how it comes in pieces makes no difference."""
        start, self._start = bytes(self._start), bytearray()
        self.format = format_of(start)
        if self.format is None:
            raise WireError("a page that is no listing")
        self._rows = rows_of(self.format, self._base, self._hosts)
        return self._feed(self._rows, start)

    def _feed(self, rows: Rows, data: bytes) -> list[Entry]:
        odd = rows.odd
        entries = rows.feed(data)
        self._count += len(entries)
        self._idle = 0 if entries or rows.odd > odd else self._idle + len(data)
        if self._idle > MAX_IDLE:
            raise WireError("a listing without entries that does not end", limit=True)
        return entries

    def finish(self) -> tuple[list[Entry], Reason | None]:
        """The entries that only the end completes; None, or why it was not whole: PROTOCOL, TRUNCATED, LIMIT."""
        if self._rows is None and self._may_be_empty and self._start.split() in ([b"[]"], [b"[", b"]"]):
            return [], None
        try:
            entries = [] if self._rows is not None else self._begin()
        except WireError as error:
            return [], Reason.LIMIT if error.limit else Reason.PROTOCOL
        if self._rows is None or self.format is None:
            return [], Reason.PROTOCOL
        last = self._rows.finish()
        if not is_whole(self.format, self._end):
            return entries + last, Reason.TRUNCATED
        is_capped = self._count + len(last) == CAPS.get(self.format)
        return entries + last, Reason.LIMIT if is_capped else None
