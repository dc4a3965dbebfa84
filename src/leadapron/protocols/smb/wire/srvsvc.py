"""NetrShareEnum at level 1 ([MS-SRVS] 3.1.4.8), in NDR ([C706] chapter 14)."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.protocols.smb.wire.share import MAX_NAME

PIPE = "srvsvc"
INTERFACE, VERSION, SHARE_ENUM = uuid.UUID("4b324fc8-1670-01d3-1278-5a47bf6ee188"), 3, 15
MAX_SHARES = 4096
_MAX_REMARK = 4096

_ALL = 0xFFFFFFFF
_DISK, _SPECIAL, _KIND = 0, 0x80000000, 0x0FFFFFFF
_ACCESS_DENIED, _MORE_DATA = 5, 234
_REFERENT = 0x00020000


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A share. `name` in UTF-16LE, never shown."""

    name: bytes = field(repr=False)
    is_disk: bool
    is_special: bool
    """administrative: its type says so, or its name ends in $"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """`status`: a code of [MS-ERREF] 2.2, 0 for success. `is_cut`: there are more."""

    status: int
    shares: tuple[Named, ...]

    @property
    def is_denied(self) -> bool:
        return self.status == _ACCESS_DENIED

    @property
    def is_cut(self) -> bool:
        return self.status == _MORE_DATA


def request(host: str) -> bytes:
    """The stub: everything, in one answer."""
    name = f"\\\\{host}\0".encode("utf-16-le")
    units = len(name) // 2
    server = struct.pack("<IIII", _REFERENT, units, 0, units) + name + bytes(-len(name) % 4)
    levels = struct.pack("<III", 1, 1, _REFERENT + 4) + struct.pack("<II", 0, 0)
    return server + levels + struct.pack("<III", _ALL, _REFERENT + 8, 0)


def read(stub: bytes) -> Shares:
    """Raises WireError."""
    reader = _Reader(stub)
    level, switch, container = reader.long(), reader.long(), reader.long()
    if (level, switch) != (1, 1):
        raise WireError("shares at another level than was asked for")
    shares: tuple[Named, ...] = ()
    if container:
        count, array = reader.long(), reader.long()
        if array:
            shares = _shares(reader, count)
    reader.long()  # how many there are in all, by its own word
    if reader.long():
        reader.long()
    return Shares(status=reader.long(), shares=shares)


def _shares(reader: _Reader, count: int) -> tuple[Named, ...]:
    if count != reader.long() or count > MAX_SHARES:
        raise WireError("more shares than any server has")
    heads = [(reader.long(), reader.long(), reader.long()) for _ in range(count)]
    found = []
    for name, kind, remark in heads:
        raw = reader.string(MAX_NAME) if name else b""
        if remark:
            reader.string(_MAX_REMARK)
        is_special = bool(kind & _SPECIAL) or raw.endswith(b"$\0")
        found.append(Named(name=raw, is_disk=kind & _KIND == _DISK, is_special=is_special))
    return tuple(found)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def long(self) -> int:
        self._place += -self._place % 4
        return int.from_bytes(self._bytes(4), "little")

    def string(self, most: int) -> bytes:
        """A conformant and varying string without its end ([C706] 14.3.4.2), in UTF-16LE. Raises WireError."""
        _, offset, units = self.long(), self.long(), self.long()
        if offset or units > most:
            raise WireError("a string longer than any name")
        raw = self._bytes(2 * units)
        return raw[:-2] if raw.endswith(b"\0\0") else raw

    def _bytes(self, length: int) -> bytes:
        end = self._place + length
        if end > len(self._data):
            raise WireError("shares that end in the middle")
        raw = self._data[self._place : end]
        self._place = end
        return raw
