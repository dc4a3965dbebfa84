"""Connection-oriented remote procedure calls, as much as one call needs ([C706] 12.6; [MS-RPCE] 2.2.2)."""

from __future__ import annotations

import struct
import uuid

from leadapron.errors import WireError

_HEAD = struct.Struct("<BBBB4sHHI")
_LITTLE_ENDIAN = b"\x10\0\0\0"
_REQUEST, _RESPONSE, _FAULT, _BIND, _BIND_ACK = 0, 2, 3, 11, 12
_FIRST, _LAST = 1, 2
MAX_FRAGMENT = 0xFFF0
MAX_FRAGMENTS = 1024
MAX_STUB = 4 << 20
_NDR = uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860").bytes_le + struct.pack("<I", 2)


def bind(interface: uuid.UUID, version: int) -> bytes:
    """To one interface, in NDR."""
    body = struct.pack("<HHIB3x", MAX_FRAGMENT, MAX_FRAGMENT, 0, 1) + struct.pack("<HBx", 0, 1)
    return _pdu(_BIND, body + interface.bytes_le + struct.pack("<I", version) + _NDR, call=1)


def request(operation: int, stub: bytes) -> bytes:
    """In one fragment."""
    return _pdu(_REQUEST, struct.pack("<IHH", len(stub), 0, operation) + stub, call=2)


def _pdu(kind: int, body: bytes, *, call: int) -> bytes:
    return _HEAD.pack(5, 0, kind, _FIRST | _LAST, _LITTLE_ENDIAN, _HEAD.size + len(body), 0, call) + body


class Answer:
    """One answer to a call, from its fragments. What came goes in by `feed`."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._buffer = bytearray()
        self._fragments = 0
        self.stub = bytearray()
        self.is_whole = False

    @classmethod
    def to_bind(cls) -> Answer:
        return cls(_BIND_ACK)

    @classmethod
    def to_request(cls) -> Answer:
        return cls(_RESPONSE)

    def feed(self, data: bytes) -> None:
        """Raises WireError."""
        self._buffer += data
        while not self.is_whole and len(self._buffer) >= _HEAD.size:
            major, _, kind, flags, representation, length, authenticated, _ = _HEAD.unpack_from(self._buffer)
            if major != 5 or kind != self._kind or representation[:1] != _LITTLE_ENDIAN[:1] or authenticated:
                raise WireError("no answer to a remote procedure call")
            if length < _HEAD.size + 8:
                raise WireError("a fragment shorter than its header")
            if len(self._buffer) < length:
                return
            self._take(bytes(self._buffer[_HEAD.size : length]), flags)
            del self._buffer[:length]

    def _take(self, body: bytes, flags: int) -> None:
        self._fragments += 1
        if bool(flags & _FIRST) != (self._fragments == 1):
            raise WireError("fragments out of their order")
        self.stub += body[8:]
        if self._fragments > MAX_FRAGMENTS or len(self.stub) > MAX_STUB:
            raise WireError("an answer without an end")
        self.is_whole = bool(flags & _LAST)


def is_bound(answer: bytes | bytearray) -> bool:
    """Whether the one context that was asked for was accepted: `answer` is the stub of a bind_ack. Raises WireError."""
    if len(answer) < 2:
        raise WireError("a bind_ack without its address")
    place = 2 + int.from_bytes(answer[:2], "little")
    place += -place % 4
    if len(answer) < place + 6:
        raise WireError("a bind_ack without its result")
    return answer[place] > 0 and int.from_bytes(answer[place + 4 : place + 6], "little") == 0
