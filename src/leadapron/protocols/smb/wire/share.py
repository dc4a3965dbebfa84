"""TREE_CONNECT ([MS-SMB2] 2.2.9, 2.2.10), and leaving trees and sessions (2.2.7, 2.2.11)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.protocols.smb.wire.header import LENGTH, Response

_REQUEST = struct.Struct("<HHHH")
_RESPONSE = struct.Struct("<HBBIII")
_ENCRYPTS = 0x8000
MAY_WRITE = 0x2 | 0x4 | 0x40000000 | 0x10000000
"""FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, GENERIC_WRITE, GENERIC_ALL ([MS-SMB2] 2.2.13.1)."""
MAY_LIST = 0x1 | 0x80000000 | 0x10000000
ALL = 0xFFFFFFFF
"""Every right."""
MAX_NAME = 512
"""UTF-16 code units."""

LEAVE = struct.pack("<HH", 4, 0)
"""The body of TREE_DISCONNECT and LOGOFF."""


class ShareType(enum.IntEnum):
    DISK = 1
    PIPE = 2
    PRINT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """`access`: the maximal access that the server grants in it, as bits of [MS-SMB2] 2.2.13.1."""

    tree_id: int
    type: ShareType
    access: int
    encrypts: bool


def request(host: str, share: bytes) -> bytes:
    r"""`share` in UTF-16LE, as it was listed: `\\host\share`."""
    path = f"\\\\{host}\\".encode("utf-16-le") + share
    return _REQUEST.pack(9, 0, LENGTH + _REQUEST.size, len(path)) + path


def read(response: Response) -> Connected:
    """Raises WireError."""
    _, kind, _, flags, _, access = _RESPONSE.unpack(response.body(_RESPONSE.size))
    try:
        share = ShareType(kind)
    except ValueError:
        raise WireError("a share of no known type") from None
    return Connected(tree_id=response.tree_id, type=share, access=access, encrypts=bool(flags & _ENCRYPTS))
