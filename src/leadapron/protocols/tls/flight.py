"""The first flight of a server, message by message, sans-IO (RFC 5246 section 7.3, RFC 8446 section 2)."""

from __future__ import annotations

from collections import deque

from leadapron.errors import WireError
from leadapron.protocols.tls.names import ContentType, HandshakeType, Version
from leadapron.protocols.tls.wire import (
    MAX_FRAGMENT,
    MAX_MESSAGE,
    Alert,
    Certificate,
    CertificateRequest,
    OtherMessage,
    Record,
    RecordReader,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
    decode_done,
)

MAX_MESSAGES = 16
"""Messages of a server's first flight; the standard knows seven."""
MAX_ALERTS = 8

Message = ServerHello | Certificate | ServerKeyExchange | CertificateRequest | ServerHelloDone | OtherMessage | Alert
_UNREAD = frozenset(
    {
        HandshakeType.HELLO_REQUEST,
        HandshakeType.NEW_SESSION_TICKET,
        HandshakeType.CERTIFICATE_STATUS,
    }
)


class ServerFlight:
    """What a server says first, up to where it is encrypted (`is_sealed`); from there on nothing is read."""

    def __init__(self) -> None:
        self.is_sealed = False
        self._records = RecordReader()
        self._messages: deque[Message] = deque()
        self._pending = bytearray()
        self._version: Version | None = None
        self._count = self._alerts = 0

    def feed(self, data: bytes) -> None:
        if not self.is_sealed:
            self._records.feed(data)

    def next(self) -> Message | None:
        """The next message, None where more bytes are needed or all is sealed. Raises WireError."""
        while not self._messages and not self.is_sealed:
            record = self._records.next()
            if record is None:
                return None
            self._take(record)
        return self._messages.popleft() if self._messages else None

    def _take(self, record: Record) -> None:
        if len(record.fragment) > MAX_FRAGMENT:
            raise WireError("a record is longer than the standard allows", limit=True)
        if record.type is ContentType.ALERT:
            self._alerts += 1
            if self._alerts > MAX_ALERTS:
                raise WireError("too many alerts", limit=True)
            self._messages.append(Alert.decode(record.fragment))
        elif record.type is ContentType.CHANGE_CIPHER_SPEC:
            self.is_sealed = True
        elif record.type is ContentType.HANDSHAKE:
            self._join(record.fragment)
        else:
            raise WireError("application data before the handshake")

    def _join(self, fragment: bytes) -> None:
        """Messages may share a record, and may be longer than one (RFC 8446 section 5.1)."""
        self._pending += fragment
        while len(self._pending) >= 4 and not self.is_sealed:
            length = int.from_bytes(self._pending[1:4], "big")
            if length > MAX_MESSAGE:
                raise WireError("a handshake message is longer than its limit", limit=True)
            if len(self._pending) < 4 + length:
                return
            self._count += 1
            if self._count > MAX_MESSAGES:
                raise WireError("too many handshake messages", limit=True)
            kind, body = self._pending[0], bytes(self._pending[4 : 4 + length])
            del self._pending[: 4 + length]
            self._messages.append(self._read(kind, body))

    def _read(self, kind: int, body: bytes) -> Message:
        if self._version is None and kind != HandshakeType.SERVER_HELLO:
            raise WireError("a message before the ServerHello")
        if kind == HandshakeType.SERVER_HELLO:
            if self._version is not None:
                raise WireError("a second ServerHello")
            hello = ServerHello.decode(body)
            self._version = hello.version
            self.is_sealed = hello.version == Version.TLS_1_3
            return hello
        return _decode(kind, body, self._version or Version.TLS_1_2)


def _decode(kind: int, body: bytes, version: Version) -> Message:
    if kind == HandshakeType.CERTIFICATE:
        return Certificate.decode(body)
    if kind == HandshakeType.SERVER_KEY_EXCHANGE:
        return ServerKeyExchange(content=body)
    if kind == HandshakeType.CERTIFICATE_REQUEST:
        return CertificateRequest.decode(body, version)
    if kind == HandshakeType.SERVER_HELLO_DONE:
        return decode_done(body)
    if kind in _UNREAD:
        return OtherMessage(kind=HandshakeType(kind))
    raise WireError("a handshake message that does not belong here")
