"""NFS version 3 (RFC 1813): the procedures that list, look and read."""

from __future__ import annotations

from leadapron.errors import WireError
from leadapron.protocols.nfs.wire.files import (
    MAX_WIRE_NAME,
    PROGRAM,
    STATUS,
    Attributes,
    Data,
    Dialect,
    Item,
    Node,
    Page,
    Status,
    Type,
)
from leadapron.protocols.nfs.wire.rpc import AUTH_SYS, Call
from leadapron.protocols.nfs.wire.xdr import Reader, hyper, opaque, uint

VERSION = 3
NULL = Call(PROGRAM, VERSION, 0)
_GETATTR, _LOOKUP, _ACCESS, _READ, _READDIR, _READDIRPLUS, _FSINFO = 1, 3, 4, 6, 16, 17, 19

MAX_HANDLE = 64
"""NFS3_FHSIZE (section 2.4)."""
_MAX_ITEMS = 65_536
"""Of one page: the smallest has 24 bytes."""
MODIFY, EXTEND = 0x04, 0x08
"""ACCESS3_MODIFY, ACCESS3_EXTEND (section 3.3.4)."""
_NAMES_TO_ALL = 4
"""A page of READDIRPLUS may be so many times as long as its names alone: `dircount` and `maxcount` (section 3.3.17)."""


def _call(procedure: int, arguments: bytes) -> Call:
    return Call(PROGRAM, VERSION, procedure, arguments, AUTH_SYS)


class Version3(Dialect):
    has_plain_listing = True

    def list(self, folder: bytes, cookie: int, verifier: bytes, size: int, *, plain: bool) -> Call:
        """READDIRPLUS, or READDIR."""
        place = opaque(folder) + hyper(cookie) + verifier
        if plain:
            return _call(_READDIR, place + uint(size))
        return _call(_READDIRPLUS, place + uint(size // _NAMES_TO_ALL) + uint(size))

    def read_page(self, body: bytes, *, plain: bool) -> Page:
        reader = Reader(body)
        status = _status(reader)
        _post_op_attributes(reader)
        if status is not Status.OK:
            return Page(status)
        verifier = reader.fixed(8)
        items: list[Item] = []
        while reader.flag():
            if len(items) == _MAX_ITEMS:
                raise WireError("a page with more entries than it may have", limit=True)
            items.append(_item(reader, plain=plain))
        return Page(status, items, verifier, reader.flag())

    def look_up(self, folder: bytes, name: bytes) -> Call:
        return _call(_LOOKUP, opaque(folder) + opaque(name))

    def read_node(self, body: bytes) -> Node:
        reader = Reader(body)
        status = _status(reader)
        if status is not Status.OK:
            return Node(status)
        handle = _handle(reader)
        return Node(status, handle, _post_op_attributes(reader))

    def attributes(self, handle: bytes) -> Call:
        return _call(_GETATTR, opaque(handle))

    def read_attributes(self, body: bytes) -> Node:
        reader = Reader(body)
        status = _status(reader)
        return Node(status, attributes=_attributes(reader) if status is Status.OK else None)

    def may_change(self, folder: bytes) -> Call:
        return _call(_ACCESS, opaque(folder) + uint(MODIFY | EXTEND))

    def read_may_change(self, body: bytes) -> bool:
        reader = Reader(body)
        if _status(reader) is not Status.OK:
            return False
        _post_op_attributes(reader)
        return reader.uint() & (MODIFY | EXTEND) == MODIFY | EXTEND

    def read(self, handle: bytes, start: int, length: int) -> Call:
        return _call(_READ, opaque(handle) + hyper(start) + uint(length))

    def read_data(self, body: bytes, most: int) -> Data:
        reader = Reader(body)
        status = _status(reader)
        _post_op_attributes(reader)
        if status is not Status.OK:
            return Data(status)
        reader.uint()
        is_end = reader.flag()
        return Data(status, reader.opaque(most), is_end)


VERSION_3 = Version3()


def fsinfo(root: bytes) -> Call:
    """Section 3.3.19."""
    return _call(_FSINFO, opaque(root))


def read_largest_read(body: bytes) -> int:
    """`rtmax` of an answer to FSINFO: bytes that one READ gives at most; 0 where it does not say. Raises WireError."""
    reader = Reader(body)
    if _status(reader) is not Status.OK:
        return 0
    _post_op_attributes(reader)
    return reader.uint()


def _status(reader: Reader) -> Status:
    return STATUS.get(reader.uint(), Status.OTHER)


def _handle(reader: Reader) -> bytes:
    handle = reader.opaque(MAX_HANDLE)
    if not handle:
        raise WireError("a file handle without a byte")
    return handle


def _item(reader: Reader, *, plain: bool) -> Item:
    reader.hyper()  # fileid
    name, cookie = reader.opaque(MAX_WIRE_NAME), reader.hyper()
    if plain:
        return Item(name, cookie)
    attributes = _post_op_attributes(reader)
    return Item(name, cookie, _handle(reader) if reader.flag() else None, attributes)


def _post_op_attributes(reader: Reader) -> Attributes | None:
    return _attributes(reader) if reader.flag() else None


def _attributes(reader: Reader) -> Attributes:
    """`fattr3` (section 2.6)."""
    type_, mode = Type(reader.uint()), reader.uint()
    reader.fixed(12)  # nlink, uid, gid
    size = reader.hyper()
    reader.fixed(16)  # used, rdev
    file_system = reader.fixed(8)
    reader.fixed(32)  # fileid, atime, mtime, ctime
    return Attributes(type_, mode, size, file_system)
