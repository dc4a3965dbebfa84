"""NEGOTIATE ([MS-SMB2] 2.2.3, 2.2.4), and the greeting of SMB 1 ([MS-CIFS] 2.2.4.52)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.protocols.smb.wire.header import LENGTH, Response

DIALECTS = {0x0202: 202, 0x0210: 210, 0x0300: 300, 0x0302: 302, 0x0311: 311}
"""As they go over the wire, and as people write them, without the points."""
_SMB_2_0_2, _SMB_3_1_1 = 0x0202, 0x0311

_ENABLED, _REQUIRED = 0x1, 0x2
_LARGE_MTU, _ENCRYPTION = 0x04, 0x40

_REQUEST = struct.Struct("<HHHHI16sIHH")
_RESPONSE = struct.Struct("<HHHH16sIIIIQQHHI")
_CONTEXT = struct.Struct("<HHI")
_PREAUTH, _CIPHERS = 0x1, 0x2
MAX_CONTEXTS = 16

_CLIENT_ID = bytes.fromhex("8d6fd9a75a0b4b0c9a1eab5c1f35aa01")
"""Ours, the same for all: a server may keep it, and sees that it is one client."""
_SALT = b"leadapron: an audit, its salt fixed"[:32]
"""Of the pre-authentication hash ([MS-SMB2] 2.2.3.1.1). It guards keys; a session without a user has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What a server chose. `version` is one of `DIALECTS.values()`; sizes in bytes."""

    version: int
    signing_enabled: bool
    signing_required: bool
    encryption: bool
    large: bool
    """more than one credit may be charged"""
    max_read: int
    max_transact: int


def request() -> bytes:
    """The body: every dialect, signing possible, with what 3.1.1 wants besides."""
    contexts = _context(_PREAUTH, struct.pack("<HHH", 1, len(_SALT), 1) + _SALT)
    contexts += bytes(-len(contexts) % 8) + _context(_CIPHERS, struct.pack("<HHH", 2, 0x2, 0x1))
    dialects = b"".join(struct.pack("<H", each) for each in DIALECTS)
    head_length = LENGTH + _REQUEST.size + len(dialects)
    padding = bytes(-head_length % 8)
    head = _REQUEST.pack(
        36, len(DIALECTS), _ENABLED, 0, _LARGE_MTU | _ENCRYPTION, _CLIENT_ID, head_length + len(padding), 2, 0
    )
    return head + dialects + padding + contexts


def _context(kind: int, data: bytes) -> bytes:
    return _CONTEXT.pack(kind, len(data), 0) + data


def read(response: Response) -> Negotiated:
    """Raises WireError: also where the server chose what was not offered."""
    fields = _RESPONSE.unpack(response.body(_RESPONSE.size))
    _, security, dialect, count, _, capabilities, transact, most_read, _, _, _, offset, length, contexts_at = fields
    if dialect not in DIALECTS:
        raise WireError("a dialect that was not offered")
    response.part(offset, length)
    encrypts = bool(capabilities & _ENCRYPTION) and dialect < _SMB_3_1_1
    if dialect == _SMB_3_1_1:
        encrypts = _chose_a_cipher(response.message, contexts_at, count)
    return Negotiated(
        version=DIALECTS[dialect],
        signing_enabled=bool(security & _ENABLED),
        signing_required=bool(security & _REQUIRED),
        encryption=encrypts,
        large=dialect != _SMB_2_0_2 and bool(capabilities & _LARGE_MTU),
        max_read=most_read,
        max_transact=transact,
    )


def _chose_a_cipher(message: bytes, place: int, count: int) -> bool:
    """Whether the contexts of 3.1.1 hold a cipher ([MS-SMB2] 2.2.4.1). Raises WireError."""
    if count > MAX_CONTEXTS:
        raise WireError("more contexts than there are kinds of them")
    kinds: dict[int, bytes] = {}
    for _ in range(count):
        if place < LENGTH or place + _CONTEXT.size > len(message):
            raise WireError("a context outside its message")
        kind, length, _ = _CONTEXT.unpack_from(message, place)
        begin = place + _CONTEXT.size
        if begin + length > len(message):
            raise WireError("a context longer than its message")
        kinds[kind] = message[begin : begin + length]
        place = begin + length + -length % 8
    if _PREAUTH not in kinds:
        raise WireError("3.1.1 without pre-authentication integrity")
    return kinds.get(_CIPHERS, b"")[2:4] not in (b"", b"\0\0")


# -- SMB 1 -------------------------------------------------------------------------------------------------------------

_SMB1 = struct.Struct("<4sBIBH12sHHHH")
_SMB1_MAGIC = b"\xffSMB"
_SMB1_NEGOTIATE, _SMB1_REPLY, _NO_DIALECT = 0x72, 0x80, 0xFFFF
_SMB1_FLAGS, _SMB1_FLAGS2 = 0x18, 0xC801
_SMB1_DIALECT = b"\x02NT LM 0.12\0"


def smb1_request() -> bytes:
    """A whole message that offers SMB 1 only: a server that has it answers in it, whatever else it speaks."""
    header = _SMB1.pack(_SMB1_MAGIC, _SMB1_NEGOTIATE, 0, _SMB1_FLAGS, _SMB1_FLAGS2, bytes(12), 0xFFFF, 0xFEFF, 0, 1)
    return header + b"\0" + struct.pack("<H", len(_SMB1_DIALECT)) + _SMB1_DIALECT


def smb1_chosen(message: bytes) -> bool:
    """Whether the answer takes SMB 1. Raises WireError where it is neither this nor a refusal."""
    if message.startswith(b"\xfeSMB"):
        return False
    if len(message) < _SMB1.size + 3:
        raise WireError("a message shorter than an SMB 1 header")
    magic, command, status, flags, *_ = _SMB1.unpack_from(message)
    if magic != _SMB1_MAGIC or command != _SMB1_NEGOTIATE or not flags & _SMB1_REPLY:
        raise WireError("no answer to an SMB 1 greeting")
    words = message[_SMB1.size]
    chosen = int.from_bytes(message[_SMB1.size + 1 : _SMB1.size + 3], "little")
    return status == 0 and words > 0 and chosen != _NO_DIALECT
