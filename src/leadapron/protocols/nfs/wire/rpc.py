"""ONC RPC version 2 over TCP (RFC 5531): calls, replies, and the records that carry them."""

from __future__ import annotations

import enum
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.nfs.wire.xdr import Reader, opaque, uint

MAX_RECORD = 2 << 20
"""Bytes. A READ or a listing that we ask for is at most 64 KiB; a list of exports may be long."""
MAX_FRAGMENTS = 4096
"""Of one record."""
_LAST = 0x8000_0000

_CALL, _REPLY = 0, 1
_VERSION = 2
_MAX_AUTH = 400
"""Bytes of the body of an authentication (section 8.2)."""

AUTH_NONE = uint(0) + opaque(b"")
NOBODY = 65534
_MACHINE = b"leadapron"
AUTH_SYS = uint(1) + opaque(uint(0) + opaque(_MACHINE) + uint(NOBODY) + uint(NOBODY) + uint(0))
"""Appendix A: what any client says of itself, unproven. We say that we are nobody, in no group, and call ourselves what
we are."""


class Call(NamedTuple):
    """One remote procedure call, without its transaction id."""

    program: int
    version: int
    procedure: int
    arguments: bytes = b""
    credentials: bytes = AUTH_NONE

    def encode(self, xid: int) -> bytes:
        """As a record of one fragment (section 11)."""
        head = (xid, _CALL, _VERSION, self.program, self.version, self.procedure)
        body = b"".join(map(uint, head)) + self.credentials + AUTH_NONE + self.arguments
        return uint(_LAST | len(body)) + body


class Outcome(enum.Enum):
    """`accept_stat` and `reject_stat` (section 9), as far as they differ for us."""

    SUCCESS = "success"
    NO_PROGRAM = "no_program"
    NO_VERSION = "no_version"
    NO_PROCEDURE = "no_procedure"
    GARBAGE = "garbage"
    SYSTEM_ERROR = "system_error"
    RPC_MISMATCH = "rpc_mismatch"
    AUTH = "auth"
    """our credentials are not enough: AUTH_TOOWEAK, AUTH_BADCRED and so on"""


_ACCEPTED = (
    Outcome.SUCCESS,
    Outcome.NO_PROGRAM,
    Outcome.NO_VERSION,
    Outcome.NO_PROCEDURE,
    Outcome.GARBAGE,
    Outcome.SYSTEM_ERROR,
)


class Reply(NamedTuple):
    """`body`: the results of the procedure, where the outcome is a success. `low`, `high`: the versions that the peer has,
    where it does not have ours."""

    xid: int
    outcome: Outcome
    body: bytes = b""
    low: int = 0
    high: int = 0


def read_reply(record: bytes) -> Reply:
    """One record as the reply that it is. Raises WireError."""
    reader = Reader(record)
    xid = reader.uint()
    if reader.uint() != _REPLY:
        raise WireError("a message that is no reply")
    return _accepted(reader, xid) if not reader.flag() else _denied(reader, xid)


def _accepted(reader: Reader, xid: int) -> Reply:
    reader.uint()
    reader.opaque(_MAX_AUTH)
    status = reader.uint()
    if status >= len(_ACCEPTED):
        raise WireError("an accept_stat that does not exist")
    outcome = _ACCEPTED[status]
    if outcome is Outcome.NO_VERSION:
        if not reader.left:  # go-nfs does so, for procedures that it does not have
            return Reply(xid, outcome)
        return Reply(xid, outcome, low=reader.uint(), high=reader.uint())
    return Reply(xid, outcome, reader.rest() if outcome is Outcome.SUCCESS else b"")


def _denied(reader: Reader, xid: int) -> Reply:
    if reader.flag():
        reader.uint()
        return Reply(xid, Outcome.AUTH)
    return Reply(xid, Outcome.RPC_MISMATCH, low=reader.uint(), high=reader.uint())


class Records:
    """Record marking (section 11): bytes go in, whole records come out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._record = bytearray()
        self._fragments = 0

    @property
    def is_empty(self) -> bool:
        """No record has begun."""
        return not (self._buffer or self._fragments)

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def next_record(self) -> bytes | None:
        """The next whole record; None: more bytes are needed. Raises WireError, and then nothing can be read any more."""
        while len(self._buffer) >= 4:
            mark = int.from_bytes(self._buffer[:4], "big")
            length = mark & ~_LAST
            if self._fragments >= MAX_FRAGMENTS or len(self._record) + length > MAX_RECORD:
                raise WireError("a record longer than it may be", limit=True)
            if len(self._buffer) < 4 + length:
                return None
            self._record += self._buffer[4 : 4 + length]
            del self._buffer[: 4 + length]
            self._fragments += 1
            if mark & _LAST:
                record = bytes(self._record)
                self._record.clear()
                self._fragments = 0
                return record
        return None
