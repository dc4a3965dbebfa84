"""One listing as it comes: what it is, then its entries; and at its end, whether it was whole. Sans-IO."""

from __future__ import annotations

from collections.abc import Collection

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.files.tree import Entry
from leadapron.protocols.listing.formats import LOOKED_AT, Format, format_of, is_whole
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
        self._start = self._end = b""
        self._idle = 0
        self._counted = 0

    @property
    def odd(self) -> int:
        """Entries that were left out because of their names."""
        return 0 if self._rows is None else self._rows.odd

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that `data` completes. Raises WireError: with `limit` where it does not end."""
        self._end = (self._end + data[-_END:])[-_END:]
        if self._rows is None:
            self._start += data
            self.format = format_of(self._start)
            if self.format is None:
                if len(self._start) > LOOKED_AT:
                    raise WireError("a page that is no listing")
                return []
            self._rows = rows_of(self.format, self._base, self._hosts)
            data, self._start = self._start, b""
        entries = self._rows.feed(data)
        seen = len(entries) + self._rows.odd - self._counted
        self._counted = self._rows.odd
        self._idle = 0 if seen else self._idle + len(data)
        if self._idle > MAX_IDLE:
            raise WireError("a listing without entries that does not end", limit=True)
        return entries

    def finish(self) -> tuple[list[Entry], Reason | None]:
        """The entries that only the end completes; None, or why it was not whole: PROTOCOL, TRUNCATED."""
        if self._rows is None or self.format is None:
            is_empty = self._may_be_empty and bytes(self._start).split() in ([b"[]"], [b"[", b"]"])
            return [], None if is_empty else Reason.PROTOCOL
        return self._rows.finish(), None if is_whole(self.format, self._end) else Reason.TRUNCATED
