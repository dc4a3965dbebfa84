"""The SMB2 header ([MS-SMB2] 2.2.1), compounded chains (3.2.4.1.4), status codes ([MS-ERREF] 2.3)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from leadapron.errors import WireError

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
LENGTH = _HEADER.size
MAGIC = b"\xfeSMB"
MAX_CHAIN = 64
"""Messages in one compounded answer; we send fewer."""

_FROM_SERVER, _ASYNC, _RELATED = 0x1, 0x2, 0x4


class Command(enum.IntEnum):
    """Those that we send ([MS-SMB2] 2.2.1.2). WRITE, SET_INFO, LOCK are not among them."""

    NEGOTIATE = 0x0
    SESSION_SETUP = 0x1
    LOGOFF = 0x2
    TREE_CONNECT = 0x3
    TREE_DISCONNECT = 0x4
    CREATE = 0x5
    CLOSE = 0x6
    READ = 0x8
    IOCTL = 0xB
    QUERY_DIRECTORY = 0xE


class Status(enum.IntEnum):
    """Those that decide something; every other one is a refusal without a known reason."""

    SUCCESS = 0x00000000
    PENDING = 0x00000103
    BUFFER_OVERFLOW = 0x80000005
    NO_MORE_FILES = 0x80000006
    END_OF_FILE = 0xC0000011
    MORE_PROCESSING_REQUIRED = 0xC0000016
    NO_SUCH_FILE = 0xC000000F


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`charge` is 0 in the dialect 2.0.2 and before any ([MS-SMB2] 3.2.4.1.5)."""

    command: Command
    message_id: int
    session_id: int
    tree_id: int
    body: bytes = field(repr=False)
    charge: int
    credits: int
    """how many we ask for"""
    related: bool = False
    """goes with the one before it in its chain"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """`message` begins with its header: offsets inside a body count from there. `credits`: that it grants."""

    command: int
    status: int
    message_id: int
    session_id: int
    tree_id: int
    credits: int
    is_async: bool
    message: bytes = field(repr=False)

    @property
    def is_interim(self) -> bool:
        """Whether the answer is still to come ([MS-SMB2] 3.3.4.2)."""
        return self.status == Status.PENDING and self.is_async

    def body(self, size: int) -> bytes:
        """The fixed part, of `size` bytes, whose StructureSize says so, with or without the odd byte of what follows.

        Raises WireError.
        """
        fixed = self.message[LENGTH : LENGTH + size]
        if len(fixed) < size or int.from_bytes(fixed[:2], "little") not in (size, size + 1):
            raise WireError("a body of another structure")
        return fixed

    def part(self, offset: int, length: int) -> bytes:
        """A buffer behind the fixed part, at `offset` from the header. Raises WireError."""
        if length and (offset < LENGTH or offset + length > len(self.message)):
            raise WireError("a buffer outside its message")
        return self.message[offset : offset + length] if length else b""


def encode(requests: Sequence[Request]) -> bytes:
    """One message, compounded where there are several."""
    parts = []
    for number, request in enumerate(requests):
        is_last = number == len(requests) - 1
        body = request.body if is_last else request.body + bytes(-len(request.body) % 8)
        flags = _RELATED if request.related else 0
        following = 0 if is_last else LENGTH + len(body)
        parts.append(
            _HEADER.pack(
                MAGIC,
                LENGTH,
                request.charge,
                0,
                request.command,
                request.credits,
                flags,
                following,
                request.message_id,
                0,
                request.tree_id,
                request.session_id,
                bytes(16),
            )
        )
        parts.append(body)
    return b"".join(parts)


def decode(message: bytes) -> list[Response]:
    """The responses in a message. Raises WireError: also for encrypted and compressed ones, which we never asked for."""
    found: list[Response] = []
    while message:
        if len(found) == MAX_CHAIN:
            raise WireError("more responses in a chain than requests in any")
        response, following = _decode_one(message)
        found.append(response)
        message = message[following:] if following else b""
    if not found:
        raise WireError("an empty message")
    return found


def _decode_one(message: bytes) -> tuple[Response, int]:
    """The first response of a chain, and where the next begins; 0: there is none."""
    if len(message) < LENGTH + 2:
        raise WireError("a message shorter than a header")
    magic, size, _, status, command, granted, flags, following, message_id, _, tree_id, session_id, _ = (
        _HEADER.unpack_from(message)
    )
    if magic != MAGIC or size != LENGTH or not flags & _FROM_SERVER:
        raise WireError("no SMB2 response header")
    if following and (following % 8 or not LENGTH < following < len(message)):
        raise WireError("a chain that leads nowhere")
    is_async = bool(flags & _ASYNC)
    response = Response(
        command=command,
        status=status,
        message_id=message_id,
        session_id=session_id,
        tree_id=0 if is_async else tree_id,
        credits=granted,
        is_async=is_async,
        message=message[: following or None],
    )
    return response, following
