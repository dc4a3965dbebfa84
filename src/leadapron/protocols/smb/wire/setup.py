"""SESSION_SETUP ([MS-SMB2] 2.2.5, 2.2.6): SPNEGO (RFC 4178) around NTLMSSP ([MS-NLMP] 2.2.1), for a user without a name.

An anonymous authentication has an empty name, an LM response of one zero byte and no NT response ([MS-NLMP] 3.2.5.1.2):
nothing is computed from a challenge, and no password is tried.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.protocols.smb.wire import der
from leadapron.protocols.smb.wire.header import LENGTH, Response

_REQUEST = struct.Struct("<HBBIIHHQ")
_RESPONSE = struct.Struct("<HHHH")
_SIGNING_ENABLED = 0x1
_IS_GUEST, _IS_NULL, _ENCRYPTS = 0x1, 0x2, 0x4

_SPNEGO = bytes.fromhex("2b0601050502")
_NTLMSSP = bytes.fromhex("2b06010401823702020a")
_APPLICATION, _INIT, _RESPONSE_TOKEN = 0x60, 0xA0, 0xA1
_MECHANISMS, _MECHANISM_TOKEN, _TOKEN = 0xA0, 0xA2, 0xA2

_SIGNATURE = b"NTLMSSP\0"
_NEGOTIATE, _CHALLENGE, _AUTHENTICATE = 1, 2, 3
_UNICODE, _REQUEST_TARGET, _NTLM, _ANONYMOUS = 0x1, 0x4, 0x200, 0x800
_ALWAYS_SIGN, _EXTENDED, _VERSION = 0x8000, 0x80000, 0x02000000
_FLAGS = _UNICODE | _REQUEST_TARGET | _NTLM | _ALWAYS_SIGN | _EXTENDED | _VERSION
_OUR_VERSION = struct.pack("<BBH3xB", 6, 1, 0, 15)
_CHALLENGE_HEAD = struct.Struct("<8sI8xI8x8x8x")
_THEIR_VERSION = struct.Struct("<BBH3xB")


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemVersion:
    """Of the operating system, as an NTLMSSP challenge claims it ([MS-NLMP] 2.2.2.10). All zero: it does not."""

    major: int = 0
    minor: int = 0
    build: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The flags of a session that was set up."""

    is_guest: bool
    is_null: bool
    encrypts: bool
    """the server demands encryption of it"""


def request(token: bytes) -> bytes:
    head = _REQUEST.pack(25, 0, _SIGNING_ENABLED, 0, 0, LENGTH + _REQUEST.size, len(token), 0)
    return head + token


def first_token() -> bytes:
    """NegTokenInit with the NTLMSSP negotiation."""
    negotiate = _SIGNATURE + struct.pack("<II", _NEGOTIATE, _FLAGS) + bytes(16) + _OUR_VERSION
    mechanisms = der.element(_MECHANISMS, der.element(der.SEQUENCE, der.element(der.OBJECT, _NTLMSSP)))
    token = der.element(_MECHANISM_TOKEN, der.element(der.OCTETS, negotiate))
    init = der.element(_INIT, der.element(der.SEQUENCE, mechanisms + token))
    return der.element(_APPLICATION, der.element(der.OBJECT, _SPNEGO) + init)


def anonymous_token() -> bytes:
    """NegTokenResp with an authentication that names nobody."""
    end = 8 + 4 + 6 * 8 + 4 + 8
    empty = struct.pack("<HHI", 0, 0, end)
    lm_response = struct.pack("<HHI", 1, 1, end)
    fields = lm_response + empty * 5
    message = (
        _SIGNATURE
        + struct.pack("<I", _AUTHENTICATE)
        + fields
        + struct.pack("<I", _FLAGS | _ANONYMOUS)
        + _OUR_VERSION
        + b"\0"
    )
    token = der.element(_TOKEN, der.element(der.OCTETS, message))
    return der.element(_RESPONSE_TOKEN, der.element(der.SEQUENCE, token))


def token_of(response: Response) -> bytes:
    """The security buffer. Raises WireError."""
    _, _, offset, length = _RESPONSE.unpack(response.body(_RESPONSE.size))
    return response.part(offset, length)


def read(response: Response) -> Granted:
    """Raises WireError."""
    _, flags, offset, length = _RESPONSE.unpack(response.body(_RESPONSE.size))
    response.part(offset, length)
    return Granted(is_guest=bool(flags & _IS_GUEST), is_null=bool(flags & _IS_NULL), encrypts=bool(flags & _ENCRYPTS))


def read_challenge(token: bytes) -> SystemVersion:
    """What an NTLMSSP challenge, bare or in a NegTokenResp, says of the system. Its names are not read. Raises WireError."""
    if not token.startswith(_SIGNATURE):
        fields = der.elements(der.inside(der.inside(token, _RESPONSE_TOKEN), der.SEQUENCE))
        if _TOKEN not in fields:
            raise WireError("an answer without a challenge")
        token = der.inside(fields[_TOKEN], der.OCTETS)
    if len(token) < _CHALLENGE_HEAD.size:
        raise WireError("a challenge shorter than its fixed part")
    signature, kind, flags = _CHALLENGE_HEAD.unpack_from(token)
    if signature != _SIGNATURE or kind != _CHALLENGE:
        raise WireError("no NTLMSSP challenge")
    if not flags & _VERSION or len(token) < _CHALLENGE_HEAD.size + _THEIR_VERSION.size:
        return SystemVersion()
    major, minor, build, _ = _THEIR_VERSION.unpack_from(token, _CHALLENGE_HEAD.size)
    return SystemVersion(major=major, minor=minor, build=build)
