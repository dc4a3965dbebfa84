"""What versions 3 and 4.0 of NFS have in common for us: handles, attributes, pages of a folder, and how a call failed."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from leadapron.protocols.nfs.wire.rpc import Call

PROGRAM = 100003
MAX_HANDLE = 128
"""Bytes: NFS4_FHSIZE. In version 3 a handle has at most 64."""
MAX_WIRE_NAME = 4096
"""Bytes of a name that we read, to leave it out where it is longer than a name may be."""


class Type(enum.IntEnum):
    """`ftype3` (RFC 1813 section 2.5), `nfs_ftype4` (RFC 7530 section 2.1): the numbers are the same as far as we tell
    them apart."""

    REGULAR = 1
    DIRECTORY = 2
    OTHER = 0

    @classmethod
    def _missing_(cls, _value: object) -> Type:
        return cls.OTHER


class Status(enum.Enum):
    """`nfsstat3` (RFC 1813 section 2.6), `nfsstat4` (RFC 7530 section 13.1), as far as they differ for us."""

    OK = "ok"
    ACCESS = "access"
    """closed to us: NFS3ERR_PERM, NFS3ERR_ACCES, NFS4ERR_WRONGSEC"""
    MISSING = "missing"
    """no such file or folder (any more)"""
    BUSY = "busy"
    """NFS3ERR_JUKEBOX, NFS4ERR_DELAY: later, perhaps"""
    TOO_SMALL = "too_small"
    BAD_COOKIE = "bad_cookie"
    NOT_SUPPORTED = "not_supported"
    OTHER = "other"


STATUS = {
    0: Status.OK,
    1: Status.ACCESS,
    2: Status.MISSING,
    13: Status.ACCESS,
    20: Status.MISSING,
    70: Status.MISSING,
    10003: Status.BAD_COOKIE,
    10004: Status.NOT_SUPPORTED,
    10005: Status.TOO_SMALL,
    10008: Status.BUSY,
}
"""Those that both versions number alike."""


class Attributes(NamedTuple):
    """`file_system` identifies the one that it lies on. None where the answer does not say."""

    type: Type
    mode: int | None
    size: int | None
    file_system: bytes | None


class Item(NamedTuple):
    """One line of a folder. `handle` and `attributes` are None where the answer does not have them."""

    name: bytes
    cookie: int
    handle: bytes | None = None
    attributes: Attributes | None = None


class Page(NamedTuple):
    """A part of a folder. `is_end`: there is nothing behind it."""

    status: Status
    items: Sequence[Item] = ()
    verifier: bytes = bytes(8)
    is_end: bool = False


class Node(NamedTuple):
    """What a name led to."""

    status: Status
    handle: bytes = b""
    attributes: Attributes | None = None


class Data(NamedTuple):
    status: Status
    data: bytes = b""
    is_end: bool = False


class Dialect(ABC):
    """A version of NFS: how a question is asked in it, and how its answer reads. The readers raise WireError, and nothing
    else."""

    has_plain_listing: bool
    """there is a way to list without attributes, for servers that do not support the other one"""

    @abstractmethod
    def list(self, folder: bytes, cookie: int, verifier: bytes, size: int, *, plain: bool) -> Call:
        """A page of a folder of at most `size` bytes, behind `cookie`. `plain`: names only."""

    @abstractmethod
    def read_page(self, body: bytes, *, plain: bool) -> Page: ...

    @abstractmethod
    def look_up(self, folder: bytes, name: bytes) -> Call: ...

    @abstractmethod
    def read_node(self, body: bytes) -> Node: ...

    @abstractmethod
    def attributes(self, handle: bytes) -> Call: ...

    @abstractmethod
    def read_attributes(self, body: bytes) -> Node:
        """Without its handle."""

    @abstractmethod
    def may_change(self, folder: bytes) -> Call:
        """Whether we might put something into a folder. A question: nothing is changed by it."""

    @abstractmethod
    def read_may_change(self, body: bytes) -> bool: ...

    @abstractmethod
    def read(self, handle: bytes, start: int, length: int) -> Call: ...

    @abstractmethod
    def read_data(self, body: bytes, most: int) -> Data: ...
