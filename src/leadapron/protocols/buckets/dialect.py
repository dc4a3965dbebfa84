"""What stores have in common: how a bucket is asked for in each, and what a page of a listing holds.

Only questions about the bucket that the scope names can be written here: every target of a dialect begins with it, or goes
to a host that is its own.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_from_bytes

from leadapron.protocols.http.exchange import Answer
from leadapron.protocols.http.web import BUSY, LOCKED
from leadapron.protocols.http.wire import Fields
from leadapron.scope.buckets import Bucket

PAGE = 1000
"""Entries of a page: the most that S3 gives."""
MAX_PAGE = 16 << 20
"""Bytes of a page: a thousand keys of a thousand bytes, each byte of which is written with several."""
MAX_TOKEN = 8192
"""Bytes of a continuation token."""


class Said(enum.StrEnum):
    """What a store says about a bucket."""

    OPEN = "open"
    CLOSED = "closed"
    """it is there, or may be, and a stranger may not"""
    HIDDEN = "hidden"
    """it is closed or it is not there: the store does not say which"""
    ABSENT = "absent"
    ELSEWHERE = "elsewhere"
    """another host serves it, which is not asked"""
    BUSY = "busy"
    OTHER = "other"
    """no answer of such a store, or one that fits no question of ours"""


class Key(NamedTuple):
    """One line of a page. A peer's text."""

    key: bytes
    """from the root of the bucket; of a folder with its last slash"""
    is_folder: bool
    size: int | None = None


class Page(NamedTuple):
    keys: list[Key]
    token: bytes
    """with which the next page is asked for; b"" behind the last. A peer's text, and often a key"""
    is_cut: bool = False
    """there is more, and no way to ask for it"""


class Dialect(ABC):
    """One store's way to say it. Pure."""

    @abstractmethod
    def there(self, bucket: Bucket) -> bytes:
        """The target by which a bucket is asked for, without what it holds, with HEAD."""

    @abstractmethod
    def page(self, bucket: Bucket, prefix: bytes, token: bytes, size: int) -> bytes:
        """The target of one page of what lies directly below `prefix`, which ends with a slash or is empty."""

    @abstractmethod
    def object(self, bucket: Bucket, key: bytes) -> bytes:
        """The target of the content of one object."""

    @abstractmethod
    def read(self, body: bytes) -> Page:
        """A whole page. Raises WireError."""

    @abstractmethod
    def said(self, answer: Answer) -> Said:
        """What an answer to a question for a page says about the bucket. Never raises."""

    fields: Fields = ()
    """that go with each question for a page"""
    is_told_by_its_start = False
    """a page may be longer than is read of it, and still says what it is"""


def by_status(status: int) -> Said:
    """What a status says that means the same in every store."""
    if 300 <= status < 400:
        return Said.ELSEWHERE
    if status in LOCKED:
        return Said.CLOSED
    return Said.BUSY if status in BUSY else Said.OPEN if status == 200 else Said.OTHER


def path_of(key: bytes, *, slashes: bool = True) -> bytes:
    """A key in a path (RFC 3986 section 3.3), whose slashes stand unless told otherwise. Raises ValueError where a part is
    `.` or `..`: that would be a step out of the bucket, whatever its percent form. No path of a tree has one."""
    if any(part in (b".", b"..") for part in key.split(b"/")):
        raise ValueError("a key that steps out of its bucket")
    return quote_from_bytes(key, safe="/~" if slashes else "~").encode()


def query_of(parameters: Mapping[str, str | bytes]) -> bytes:
    return "&".join(f"{name}={quote(value, safe='~')}" for name, value in parameters.items() if value != b"").encode()
