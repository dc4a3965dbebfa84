"""Records and the handshake messages that a client can read in clear, sans-IO.

TLS 1.3 is RFC 8446, TLS 1.2 and before RFC 5246, SSL 3.0 RFC 6101. Every length is bounded; only WireError is raised.
Names in messages (of certificate authorities, of hosts) are skipped, never returned.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from leadapron.errors import WireError
from leadapron.protocols.tls.names import (
    FATAL,
    GROUPS,
    HELLO_RETRY_RANDOM,
    SIGNATURES,
    WARNING,
    X25519,
    ContentType,
    Extension,
    HandshakeType,
    Version,
)

MAX_FRAGMENT = 1 << 14
"""Bytes of a record in clear (RFC 8446 section 5.1)."""
MAX_SEALED = MAX_FRAGMENT + 2048
"""Bytes of an encrypted one (RFC 5246 section 6.2.3)."""
MAX_MESSAGE = 1 << 17
"""Bytes of one handshake message; a chain of a dozen certificates fits."""
MAX_CHAIN = 32

_RECORD = struct.Struct(">BHH")
_TYPES = frozenset(ContentType)
_VERSIONS = frozenset(Version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """TLSPlaintext, or TLSCiphertext behind the change of keys (RFC 5246 section 6.2)."""

    type: ContentType
    version: int
    fragment: bytes

    def encode(self) -> bytes:
        return _RECORD.pack(self.type, self.version, len(self.fragment)) + self.fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """RFC 5246 section 7.2. `description` is a number of `names.ALERTS`, or one that is not known there."""

    level: int
    description: int

    @property
    def is_fatal(self) -> bool:
        return self.level == FATAL

    def encode(self, version: int = Version.TLS_1_0) -> bytes:
        """As a record."""
        fragment = bytes((self.level, self.description))
        return Record(type=ContentType.ALERT, version=version, fragment=fragment).encode()

    @classmethod
    def decode(cls, fragment: bytes) -> Alert:
        if len(fragment) != 2 or fragment[0] not in (WARNING, FATAL):
            raise WireError("an alert that is none")
        return cls(level=fragment[0], description=fragment[1])


class RecordReader:
    """Takes bytes as they come, gives whole records."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Record | None:
        """The next record, None where more bytes are needed. Raises WireError as soon as the bytes can be none."""
        if self._buffer and self._buffer[0] not in _TYPES:
            raise WireError("bytes that are not TLS")
        if len(self._buffer) < _RECORD.size:
            return None
        kind, version, length = _RECORD.unpack_from(self._buffer)
        if version >> 8 != Version.SSL_3_0 >> 8:
            raise WireError("a record of another version than 3")
        if length > MAX_SEALED:
            raise WireError("a record is longer than the standard allows", limit=True)
        if not length and kind != ContentType.APPLICATION_DATA:
            raise WireError("an empty record")
        end = _RECORD.size + length
        if len(self._buffer) < end:
            return None
        fragment = bytes(self._buffer[_RECORD.size : end])
        del self._buffer[:end]
        return Record(type=ContentType(kind), version=version, fragment=fragment)


