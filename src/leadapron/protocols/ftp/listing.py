"""Listings of folders: MLSD (RFC 3659 section 7), and the two forms that LIST has in practice, `ls -l` and DOS. Sans-IO.

Streamed: no more than one line is held. A line that is too long is left out and counted, as is one that cannot be read;
neither is taken for the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from leadapron.protocols.files.tree import Entry, Kind, Tree, is_a_name

MAX_LINE = Tree.MAX_NAME + 1024
"""Bytes: the longest name, and what is said of it."""

MAX_SIZE = (1 << 63) - 1

_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = rb"(?:%s {1,4}\d{1,2}|\d{1,2} {1,4}%s)" % (_MONTH, _MONTH)
_WHEN = _DAY + rb" {1,4}(?:\d{4}|\d{1,2}:\d{2})|\d{4}-\d\d-\d\d {1,4}\d\d:\d\d"
_UNIX = re.compile(
    rb"([-dlbcpsDC])([-rwxsStTlL]{9})[+.@]?.{0,256}? (\d{1,19}) {1,4}(?:" + _WHEN + rb") (.+)", re.DOTALL
)
_DOS = re.compile(
    rb"\d\d-\d\d-\d\d(?:\d\d)? {1,4}\d\d:\d\d(?:[AP]M)? {1,32}(?:(<[A-Z]{1,12}>)|([\d,]{1,26})) {1,32}(.+)", re.DOTALL
)
# Each run of spaces is bounded: a line costs the same, whatever is in it.
_TOTAL = re.compile(rb"total \d+")
_FACT_KINDS = {b"file": Kind.FILE, b"dir": Kind.FOLDER}
_FOLDER_ITSELF = frozenset({b"cdir", b"pdir"})

_FOLDER_WRITE, _FILE_WRITE = frozenset(b"cm"), frozenset(b"w")
"""Letters of `perm` (RFC 3659 section 7.5.5): files and folders may be made there; a file may be stored over. That it may be
added to (`a`) is no sign: ProFTPD says so of every file that can be read."""

Line = Entry | bool
"""An entry; True: a line that says nothing of one, and should not; False: it could not be read."""


class Listing:
    """Bytes go in, entries come out."""

    def __init__(self, read_line: Callable[[bytes], Line]) -> None:
        self._read_line = read_line
        self._unread = b""
        self._is_skipping = False
        self.entries = 0
        self.odd = 0
        """entries whose names cannot be part of a path"""
        self.unreadable = 0
        """lines that are no listing, or too long"""

    def receive(self, data: bytes) -> Iterator[Entry]:
        """The entries of the lines that are whole now."""
        *whole, self._unread = (self._unread + data).split(b"\n")
        for line in whole:
            yield from self._take(line)
        if len(self._unread) > MAX_LINE:
            self.unreadable += not self._is_skipping
            self._is_skipping, self._unread = True, b""

    def end(self) -> Iterator[Entry]:
        """The entry of a last line without an end."""
        line, self._unread = self._unread, b""
        yield from self._take(line)

    def _take(self, line: bytes) -> Iterator[Entry]:
        if self._is_skipping:
            self._is_skipping = False
            return
        line = line.removesuffix(b"\r")
        read = False if len(line) > MAX_LINE else not line or self._read_line(line)
        if isinstance(read, bool):
            self.unreadable += not read
        elif read.name in (b".", b".."):
            return
        elif not is_a_name(read.name) or b"\r" in read.name:
            self.odd += 1
        else:
            self.entries += 1
            yield read


def read_list_line(line: bytes) -> Line:
    """A line of LIST. Never raises."""
    if (unix := _UNIX.fullmatch(line)) is not None:
        return _unix_entry(*unix.groups())
    if (dos := _DOS.fullmatch(line)) is not None:
        folder, size, name = dos.groups()
        if size is not None:
            return Entry(name=name, kind=Kind.FILE, size=_size(size.replace(b",", b"")))
        return Entry(name=name, kind=Kind.FOLDER if folder == b"<DIR>" else Kind.OTHER)
    return _TOTAL.fullmatch(line.strip()) is not None


def _unix_entry(kind: bytes, mode: bytes, size: bytes, name: bytes) -> Entry:
    is_open = mode[7:8] == b"w"
    if kind == b"d":
        # A folder that anyone may write, where each keeps what is his, is written all the same.
        return Entry(name=name, kind=Kind.FOLDER, world_writable=is_open)
    if kind == b"-":
        return Entry(name=name, kind=Kind.FILE, size=_size(size), world_writable=is_open)
    return Entry(name=name.partition(b" -> ")[0], kind=Kind.OTHER)


def read_mlsd_line(line: bytes) -> Line:
    """A line of MLSD: facts, each with its `;`, one space, the name. Never raises. A server says in `perm` what we may do,
    as whoever we have logged in as: anyone."""
    head, space, name = line.partition(b" ")
    facts = dict(fact.lower().partition(b"=")[::2] for fact in head.split(b";", 32)[:32] if fact)
    if not space or not name or not head.endswith(b";") or not all(facts):
        return False
    kind = facts.get(b"type", b"")
    if kind in _FOLDER_ITSELF:
        return True
    of = _FACT_KINDS.get(kind, Kind.OTHER)
    writing = _FOLDER_WRITE if of is Kind.FOLDER else _FILE_WRITE
    return Entry(
        name=name,
        kind=of,
        size=_size(facts.get(b"size", b"")) if of is Kind.FILE else None,
        world_writable=of is not Kind.OTHER and not writing.isdisjoint(facts.get(b"perm", b"")),
    )


def _size(digits: bytes) -> int | None:
    """None where it is none."""
    if not digits.isdigit() or len(digits) > 19:
        return None
    return size if (size := int(digits)) <= MAX_SIZE else None
