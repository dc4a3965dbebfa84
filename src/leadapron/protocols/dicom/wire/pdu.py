"""The seven protocol data units of the DICOM upper layer (PS3.8 section 9.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from leadapron.errors import WireError
from leadapron.protocols.dicom.wire.items import (
    ContextResult,
    ProposedContext,
    UserInformation,
    item,
    split_items,
    uid_of,
)
from leadapron.protocols.dicom.wire.uids import APPLICATION_CONTEXT

T = TypeVar("T")

_HEADER = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_ASSOCIATE = struct.Struct(">H2x16s16s32x")

HEADER_LENGTH = _HEADER.size
MAX_ASSOCIATE_LENGTH = 1 << 17
"""Bytes of an A-ASSOCIATE PDU's variable field: 128 contexts with a dozen transfer syntaxes fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRQ:
    """A-ASSOCIATE-RQ (PS3.8 Table 9-11). Titles without their padding."""

    type: ClassVar[int] = 0x01
    called_aet: str
    calling_aet: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation

    def encode(self) -> bytes:
        head = _ASSOCIATE.pack(1, _title(self.called_aet), _title(self.calling_aet))
        contexts = b"".join(context.encode() for context in self.contexts)
        return _frame(self.type, head + _application_context() + contexts + self.user.encode())

    @classmethod
    def decode(cls, body: bytes) -> AssociateRQ:
        called, calling, items = _associate_head(body)
        contexts, user = _associate_items(items, 0x20, ProposedContext.decode)
        if not contexts:
            raise WireError("an association request proposes no presentation context")
        return cls(called_aet=_title_of(called), calling_aet=_title_of(calling), contexts=contexts, user=user)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAC:
    """A-ASSOCIATE-AC (PS3.8 Table 9-17). The titles that it echoes are reserved fields: not read.

    `echo` holds the 64 bytes that an acceptor sends back from the request.
    """

    type: ClassVar[int] = 0x02
    contexts: tuple[ContextResult, ...]
    user: UserInformation
    echo: tuple[str, str] = ("", "")

    def encode(self) -> bytes:
        head = _ASSOCIATE.pack(1, _title(self.echo[0]), _title(self.echo[1]))
        contexts = b"".join(context.encode() for context in self.contexts)
        return _frame(self.type, head + _application_context() + contexts + self.user.encode())

    @classmethod
    def decode(cls, body: bytes) -> AssociateAC:
        _, _, items = _associate_head(body)
        contexts, user = _associate_items(items, 0x21, ContextResult.decode)
        return cls(contexts=contexts, user=user)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRJ:
    """A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    type: ClassVar[int] = 0x03
    result: int
    """1 permanent, 2 transient"""
    source: int
    """1 service user, 2 service provider (ACSE), 3 service provider (presentation)"""
    reason: int

    def encode(self) -> bytes:
        return _frame(self.type, bytes((0, self.result, self.source, self.reason)))

    @classmethod
    def decode(cls, body: bytes) -> AssociateRJ:
        _, result, source, reason = _four(body)
        if result not in (1, 2) or source not in (1, 2, 3):
            raise WireError("a rejection with an undefined result or source")
        return cls(result=result, source=source, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class PDV:
    """Presentation data value (PS3.8 Table 9-23 and Annex E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes

    def encode(self) -> bytes:
        flags = self.is_command | self.is_last << 1
        return _PDV.pack(len(self.data) + 2, self.context_id, flags) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class PDataTF:
    """P-DATA-TF (PS3.8 Table 9-22)."""

    type: ClassVar[int] = 0x04
    values: tuple[PDV, ...]

    def encode(self) -> bytes:
        return _frame(self.type, b"".join(value.encode() for value in self.values))

    @classmethod
    def decode(cls, body: bytes) -> PDataTF:
        values = []
        position, end = 0, len(body)
        while position < end:
            if end - position < _PDV.size:
                raise WireError("presentation data value cut short")
            length, context, flags = _PDV.unpack_from(body, position)
            stop = position + 4 + length
            if length < 2 or stop > end:
                raise WireError("presentation data value overruns its PDU")
            data = body[position + _PDV.size : stop]
            values.append(PDV(context_id=context, is_command=bool(flags & 1), is_last=bool(flags & 2), data=data))
            position = stop
        if not values:
            raise WireError("a P-DATA-TF without a value")
        return cls(values=tuple(values))


def p_data_of_one(context_id: int, data: bytes, *, is_command: bool, is_last: bool) -> bytes:
    """A P-DATA-TF with one value, encoded: a fifth of what it costs by way of the objects."""
    size = len(data)
    head = _HEADER.pack(PDataTF.type, _PDV.size + size)
    return head + _PDV.pack(size + 2, context_id, is_command | is_last << 1) + data


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRQ:
    """A-RELEASE-RQ (PS3.8 Table 9-24)."""

    type: ClassVar[int] = 0x05

    def encode(self) -> bytes:
        return _frame(self.type, bytes(4))

    @classmethod
    def decode(cls, body: bytes) -> ReleaseRQ:
        _four(body)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRP:
    """A-RELEASE-RP (PS3.8 Table 9-25)."""

    type: ClassVar[int] = 0x06

    def encode(self) -> bytes:
        return _frame(self.type, bytes(4))

    @classmethod
    def decode(cls, body: bytes) -> ReleaseRP:
        _four(body)
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort:
    """A-ABORT (PS3.8 Table 9-26). Source 0 service user, 2 service provider."""

    type: ClassVar[int] = 0x07
    source: int = 0
    reason: int = 0

    def encode(self) -> bytes:
        return _frame(self.type, bytes((0, 0, self.source, self.reason)))

    @classmethod
    def decode(cls, body: bytes) -> Abort:
        _, _, source, reason = _four(body)
        return cls(source=source, reason=reason)


Pdu = AssociateRQ | AssociateAC | AssociateRJ | PDataTF | ReleaseRQ | ReleaseRP | Abort

_DECODERS: dict[int, Callable[[bytes], Pdu]] = {
    AssociateRQ.type: AssociateRQ.decode,
    AssociateAC.type: AssociateAC.decode,
    AssociateRJ.type: AssociateRJ.decode,
    PDataTF.type: PDataTF.decode,
    ReleaseRQ.type: ReleaseRQ.decode,
    ReleaseRP.type: ReleaseRP.decode,
    Abort.type: Abort.decode,
}
_LIMITS = dict.fromkeys(_DECODERS, 4) | dict.fromkeys((AssociateRQ.type, AssociateAC.type), MAX_ASSOCIATE_LENGTH)
"""Bytes of a body, by type; those of P-DATA-TF are negotiated."""


@dataclass(slots=True)
class PduReader:
    """Cuts a byte stream into PDUs. Holds at most one PDU of `max_length` bytes and what came behind it.

    `max_length` bounds P-DATA-TF: it is the maximum length that we announced (PS3.8 D.1).
    """

    max_length: int
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def pending(self) -> int:
        """Bytes held that are no whole PDU yet, or were not asked for."""
        return len(self._buffer)

    def take_all(self) -> bytes:
        """Hand over every byte held (the fast reader of C-FIND answers goes on with them)."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def next(self) -> Pdu | None:
        """The next PDU, or None when it is not whole yet. Raises WireError."""
        length = pdu_length(self._buffer, self.max_length)
        if not length or len(self._buffer) < length:
            return None
        kind, body = self._buffer[0], bytes(self._buffer[HEADER_LENGTH:length])
        del self._buffer[:length]
        return _DECODERS[kind](body)


def pdu_length(buffer: bytes | bytearray, max_length: int) -> int:
    """Length in bytes of the PDU that `buffer` begins with, header included; 0 while the header is not whole.

    Raises WireError for an unknown type, as soon as the first byte shows it, and for a length past the limit.
    """
    if buffer and buffer[0] not in _DECODERS:
        raise WireError("not a DICOM upper layer PDU")
    if len(buffer) < HEADER_LENGTH:
        return 0
    kind, length = _HEADER.unpack_from(buffer)
    if length > (max_length if kind == PDataTF.type else _LIMITS[kind]):
        raise WireError("a PDU is longer than its limit", limit=True)
    return HEADER_LENGTH + int(length)


def _frame(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(kind, len(body)) + body


def _four(body: bytes) -> tuple[int, int, int, int]:
    if len(body) != 4:
        raise WireError("a PDU of a wrong length")
    return body[0], body[1], body[2], body[3]


def _title(title: str) -> bytes:
    """An AE title, padded with spaces to its 16 bytes (PS3.5 Table 6.2-1)."""
    raw = title.encode("ascii")
    if len(raw) > 16:
        raise WireError("an AE title has at most 16 characters")
    return raw.ljust(16)


def _title_of(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\0 ")


def _application_context() -> bytes:
    return item(0x10, APPLICATION_CONTEXT.encode())


def _associate_head(body: bytes) -> tuple[bytes, bytes, bytes]:
    if len(body) < _ASSOCIATE.size:
        raise WireError("association PDU cut short")
    version, called, calling = _ASSOCIATE.unpack_from(body)
    if not version & 1:
        raise WireError("a protocol version other than 1")
    return called, calling, body[_ASSOCIATE.size :]


def _associate_items(
    data: bytes, context_type: int, decode: Callable[[bytes], T]
) -> tuple[tuple[T, ...], UserInformation]:
    contexts: list[T] = []
    user: UserInformation | None = None
    for kind, value in split_items(data):
        if kind == context_type:
            contexts.append(decode(value))
        elif kind == 0x50:
            user = UserInformation.decode(value)
        elif kind == 0x10:
            uid_of(value)
    if user is None:
        raise WireError("an association PDU without user information")
    return tuple(contexts), user
