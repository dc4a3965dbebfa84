"""The MOUNT protocol, version 3 (RFC 1813 appendix I): which folders are exported, and the handle of one."""

from __future__ import annotations

import enum
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.nfs.wire.rpc import AUTH_SYS, Call
from leadapron.protocols.nfs.wire.xdr import Reader, opaque

PROGRAM, VERSION = 100005, 3
_MNT, _UMNT, _EXPORT = 1, 3, 5

MAX_PATH, _MAX_NAME, _MAX_HANDLE = 1024, 255, 64
"""MNTPATHLEN, MNTNAMLEN, FHSIZE3 (section 5.1.4)."""
MAX_EXPORTS, MAX_GROUPS, _MAX_FLAVORS = 4096, 4096, 64
"""Of one list; of one export; of one answer. More are a limit of ours."""

NULL = Call(PROGRAM, VERSION, 0)
EXPORT = Call(PROGRAM, VERSION, _EXPORT, credentials=AUTH_SYS)


class Status(enum.IntEnum):
    """`mountstat3` (section 5.1.5)."""

    OK = 0
    PERM = 1
    NOENT = 2
    IO = 5
    ACCES = 13
    NOTDIR = 20
    INVAL = 22
    NAMETOOLONG = 63
    NOTSUPP = 10004
    SERVERFAULT = 10006
    OTHER = 0xFFFF_FFFF
    """a status that is not in the table"""

    @classmethod
    def _missing_(cls, _value: object) -> Status:
        return cls.OTHER


class Export(NamedTuple):
    """`groups`: hosts, networks and netgroups that may mount it, as the server writes them; empty: everyone."""

    path: bytes
    groups: tuple[bytes, ...]


class Mounted(NamedTuple):
    """`handle` is empty where the status is not OK. `flavors`: of authentication, that the export takes."""

    status: Status
    handle: bytes = b""
    flavors: tuple[int, ...] = ()


def mnt(path: bytes) -> Call:
    """MOUNTPROC3_MNT."""
    return Call(PROGRAM, VERSION, _MNT, opaque(path), AUTH_SYS)


def umnt(path: bytes) -> Call:
    """MOUNTPROC3_UMNT: takes us off the server's list of mounts."""
    return Call(PROGRAM, VERSION, _UMNT, opaque(path), AUTH_SYS)


def read_mounted(body: bytes) -> Mounted:
    """Raises WireError."""
    reader = Reader(body)
    status = Status(reader.uint())
    if status is not Status.OK:
        return Mounted(status)
    handle = reader.opaque(_MAX_HANDLE)
    if not handle:
        raise WireError("a file handle without a byte")
    return Mounted(status, handle, reader.uints(_MAX_FLAVORS))


def read_exports(body: bytes) -> list[Export]:
    """Raises WireError."""
    reader = Reader(body)
    exports: list[Export] = []
    while reader.flag():
        if len(exports) == MAX_EXPORTS:
            raise WireError("a list of exports longer than it may be", limit=True)
        exports.append(Export(reader.opaque(MAX_PATH), _groups(reader)))
    return exports


def _groups(reader: Reader) -> tuple[bytes, ...]:
    groups: list[bytes] = []
    while reader.flag():
        if len(groups) == MAX_GROUPS:
            raise WireError("a list of groups longer than it may be", limit=True)
        groups.append(reader.opaque(_MAX_NAME))
    return tuple(groups)
