"""NFS version 4.0 (RFC 7530), as far as it takes no state: COMPOUNDs that list, look and read."""

from __future__ import annotations

from leadapron.errors import WireError
from leadapron.protocols.nfs.wire.files import (
    MAX_HANDLE,
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

VERSION = 4
NULL = Call(PROGRAM, VERSION, 0)
_COMPOUND, _MINOR = 1, 0
_ACCESS, _GETATTR, _GETFH, _LOOKUP, _PUTFH, _PUTROOTFH, _READ, _READDIR = 3, 9, 10, 15, 22, 24, 25, 26

_MODIFY, _EXTEND = 0x04, 0x08
_MAX_TAG, _MAX_OPERATIONS, _MAX_ITEMS = 1024, 8, 65_536
_MAX_BITMAP, _MAX_VALUES = 8, 4096
_BYPASS = bytes(16)
"""The anonymous state id (section 9.1.4.3): a READ without an OPEN."""

_STATUS = {**STATUS, 10016: Status.ACCESS, 10014: Status.MISSING, 10003: Status.BAD_COOKIE}
"""NFS4ERR_WRONGSEC and NFS4ERR_FHEXPIRED (section 13.1) have no number in version 3."""

_TYPE, _SIZE, _FSID, _RDATTR_ERROR, _FILEHANDLE, _MODE = 1, 4, 8, 11, 19, 33
"""Numbers of attributes (sections 5.6 and 5.7)."""


def _bitmap(*numbers: int) -> bytes:
    words = [0, 0]
    for number in numbers:
        words[number // 32] |= 1 << number % 32
    return uint(len(words)) + b"".join(map(uint, words))


_WANTED = _bitmap(_TYPE, _SIZE, _FSID, _MODE)
_WANTED_OF_ITEMS = _bitmap(_TYPE, _SIZE, _FSID, _RDATTR_ERROR, _FILEHANDLE, _MODE)


def compound(*operations: bytes) -> Call:
    """Section 15.2. Without a tag."""
    body = opaque(b"") + uint(_MINOR) + uint(len(operations)) + b"".join(operations)
    return Call(PROGRAM, VERSION, _COMPOUND, body, AUTH_SYS)


def _at(handle: bytes) -> bytes:
    return uint(_PUTFH) + opaque(handle)


_GET_HANDLE = uint(_GETFH)
_GET_ATTRIBUTES = uint(_GETATTR) + _WANTED

ROOT = compound(uint(_PUTROOTFH), _GET_HANDLE, _GET_ATTRIBUTES)
"""The handle of the root of the pseudo file system (section 7.3)."""


class Version4(Dialect):
    has_plain_listing = False

    def list(self, folder: bytes, cookie: int, verifier: bytes, size: int, *, plain: bool) -> Call:  # noqa: ARG002
        """READDIR (section 16.24)."""
        place = hyper(cookie) + verifier + uint(size // 4) + uint(size)
        return compound(_at(folder), uint(_READDIR) + place + _WANTED_OF_ITEMS)

    def read_page(self, body: bytes, *, plain: bool) -> Page:  # noqa: ARG002
        reader = Reader(body)
        if (status := _operations(reader, _PUTFH, _READDIR)) is not Status.OK:
            return Page(status)
        verifier = reader.fixed(8)
        items: list[Item] = []
        while reader.flag():
            if len(items) == _MAX_ITEMS:
                raise WireError("a page with more entries than it may have", limit=True)
            cookie, name = reader.hyper(), reader.opaque(MAX_WIRE_NAME)
            handle, attributes = _attributes(reader)
            items.append(Item(name, cookie, handle, attributes))
        return Page(status, items, verifier, reader.flag())

    def look_up(self, folder: bytes, name: bytes) -> Call:
        return compound(_at(folder), uint(_LOOKUP) + opaque(name), _GET_HANDLE, _GET_ATTRIBUTES)

    def read_node(self, body: bytes) -> Node:
        return _node(body, _PUTFH, _LOOKUP)

    def attributes(self, handle: bytes) -> Call:
        return compound(_at(handle), _GET_ATTRIBUTES)

    def read_attributes(self, body: bytes) -> Node:
        reader = Reader(body)
        status = _operations(reader, _PUTFH, _GETATTR)
        return Node(status, attributes=_attributes(reader)[1] if status is Status.OK else None)

    def may_change(self, folder: bytes) -> Call:
        return compound(_at(folder), uint(_ACCESS) + uint(_MODIFY | _EXTEND))

    def read_may_change(self, body: bytes) -> bool:
        reader = Reader(body)
        if _operations(reader, _PUTFH, _ACCESS) is not Status.OK:
            return False
        reader.uint()  # which of them the server can tell
        return reader.uint() & (_MODIFY | _EXTEND) == _MODIFY | _EXTEND

    def read(self, handle: bytes, start: int, length: int) -> Call:
        return compound(_at(handle), uint(_READ) + _BYPASS + hyper(start) + uint(length))

    def read_data(self, body: bytes, most: int) -> Data:
        reader = Reader(body)
        if (status := _operations(reader, _PUTFH, _READ)) is not Status.OK:
            return Data(status)
        is_end = reader.flag()
        return Data(status, reader.opaque(most), is_end)


VERSION_4 = Version4()


def read_root(body: bytes) -> Node:
    """The answer to `ROOT`. Raises WireError."""
    return _node(body, _PUTROOTFH)


def _node(body: bytes, *before: int) -> Node:
    """What operations lead to, with its handle and attributes."""
    reader = Reader(body)
    if (status := _operations(reader, *before, _GETFH)) is not Status.OK:
        return Node(status)
    handle = _handle(reader)
    if (status := _operation(reader, _GETATTR)) is not Status.OK:
        return Node(status)
    return Node(status, handle, _attributes(reader)[1])


def _operations(reader: Reader, *expected: int) -> Status:
    """Read the head of a COMPOUND and of its results up to the last one that is expected: the status of the first that
    failed. Of what stands behind the head of a result, only that of the last may be more than nothing."""
    whole = _STATUS.get(reader.uint(), Status.OTHER)
    reader.opaque(_MAX_TAG)
    count = reader.uint()
    if count > _MAX_OPERATIONS:
        raise WireError("more results than operations")
    if count == 0:
        if whole is Status.OK:
            raise WireError("a success without results")
        return whole
    for operation in expected:
        if (status := _operation(reader, operation)) is not Status.OK:
            return status
    return Status.OK


def _operation(reader: Reader, expected: int) -> Status:
    if reader.uint() != expected:
        raise WireError("the result of another operation")
    return _STATUS.get(reader.uint(), Status.OTHER)


def _handle(reader: Reader) -> bytes:
    handle = reader.opaque(MAX_HANDLE)
    if not handle:
        raise WireError("a file handle without a byte")
    return handle


def _attributes(reader: Reader) -> tuple[bytes | None, Attributes | None]:
    """`fattr4` (section 2.2): the handle, if it is in there, and what else we asked for; None where that is an error."""
    words = reader.uints(_MAX_BITMAP)
    values = Reader(reader.opaque(_MAX_VALUES))
    numbers = [32 * place + bit for place, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    handle: bytes | None = None
    file_system: bytes | None = None
    found: dict[int, int] = {}
    for number in numbers:
        if number in (_TYPE, _MODE, _RDATTR_ERROR):
            found[number] = values.uint()
        elif number == _SIZE:
            found[number] = values.hyper()
        elif number == _FSID:
            file_system = values.fixed(16)
        elif number == _FILEHANDLE:
            handle = _handle(values)
        else:
            raise WireError("an attribute that was not asked for")
    if _TYPE not in found:
        return handle, None
    return handle, Attributes(Type(found[_TYPE]), found.get(_MODE), found.get(_SIZE), file_system)
