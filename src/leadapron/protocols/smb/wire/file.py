"""CREATE that only opens, QUERY_DIRECTORY, READ, CLOSE ([MS-SMB2] 2.2.13 to 2.2.20, 2.2.33, 2.2.34), and the call over a
pipe (IOCTL FSCTL_PIPE_TRANSCEIVE, 2.2.31)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.smb.wire.header import LENGTH, Response

_CREATE = struct.Struct("<HBBIQQIIIIIHHII")
_CREATED = struct.Struct("<HBBI32x8xQII16sII")
_CONTEXT = struct.Struct("<IHHHHI")
_MAXIMAL_ACCESS = b"MxAc"
_MAX_CONTEXTS = 8
_READ = struct.Struct("<HBBIQ16sIIIHH")
_HAVE_READ = struct.Struct("<HBBIII")
_QUERY = struct.Struct("<HBBI16sHHI")
_BUFFER = struct.Struct("<HHI")
_CLOSE = struct.Struct("<HHI16s")
_IOCTL = struct.Struct("<HHI16sIIIIIIII")
_CALLED = struct.Struct("<HHI16sIIIIII")
_ENTRY = struct.Struct("<II32xQQII")

RELATED = b"\xff" * 16
"""The file that the message before opened, in a compounded chain ([MS-SMB2] 3.2.4.1.4)."""

_LIST, _READ_DATA, _READ_ATTRIBUTES, _WRITE_DATA = 0x1, 0x1, 0x80, 0x2
_SHARE_ALL = 0x7
_OPEN, _OPENED = 1, 1
"""FILE_OPEN: fails where nothing is there. No other disposition is ever sent."""
_DIRECTORY_FILE, _NON_DIRECTORY_FILE, _REPARSE_POINT, _NO_RECALL = 0x1, 0x40, 0x00200000, 0x00400000
_IMPERSONATION = 2
_DIRECTORY_INFORMATION = 0x01
_PIPE_TRANSCEIVE, _IS_FSCTL = 0x0011C017, 1

DIRECTORY, DEVICE, REPARSE = 0x10, 0x40, 0x400
"""File attributes ([MS-FSCC] 2.6)."""
CHUNK = 1 << 16
"""Bytes that one credit pays for ([MS-SMB2] 3.1.5.2)."""
MAX_PATH = 32_000
"""Bytes of a path in UTF-16LE."""


class Line(NamedTuple):
    """One entry of a directory. `name` in UTF-16LE."""

    name: bytes
    attributes: int
    size: int


def open_folder(path: bytes) -> bytes:
    """CREATE for listing; the path in UTF-16LE, without a leading backslash. A link is opened itself, not followed."""
    return _create(path, _LIST | _READ_ATTRIBUTES, _DIRECTORY_FILE | _REPARSE_POINT)


def open_root() -> bytes:
    """CREATE of the root of a share, to be told what we may do there (QUERY_MAXIMAL_ACCESS, 2.2.13.2.5)."""
    context = _CONTEXT.pack(0, _CONTEXT.size, len(_MAXIMAL_ACCESS), 0, 0, 0) + _MAXIMAL_ACCESS + bytes(4)
    place = LENGTH + _CREATE.size
    options = _DIRECTORY_FILE | _REPARSE_POINT
    fields = (_READ_ATTRIBUTES, 0, _SHARE_ALL, _OPEN, options, place, 0, place, len(context))
    return _CREATE.pack(57, 0, 0, _IMPERSONATION, 0, 0, *fields) + context


def maximal_access(response: Response) -> int | None:
    """What the answer to `open_root` says, as bits of 2.2.13.1; None where it does not (2.2.14.2.5). Raises WireError."""
    *_, offset, length = _CREATED.unpack(response.body(_CREATED.size))
    data, place = response.part(offset, length), 0
    for _ in range(_MAX_CONTEXTS):
        if place + _CONTEXT.size > len(data):
            break
        following, name_at, name_length, _, data_at, data_length = _CONTEXT.unpack_from(data, place)
        name = data[place + name_at : place + name_at + name_length]
        if name == _MAXIMAL_ACCESS and data_length >= 8:
            status, access = struct.unpack("<II", data[place + data_at : place + data_at + 8].ljust(8, b"\xff"))
            return int(access) if status == 0 else None
        if not following:
            break
        place += following
    return None


def open_file(path: bytes) -> bytes:
    """CREATE for reading. Nothing is fetched from tape for us."""
    return _create(path, _READ_DATA | _READ_ATTRIBUTES, _NON_DIRECTORY_FILE | _REPARSE_POINT | _NO_RECALL)


def open_pipe(name: str) -> bytes:
    """CREATE of a named pipe, both ways: a call is written into it, whatever it asks."""
    return _create(name.encode("utf-16-le"), _READ_DATA | _WRITE_DATA | _READ_ATTRIBUTES, _NON_DIRECTORY_FILE)


def _create(path: bytes, access: int, options: int) -> bytes:
    head = _CREATE.pack(
        57, 0, 0, _IMPERSONATION, 0, 0, access, 0, _SHARE_ALL, _OPEN, options, LENGTH + _CREATE.size, len(path), 0, 0
    )
    return head + (path or b"\0")


def created(response: Response) -> tuple[bytes, int]:
    """The identifier of what was opened, and its attributes. Raises WireError, also where something was created."""
    _, _, _, action, _, attributes, _, file_id, _, _ = _CREATED.unpack(response.body(_CREATED.size))
    if action != _OPENED:
        raise WireError("an answer that is no plain open")
    return file_id, attributes


def read(file_id: bytes, start: int, length: int) -> bytes:
    return _READ.pack(49, 0x50, 0, length, start, file_id, 0, 0, 0, 0, 0) + b"\0"


def have_read(response: Response, most: int) -> bytes:
    """Raises WireError."""
    _, offset, _, length, _, _ = _HAVE_READ.unpack(response.body(_HAVE_READ.size))
    if length > most:
        raise WireError("more was read than was asked for")
    return response.part(offset, length)


def query(file_id: bytes) -> bytes:
    """The next entries of a directory, all names."""
    pattern = "*".encode("utf-16-le")
    place = LENGTH + _QUERY.size
    return _QUERY.pack(33, _DIRECTORY_INFORMATION, 0, 0, file_id, place, len(pattern), CHUNK) + pattern


def lines(response: Response) -> Iterator[Line]:
    """The entries of an answer, one by one ([MS-FSCC] 2.4.10). Raises WireError, perhaps behind some of them."""
    _, offset, length = _BUFFER.unpack(response.body(_BUFFER.size))
    if length > CHUNK:
        raise WireError("more entries than were asked for")
    data, place = response.part(offset, length), 0
    while data:
        if place + _ENTRY.size > len(data):
            raise WireError("a directory entry outside its buffer")
        following, _, size, _, attributes, name_length = _ENTRY.unpack_from(data, place)
        begin = place + _ENTRY.size
        end = begin + name_length
        if end > (place + following if following else len(data)) or end > len(data) or name_length % 2:
            raise WireError("a name longer than its directory entry")
        yield Line(data[begin:end], attributes, size)
        if not following:
            return
        place += following


def close(file_id: bytes) -> bytes:
    return _CLOSE.pack(24, 0, 0, file_id)


def call(file_id: bytes, message: bytes) -> bytes:
    """IOCTL: write a message into a pipe, and read the answer."""
    place = LENGTH + _IOCTL.size
    return _IOCTL.pack(57, 0, _PIPE_TRANSCEIVE, file_id, place, len(message), 0, 0, 0, CHUNK, _IS_FSCTL, 0) + message


def called(response: Response) -> bytes:
    """The answer that came through a pipe. Raises WireError."""
    *_, offset, length, _, _ = _CALLED.unpack(response.body(_CALLED.size))
    if length > CHUNK:
        raise WireError("more came through a pipe than was asked for")
    return response.part(offset, length)
