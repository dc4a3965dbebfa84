"""The list of files of a module: rsync's multiplexed stream (io.c) and what is in it (flist.c), protocols 27 to 29. Sans-IO,
streamed.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterator

from leadapron.errors import WireError
from leadapron.protocols.files.tree import Entry, Kind, Path, is_a_name

MAX_PATH = 4096
"""Bytes (MAXPATHLEN of Linux): rsync itself refuses longer ones."""
MAX_MESSAGE = 1 << 16
"""Bytes of a message beside the data; it is read for one question, and dropped."""

_BASE, _DATA = 7, 0

_TOP_DIR, _SAME_MODE, _EXTENDED, _SAME_NAME, _LONG_NAME, _SAME_TIME = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
"""XMIT_… of rsync.h."""
_HARD_LINKED, _OTHER_TIME = 1 << 9, 1 << 13
_NEVER = _HARD_LINKED | _OTHER_TIME
"""What is sent only where we ask for it, and we do not."""

_GENERAL_ERROR = 1
"""IOERR_GENERAL: something could not be read."""

_DENIED = re.compile(rb"Permission denied \(13\)")


class Channel:
    """The multiplexed stream: bytes go in, data comes out. `is_denied`: a message said that something may not be read."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._left = 0
        """bytes of the frame that is being read"""
        self._is_data = True
        self._message = bytearray()
        self.is_denied = False

    def receive(self, data: bytes) -> bytes:
        """Raises WireError."""
        self._unread += data
        pieces: list[bytes] = []
        while self._unread:
            if not self._left and not self._header():
                break
            piece = bytes(self._unread[: self._left])
            del self._unread[: self._left]
            self._left -= len(piece)
            if self._is_data:
                pieces.append(piece)
            else:
                self._note(piece)
        return b"".join(pieces)

    def _header(self) -> bool:
        """The next one that announces something; False where more bytes are needed. Raises WireError."""
        while not self._left:
            if len(self._unread) < 4:
                return False
            (word,) = struct.unpack_from("<I", self._unread)
            del self._unread[:4]
            tag, self._left = (word >> 24) - _BASE, word & 0xFFFFFF
            if tag < 0:
                raise WireError("a frame without a tag")
            self._is_data = tag == _DATA
            if not self._is_data and self._left > MAX_MESSAGE:
                raise WireError("a message is too long", limit=True)
        return bool(self._unread)

    def _note(self, piece: bytes) -> None:
        self._message += piece
        if not self._left:
            self.is_denied = self.is_denied or _DENIED.search(self._message) is not None
            self._message.clear()


class FileList:
    """Data goes in, files come out, each with its path from the module. `error`: None until the list came to its end, then
    whether the server says that it could not read everything."""

    def __init__(self, protocol: int) -> None:
        self._has_extended_flags = protocol >= 28
        self._unread = bytearray()
        self._name = b""
        self._mode = 0
        self._is_ended = False
        self.error: bool | None = None
        self.odd = 0

    def receive(self, data: bytes) -> Iterator[tuple[Path, Entry]]:
        """Folder and entry of each. Raises WireError."""
        self._unread += data
        place = 0
        try:
            while self.error is None and (end := self._item(place)) is not None:
                place, found = end
                if found is not None:
                    yield found
        finally:
            del self._unread[:place]

    def _item(self, place: int) -> tuple[int, tuple[Path, Entry] | None] | None:
        """What is at `place`, and where it ends; None where it is not whole."""
        reader = _Reader(self._unread, place)
        try:
            return self._read_end(reader) if self._is_ended else self._read_file(reader)
        except IndexError:
            return None

    def _read_end(self, reader: _Reader) -> tuple[int, None]:
        self.error = bool(reader.integer() & _GENERAL_ERROR)
        return reader.place, None

    def _read_file(self, reader: _Reader) -> tuple[int, tuple[Path, Entry] | None]:
        flags = reader.byte()
        if not flags:
            self._is_ended = True
            return reader.place, None
        if self._has_extended_flags and flags & _EXTENDED:
            flags |= reader.byte() << 8
        if flags & _NEVER:
            raise WireError("a list with what was not asked for")
        name = self._read_name(reader, flags)
        size = reader.long()
        if not flags & _SAME_TIME:
            reader.integer()
        mode = self._mode if flags & _SAME_MODE else reader.integer()
        # Only now it is whole: until then the next read begins here again.
        self._name, self._mode = name, mode
        return reader.place, self._entry(name, size, mode)

    def _read_name(self, reader: _Reader, flags: int) -> bytes:
        shared = reader.byte() if flags & _SAME_NAME else 0
        length = reader.integer() if flags & _LONG_NAME else reader.byte()
        if shared > len(self._name) or not 0 <= length <= MAX_PATH - shared:
            raise WireError("a name is too long, or shares what is not there", limit=True)
        return self._name[:shared] + reader.bytes(length)

    def _entry(self, name: bytes, size: int, mode: int) -> tuple[Path, Entry] | None:
        if name == b".":
            return None
        *folder, last = name.split(b"/")
        if not all(map(is_a_name, (*folder, last))):
            self.odd += 1
            return None
        kind = Kind.FOLDER if stat.S_ISDIR(mode) else Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER
        return tuple(folder), Entry(name=last, kind=kind, size=size if kind is Kind.FILE and size >= 0 else None)


class _Reader:
    """Raises IndexError where the bytes are not there yet."""

    def __init__(self, data: bytearray, place: int) -> None:
        self._data, self.place = data, place

    def bytes(self, length: int) -> bytes:
        end = self.place + length
        if end > len(self._data):
            raise IndexError
        piece, self.place = bytes(self._data[self.place : end]), end
        return piece

    def byte(self) -> int:
        return self.bytes(1)[0]

    def integer(self) -> int:
        return int.from_bytes(self.bytes(4), "little", signed=True)

    def long(self) -> int:
        """Of 4 bytes, or of 8 behind four of 0xFF (io.c, read_longint)."""
        short = self.integer()
        return short if short != -1 else int.from_bytes(self.bytes(8), "little", signed=True)
