"""A file of another scanner as it is read: hashed on the way, unpacked where it is packed, and bounded."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from leadapron.discover.seeds.pairs import Found
from leadapron.errors import InputError

MAX_SIZE = 4 << 30
"""Bytes of the file."""
MAX_UNPACKED = 32 << 30
"""Bytes of what is in it."""
MAX_RECORD = 1 << 20
"""Bytes of a line or a record."""

_BLOCK = 1 << 18
_GZIP = b"\x1f\x8b"


class _Hashed(io.RawIOBase):
    """The bytes of a file, each hashed once, in the order of the file."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file, self._digest = file, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)

    def sha256(self) -> str:
        """Of the whole file: also of what nobody has read yet."""
        while data := self._file.read(_BLOCK):
            self._digest.update(data)
        return self._digest.hexdigest()


class _Bounded(io.RawIOBase):
    """At most `MAX_UNPACKED` bytes of what is unpacked."""

    def __init__(self, file: gzip.GzipFile, path: Path) -> None:
        super().__init__()
        self._file, self._path, self._left = file, path, MAX_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except EOFError:
            raise InputError(f"{self._path}: ends in the middle; fetch it again") from None
        except (OSError, zlib.error):
            raise InputError(f"{self._path}: is damaged (gzip); fetch it again") from None
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"{self._path}: holds more than {MAX_UNPACKED >> 30} GiB; split it")
        buffer[: len(data)] = data
        return len(data)


class Source:
    """An open file: `stream` has what is in it, unpacked."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._hashed = _Hashed(file)
        packed = io.BufferedReader(self._hashed, _BLOCK)
        self.stream: io.BufferedReader[Any] = packed
        if packed.peek(2)[:2] == _GZIP:
            self.stream = io.BufferedReader(_Bounded(gzip.GzipFile(fileobj=packed), path), _BLOCK)
        if self.stream.peek(3)[:3] == b"\xef\xbb\xbf":
            self.stream.read(3)

    def start(self) -> bytes:
        """What it begins with, without reading on: some kilobytes, or all of it."""
        return self.stream.peek(_BLOCK)

    def sha256(self) -> str:
        return self._hashed.sha256()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Raises InputError for what is no file, or too large."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: is no file; name the result of a scan")
        if status.st_size > MAX_SIZE:
            raise InputError(f"{path}: is larger than {MAX_SIZE >> 30} GiB; split it, or pack it with gzip")
        with path.open("rb") as file:
            yield Source(file, path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the result of a scan") from None


def lines(stream: io.BufferedReader[Any], found: Found) -> Iterator[str]:
    """Each line without its end, `found.at` its number. Bytes that are no UTF-8 are no part of an address: U+FFFD."""
    while line := stream.readline(MAX_RECORD + 1):
        found.at += 1
        found.has_ended = line.endswith(b"\n")
        if len(line) > MAX_RECORD:
            raise found.mistake(f"is longer than {MAX_RECORD >> 20} MiB; is this the result of a scan?")
        yield line.decode("utf-8", "replace").strip()
