"""What every door to files is made of: a tree that can be listed folder by folder, and read in pieces.

The methods of a tree are parts of a conversation (`leadapron.net.conversation`): generators that yield the bytes to send
and are resumed with those that came, so that the same walk goes over HTTP, FTP, SMB, NFS, an object store, or a local
folder, whose methods yield nothing at all. What ends the connection (`Lost`) goes through the walk to the job, which
keeps what it knows.

Names of files and folders are patient data: they are raw bytes in memory for as long as a job lasts, and go nowhere else.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from leadapron.model import Reason
from leadapron.net.conversation import Steps

Path = tuple[bytes, ...]
"""From the root of the tree, which is (), to a folder or file: one name a part, as the server wrote it, decoded from the
protocol's own form (percent signs, UTF-16) to bytes. No part is empty, `.`, `..`, or holds a slash or a NUL."""


class Kind(enum.Enum):
    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """links, devices, pipes, mount points of something else: never followed, never opened"""


class Entry(NamedTuple):
    """One line of a listing."""

    name: bytes
    kind: Kind
    size: int | None = None
    """bytes; None where the listing does not say"""
    world_writable: bool = False
    """the listing says that anyone may write it"""


class Listed(NamedTuple):
    """How the listing of one folder ended; the entries went to `take` one by one, before."""

    why: Reason | None = None
    """None: it came whole, to its end. AUTH: this folder is closed to us. LIMIT: a bound of ours, or a cap of the peer.
    EMPTY, PROTOCOL: there is no such folder any more, or what came is no listing. TRUNCATED: it ended in the middle.
    STOPPED: `take` said that it is enough."""


class Wanted(NamedTuple):
    """A piece of a file."""

    path: Path
    start: int
    length: int


Piece = bytes | Reason
"""What was read: up to `length` bytes, fewer (or none) where the file ends there. Or why it was not: AUTH, EMPTY (no such
file), PROTOCOL, LIMIT."""

Take = Callable[[Entry], bool]
"""Given each entry as soon as it is parsed; False: enough, stop reading the listing."""


class Tree(ABC):
    """A tree behind one connection, or a local one. All bounds on names, entries and lengths that a peer sends are its
    own to keep: an entry whose name is no part of a `Path`, or longer than `MAX_NAME`, is left out and counted in `odd`."""

    MAX_NAME = 1024
    """bytes"""

    odd: int = 0
    """entries that were left out because of their names"""

    @abstractmethod
    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        """The entries of one folder, without `.` and `..`. Raises Lost, and nothing else for what a peer sent."""

    @abstractmethod
    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        """The pieces, in the order of `wanted`, asked for in as few round trips as the protocol has. Raises Lost."""


def is_a_name(name: bytes) -> bool:
    """Whether it may be a part of a `Path`."""
    return (
        bool(name)
        and len(name) <= Tree.MAX_NAME
        and name not in (b".", b"..")
        and b"/" not in name
        and b"\0" not in name
    )
