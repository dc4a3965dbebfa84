"""Items and user-information sub-items of A-ASSOCIATE PDUs (PS3.8 section 9.3, PS3.7 Annex D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.model import Token, uid_token

_ITEM = struct.Struct(">BxH")
_PAIR = struct.Struct(">HH")

MAX_ITEMS = 512
"""Items of one PDU, or sub-items of one item: a PDU has room for more only when they are empty."""


def item(kind: int, value: bytes) -> bytes:
    """One item: type, reserved byte, 16-bit length, value (PS3.8 section 9.3.1)."""
    if len(value) > 0xFFFF:
        raise WireError("an item holds at most 65,535 bytes", limit=True)
    return _ITEM.pack(kind, len(value)) + value


def split_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, value) pairs in `data`. Raises WireError when an item overruns it."""
    position, end, seen = 0, len(data), 0
    while position < end:
        if end - position < _ITEM.size:
            raise WireError("item header cut short")
        kind, length = _ITEM.unpack_from(data, position)
        position += _ITEM.size
        if length > end - position:
            raise WireError("item overruns its container")
        if (seen := seen + 1) > MAX_ITEMS:
            raise WireError("too many items", limit=True)
        yield kind, data[position : position + length]
        position += length


def uid_of(value: bytes) -> Token:
    """`value` as a UID. Raises WireError."""
    uid = uid_token(value)
    if uid is None:
        raise WireError("a UID is malformed")
    return uid


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedContext:
    """Presentation context of a request (PS3.8 Table 9-13). `id` is odd, 1..255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]

    def encode(self) -> bytes:
        parts = [bytes((self.id, 0, 0, 0)), item(0x30, self.abstract_syntax.encode())]
        parts += [item(0x40, syntax.encode()) for syntax in self.transfer_syntaxes]
        return item(0x20, b"".join(parts))

    @classmethod
    def decode(cls, value: bytes) -> ProposedContext:
        if len(value) < 4:
            raise WireError("presentation context cut short")
        abstract = ""
        transfer: list[str] = []
        for kind, sub in split_items(value[4:]):
            if kind == 0x30:
                abstract = uid_of(sub)
            elif kind == 0x40:
                transfer.append(uid_of(sub))
        if not abstract or not transfer:
            raise WireError("presentation context without abstract or transfer syntax")
        return cls(id=_context_id(value[0]), abstract_syntax=abstract, transfer_syntaxes=tuple(transfer))


ACCEPTANCE, USER_REJECTION, NO_REASON, ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = range(5)
"""Results of a presentation context (PS3.8 Table 9-18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextResult:
    """Presentation context of an answer (PS3.8 Table 9-18). `transfer_syntax` is "" unless it was accepted."""

    id: int
    result: int
    transfer_syntax: str = ""

    @property
    def accepted(self) -> bool:
        return self.result == ACCEPTANCE

    def encode(self) -> bytes:
        # the transfer syntax of a rejected context is not significant, but DCMTK wants a valid one there
        syntax = self.transfer_syntax or "1.2.840.10008.1.2"
        return item(0x21, bytes((self.id, 0, self.result, 0)) + item(0x40, syntax.encode()))

    @classmethod
    def decode(cls, value: bytes) -> ContextResult:
        if len(value) < 4:
            raise WireError("presentation context cut short")
        result = value[2]
        if result > TRANSFER_SYNTAXES_NOT_SUPPORTED:
            raise WireError("presentation context with an undefined result")
        syntax = ""
        if result == ACCEPTANCE:
            syntaxes = [sub for kind, sub in split_items(value[4:]) if kind == 0x40]
            if len(syntaxes) != 1:
                raise WireError("an accepted context names exactly one transfer syntax")
            syntax = uid_of(syntaxes[0])
        return cls(id=_context_id(value[0]), result=result, transfer_syntax=syntax)


def _context_id(value: int) -> int:
    if value % 2 == 0:
        raise WireError("a presentation context identifier is odd")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSelection:
    """SCP/SCU role selection (PS3.7 Table D.3-9)."""

    sop_class: str
    scu: bool
    scp: bool

    def encode(self) -> bytes:
        uid = self.sop_class.encode()
        return item(0x54, struct.pack(">H", len(uid)) + uid + bytes((self.scu, self.scp)))

    @classmethod
    def decode(cls, value: bytes) -> RoleSelection:
        uid, rest = _counted(value)
        if len(rest) != 2:
            raise WireError("role selection of a wrong length")
        return cls(sop_class=uid_of(uid), scu=rest[0] == 1, scp=rest[1] == 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedNegotiation:
    """SOP class extended negotiation (PS3.7 Table D.3-11)."""

    sop_class: str
    information: bytes

    def encode(self) -> bytes:
        uid = self.sop_class.encode()
        return item(0x56, struct.pack(">H", len(uid)) + uid + self.information)

    @classmethod
    def decode(cls, value: bytes) -> ExtendedNegotiation:
        uid, rest = _counted(value)
        return cls(sop_class=uid_of(uid), information=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """User identity (PS3.7 Table D.3-14). Kinds: 1 user, 2 user and passcode, 3 Kerberos, 4 SAML, 5 JWT."""

    kind: int
    response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def encode(self) -> bytes:
        head = bytes((self.kind, self.response_requested))
        fields = struct.pack(">H", len(self.primary)) + self.primary
        return item(0x58, head + fields + struct.pack(">H", len(self.secondary)) + self.secondary)

    @classmethod
    def decode(cls, value: bytes) -> UserIdentity:
        if len(value) < 2:
            raise WireError("user identity cut short")
        primary, rest = _counted(value[2:])
        secondary, rest = _counted(rest)
        if rest:
            raise WireError("user identity of a wrong length")
        return cls(kind=value[0], response_requested=value[1] == 1, primary=primary, secondary=secondary)


def _counted(value: bytes) -> tuple[bytes, bytes]:
    """A field behind its 16-bit length, and what follows it."""
    if len(value) < 2:
        raise WireError("sub-item cut short")
    length = int.from_bytes(value[:2], "big")
    if length > len(value) - 2:
        raise WireError("field overruns its sub-item")
    return value[2 : 2 + length], value[2 + length :]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """User information (PS3.8 section 9.3.2.3, PS3.7 D.3.3).

    `maximum_length` is in bytes of a P-DATA-TF PDU's variable field, 0 for no limit. `implementation_version_name` is
    the peer's free text: it goes to the product catalogue and nowhere else.
    """

    maximum_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: bytes = b""
    asynchronous_operations: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    identity: UserIdentity | None = None
    identity_response: bytes | None = None

    def encode(self) -> bytes:
        parts = [item(0x51, struct.pack(">I", self.maximum_length))]
        if self.implementation_class_uid:
            parts.append(item(0x52, self.implementation_class_uid.encode()))
        if self.asynchronous_operations is not None:
            parts.append(item(0x53, _PAIR.pack(*self.asynchronous_operations)))
        parts += [role.encode() for role in self.roles]
        if self.implementation_version_name:
            parts.append(item(0x55, self.implementation_version_name))
        parts += [extended.encode() for extended in self.extended]
        if self.identity is not None:
            parts.append(self.identity.encode())
        if self.identity_response is not None:
            parts.append(item(0x59, struct.pack(">H", len(self.identity_response)) + self.identity_response))
        return item(0x50, b"".join(parts))

    @classmethod
    def decode(cls, value: bytes) -> UserInformation:
        fields: dict[str, object] = {}
        lists: dict[str, list[object]] = {"roles": [], "extended": []}
        for kind, sub in split_items(value):
            if (reader := _SUB_ITEMS.get(kind)) is None:
                continue  # PS3.8 section 9.3.1: unrecognised items are ignored
            name, decode = reader
            if name in lists:
                lists[name].append(decode(sub))
            elif name in fields:
                raise WireError("a sub-item is given twice")
            else:
                fields[name] = decode(sub)
        fields.update({name: tuple(values) for name, values in lists.items()})
        return cls(**fields)  # type: ignore[arg-type]  # names and types are those of _SUB_ITEMS


def _maximum_length(value: bytes) -> int:
    if len(value) != 4:
        raise WireError("maximum length of a wrong length")
    return int.from_bytes(value, "big")


def _asynchronous_operations(value: bytes) -> tuple[int, int]:
    if len(value) != 4:
        raise WireError("asynchronous operations window of a wrong length")
    invoked, performed = _PAIR.unpack(value)
    return invoked, performed


def _version_name(value: bytes) -> bytes:
    return value[:16].strip(b"\0 ")


_SUB_ITEMS: dict[int, tuple[str, Callable[[bytes], object]]] = {
    0x51: ("maximum_length", _maximum_length),
    0x52: ("implementation_class_uid", lambda value: uid_token(value) or ""),
    0x53: ("asynchronous_operations", _asynchronous_operations),
    0x54: ("roles", RoleSelection.decode),
    0x55: ("implementation_version_name", _version_name),
    0x56: ("extended", ExtendedNegotiation.decode),
    0x58: ("identity", UserIdentity.decode),
    0x59: ("identity_response", lambda value: _counted(value)[0]),
}
