"""The login phase of iSCSI, sans-IO: one Login Request and the Login Response to it (RFC 7143 sections 11.12 and 11.13)."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple

from leadapron.errors import WireError

HEADER_LENGTH = 48
"""Of a basic header segment (section 11.2.1)."""
MAX_DATA = 8192
"""Bytes of a data segment in the login phase: the default MaxRecvDataSegmentLength (section 13.12)."""

_LOGIN_REQUEST, _LOGIN_RESPONSE, _REJECT = 0x03, 0x23, 0x3F
_IMMEDIATE, _OPCODE = 0x40, 0x3F
_TRANSIT, _TO_OPERATIONAL = 0x80, 0x01
_INITIATOR = "iqn.2026-11.invalid:leadapron"
"""A name under a domain that nobody can own (RFC 6761 section 6.4)."""
_ISID = bytes.fromhex("800000000000")
"""Random format (section 11.12.5), always the same: we have one session at a time."""

_KEYS = {
    "InitiatorName": _INITIATOR,
    "SessionType": "Discovery",
    "AuthMethod": "None,CHAP",
}


class Method(enum.StrEnum):
    """What the target chose of the two that we offer (section 12.1)."""

    NONE = "none"
    CHAP = "chap"
    REJECT = "reject"
    OTHER = "other"


class Response(NamedTuple):
    """`status_class` and `status_detail`: section 11.13.5. `method` None: the target did not say."""

    status_class: int
    status_detail: int
    method: Method | None = None


_METHODS = {b"None": Method.NONE, b"CHAP": Method.CHAP, b"Reject": Method.REJECT}


def login_request() -> bytes:
    """The first of a discovery session, which would go on to the operational negotiation; it never does."""
    data = b"".join(f"{key}={value}".encode() + b"\0" for key, value in _KEYS.items())
    flags = _TRANSIT | _TO_OPERATIONAL
    head = struct.pack(">BBBBI", _LOGIN_REQUEST | _IMMEDIATE, flags, 0, 0, len(data))
    return (head + _ISID).ljust(HEADER_LENGTH, b"\0") + data + bytes(-len(data) % 4)


def response_length(data: bytes) -> int:
    """Of the PDU that `data` begins with; 0: more bytes are needed to know. Raises WireError."""
    if data and data[0] & _OPCODE not in (_LOGIN_RESPONSE, _REJECT):
        raise WireError("no answer to a Login Request")
    if len(data) < HEADER_LENGTH:
        return 0
    if data[4]:
        raise WireError("an additional header in the login phase")
    length = int.from_bytes(data[5:8], "big")
    if length > MAX_DATA:
        raise WireError("a data segment longer than it may be", limit=True)
    return HEADER_LENGTH + length + -length % 4


def read_response(pdu: bytes) -> Response | None:
    """One whole PDU; None: the target rejected the PDU as such (section 11.17). Raises WireError."""
    if not pdu or response_length(pdu) != len(pdu):
        raise WireError("a PDU that is not whole")
    if pdu[0] & _OPCODE == _REJECT:
        return None
    if pdu[8:14] != _ISID or pdu[16:20] != bytes(4):
        raise WireError("an answer to somebody else's Login Request")
    length = int.from_bytes(pdu[5:8], "big")
    pairs = [pair.partition(b"=") for pair in pdu[HEADER_LENGTH : HEADER_LENGTH + length].split(b"\0")]
    method = next((_METHODS.get(value, Method.OTHER) for key, _, value in pairs if key == b"AuthMethod"), None)
    return Response(pdu[36], pdu[37], method)