class _Cursor:
    """Reads from one message, never behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise WireError("a handshake message cut short")
        self._place += count
        return self._data[self._place - count : self._place]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int, least: int = 0, most: int = MAX_MESSAGE) -> bytes:
        """A vector whose length stands in `size` bytes before it (RFC 8446 section 3.4)."""
        length = self.number(size)
        if not least <= length <= most:
            raise WireError("a vector of a length that is not allowed")
        return self.take(length)

    def end(self) -> None:
        if self.left:
            raise WireError("bytes behind the end of a handshake message")


def _vector(size: int, content: bytes) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _message(kind: HandshakeType, body: bytes) -> bytes:
    return bytes((kind,)) + _vector(3, body)


def _numbers(raw: bytes) -> tuple[int, ...]:
    if len(raw) % 2:
        raise WireError("half a number in a list")
    return tuple(number for (number,) in struct.iter_unpack(">H", raw))


def _list(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


def _extensions(cursor: _Cursor) -> dict[int, bytes]:
    """By their type; none where the message ends before them (RFC 5246 section 7.4.1.4)."""
    found: dict[int, bytes] = {}
    if not cursor.left:
        return found
    inner = _Cursor(cursor.vector(2, most=0xFFFF))
    cursor.end()
    while inner.left:
        kind = inner.number(2)
        if kind in found:
            raise WireError("an extension twice")
        found[kind] = inner.vector(2, most=0xFFFF)
    return found


def _encode_extensions(extensions: dict[int, bytes]) -> bytes:
    joined = b"".join(kind.to_bytes(2, "big") + _vector(2, content) for kind, content in extensions.items())
    return _vector(2, joined) if extensions else b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """RFC 8446 section 4.1.2, RFC 6101 section 5.6.1.2. No ALPN, no session, no compression.

    `version` is the legacy one: the highest where `supported_versions` is empty. `key_share` is a public key of X25519
    (32 bytes) or empty. SSL 3.0 knows no extensions: none is sent then.
    """

    version: Version
    random: bytes
    suites: tuple[int, ...]
    server_name: str = ""
    groups: tuple[int, ...] = GROUPS
    signatures: tuple[int, ...] = SIGNATURES
    supported_versions: tuple[int, ...] = ()
    key_share: bytes = b""

    kind: ClassVar[HandshakeType] = HandshakeType.CLIENT_HELLO

    def encode(self) -> bytes:
        """As one record."""
        body = self.version.to_bytes(2, "big") + self.random + _vector(1, b"") + _vector(2, _list(self.suites))
        body += _vector(1, b"\0") + _encode_extensions(self._extensions())
        outer = min(self.version, Version.TLS_1_0)
        fragment = _message(self.kind, body)
        return Record(type=ContentType.HANDSHAKE, version=outer, fragment=fragment).encode()

    def _extensions(self) -> dict[int, bytes]:
        if self.version == Version.SSL_3_0:
            return {}
        found: dict[int, bytes] = {}
        if self.server_name:
            found[Extension.SERVER_NAME] = _vector(2, b"\0" + _vector(2, self.server_name.encode("ascii")))
        if self.groups:
            found[Extension.SUPPORTED_GROUPS] = _vector(2, _list(self.groups))
            found[Extension.EC_POINT_FORMATS] = _vector(1, b"\0")
        if self.signatures and self.version >= Version.TLS_1_2:
            found[Extension.SIGNATURE_ALGORITHMS] = _vector(2, _list(self.signatures))
        if self.supported_versions:
            found[Extension.SUPPORTED_VERSIONS] = _vector(1, _list(self.supported_versions))
        if self.key_share:
            entry = X25519.to_bytes(2, "big") + _vector(2, self.key_share)
            found[Extension.KEY_SHARE] = _vector(2, entry)
        return found

    @classmethod
    def decode(cls, body: bytes) -> ClientHello:
        """From the body of the message. The name is not read: `server_name` is empty."""
        cursor = _Cursor(body)
        version = _version(cursor.number(2))
        random = cursor.take(32)
        cursor.vector(1, most=32)
        suites = _numbers(cursor.vector(2, least=2, most=0xFFFE))
        cursor.vector(1, least=1)
        found = {kind: _Cursor(content) for kind, content in _extensions(cursor).items()}
        groups, signatures = found.get(Extension.SUPPORTED_GROUPS), found.get(Extension.SIGNATURE_ALGORITHMS)
        versions, share = found.get(Extension.SUPPORTED_VERSIONS), found.get(Extension.KEY_SHARE)
        return cls(
            version=version,
            random=random,
            suites=suites,
            groups=_numbers(groups.vector(2)) if groups else (),
            signatures=_numbers(signatures.vector(2)) if signatures else (),
            supported_versions=_numbers(versions.vector(1)) if versions else (),
            key_share=_x25519_of(_Cursor(share.vector(2))) if share else b"",
        )


def _x25519_of(shares: _Cursor) -> bytes:
    while shares.left:
        group, key = shares.number(2), shares.vector(2)
        if group == X25519:
            return key
    return b""


def _version(number: int) -> Version:
    if number not in _VERSIONS:
        raise WireError("a version that is none of SSL 3.0 to TLS 1.3")
    return Version(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """RFC 8446 section 4.1.3; `is_retry`: it is a HelloRetryRequest, which chooses version and suite as well."""

    version: Version
    """the one that was chosen"""
    suite: int
    is_retry: bool = False

    kind: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO

    def encode(self, random: bytes = bytes(32)) -> bytes:
        """The message, without a record."""
        legacy = min(self.version, Version.TLS_1_2)
        random = HELLO_RETRY_RANDOM if self.is_retry else random
        body = legacy.to_bytes(2, "big") + random + _vector(1, b"") + self.suite.to_bytes(2, "big") + b"\0"
        if self.version == Version.TLS_1_3:
            body += _encode_extensions({Extension.SUPPORTED_VERSIONS: self.version.to_bytes(2, "big")})
        return _message(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> ServerHello:
        cursor = _Cursor(body)
        version = _version(cursor.number(2))
        random = cursor.take(32)
        cursor.vector(1, most=32)
        suite = cursor.number(2)
        if cursor.number(1):
            raise WireError("a compression that was not offered")
        chosen = _extensions(cursor).get(Extension.SUPPORTED_VERSIONS)
        if chosen is not None:
            version = _version(int.from_bytes(chosen, "big"))
            if len(chosen) != 2 or version < Version.TLS_1_3:
                raise WireError("supported_versions chooses what it must not")
        elif version == Version.TLS_1_3:
            raise WireError("TLS 1.3 without supported_versions")
        is_retry = random == HELLO_RETRY_RANDOM and version == Version.TLS_1_3
        return cls(version=version, suite=suite, is_retry=is_retry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The chain in DER, the server's own first, as it comes in clear up to TLS 1.2 (RFC 5246 section 7.4.2)."""

    chain: tuple[bytes, ...]

    kind: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE

    def encode(self) -> bytes:
        """The message, without a record."""
        return _message(self.kind, _vector(3, b"".join(_vector(3, each) for each in self.chain)))

    @classmethod
    def decode(cls, body: bytes) -> Certificate:
        cursor = _Cursor(body)
        inner = _Cursor(cursor.vector(3))
        cursor.end()
        chain = []
        while inner.left:
            chain.append(inner.vector(3, least=1))
            if len(chain) > MAX_CHAIN:
                raise WireError("a chain of too many certificates", limit=True)
        return cls(chain=tuple(chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """The server asks for a client certificate (RFC 5246 section 7.4.4). `types` are its ClientCertificateTypes."""

    types: tuple[int, ...]
    has_authorities: bool = False
    """it names authorities; who they are is not read"""

    kind: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_REQUEST

    def encode(self, version: Version) -> bytes:
        """The message, without a record."""
        body = _vector(1, bytes(self.types))
        body += _vector(2, _list(SIGNATURES)) if version == Version.TLS_1_2 else b""
        return _message(self.kind, body + _vector(2, _vector(2, b"0\0") if self.has_authorities else b""))

    @classmethod
    def decode(cls, body: bytes, version: Version) -> CertificateRequest:
        cursor = _Cursor(body)
        types = tuple(cursor.vector(1))
        if version == Version.TLS_1_2:
            _numbers(cursor.vector(2))
        authorities = cursor.vector(2)
        cursor.end()
        return cls(types=types, has_authorities=bool(authorities))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHelloDone:
    """RFC 5246 section 7.4.5."""

    kind: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO_DONE

    def encode(self) -> bytes:
        """The message, without a record."""
        return _message(self.kind, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKeyExchange:
    """RFC 5246 section 7.4.3. What `content` holds depends on the cipher suite."""

    content: bytes

    kind: ClassVar[HandshakeType] = HandshakeType.SERVER_KEY_EXCHANGE

    def encode(self) -> bytes:
        """The message, without a record."""
        return _message(self.kind, self.content)

    def prime_bits(self) -> int:
        """Length of the prime, where the suite is one of DHE (ServerDHParams). Raises WireError."""
        return int.from_bytes(_Cursor(self.content).vector(2, least=1), "big").bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMessage:
    """A message that is allowed here and that we do not read: a ticket, an OCSP answer."""

    kind: HandshakeType


def decode_done(body: bytes) -> ServerHelloDone:
    """Raises WireError unless it is empty."""
    _Cursor(body).end()
    return ServerHelloDone()
