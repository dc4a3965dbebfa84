"""One TLS session as a client, sans-IO: Python's `SSLObject` between two `MemoryBIO`s. Nobody is verified.

Whoever a peer is, we want to see what it serves: its certificate is reported, not believed.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from pathlib import Path

from leadapron.protocols.tls.names import ALERTS, Version

MAX_HANDSHAKE = 1 << 18
"""Bytes that a peer may send before the handshake is done."""
READ_SIZE = 1 << 16

CLOSE_NOTIFY = ALERTS[0]

_CIPHERS = "ALL:-aNULL:-eNULL:aNULL"
"""Whatever the peer has; without a certificate as a last resort."""
_UNENCRYPTED = ":eNULL"
_WEAKEST = ":@SECLEVEL=0"
_LEGACY_SERVER_CONNECT = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT: peers without RFC 5746 too."""
_VERSIONS = {
    "SSLv3": Version.SSL_3_0,
    "TLSv1": Version.TLS_1_0,
    "TLSv1.1": Version.TLS_1_1,
    "TLSv1.2": Version.TLS_1_2,
    "TLSv1.3": Version.TLS_1_3,
}
_ALERT_REASON = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?([A-Z_]+)")
_ALERT_NAMES = frozenset(ALERTS.values())


class Broken(Exception):  # noqa: N818 - control flow of a conversation
    """The session is over. `alert` is the name of the peer's alert, "" where it was not an alert that ended it."""

    def __init__(self, alert: str = "") -> None:
        self.alert = alert
        super().__init__(alert)

    @property
    def detail(self) -> str:
        """For an engineer."""
        return f"alert {self.alert}" if self.alert else "the session broke"


def client_context(
    certificate: Path | None = None, key: Path | None = None, *, unencrypted: bool = True
) -> ssl.SSLContext:
    """Every version and cipher suite that the library still has; of the `unencrypted` ones as the very last resort.

    Reads the files, where a client certificate is given: raises OSError (ssl.SSLError is one) where they cannot be read, are
    no pair, or the key wants a password.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= _LEGACY_SERVER_CONNECT
    context.set_ciphers(_CIPHERS + (_UNENCRYPTED if unencrypted else "") + _WEAKEST)
    if certificate is not None:
        context.load_cert_chain(certificate, key, password="")  # else a terminal would be asked for one
    return context


class Session:
    """What came goes in by `receive`, what is to be sent comes out by `take`; in between, plaintext."""

    def __init__(self, context: ssl.SSLContext, server_name: str = "", resume: ssl.SSLSession | None = None) -> None:
        """`resume`: what `resumable` said of another session in the same context."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name or None, session=resume
        )
        self._closed = False

    def receive(self, data: bytes) -> None:
        self._incoming.write(data)

    def take(self) -> bytes:
        """What is to be sent now; may be empty."""
        return self._outgoing.read()

    def handshake(self) -> bool:
        """Go on with it; whether it is done. Raises Broken."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise Broken(_alert(error)) from None
        return True

    def read(self) -> bytes:
        """All plaintext that is there. Raises Broken once nothing more can come, and what came before is read."""
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(READ_SIZE):
                pieces.append(piece)
            self._closed = True
        except ssl.SSLWantReadError:
            return b"".join(pieces)
        except ssl.SSLError as error:
            self._closed = True
            if not pieces:
                raise Broken(_alert(error)) from None
        if not pieces:
            raise Broken(CLOSE_NOTIFY)
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Encrypt `data`. Raises Broken."""
        try:
            for place in range(0, len(data), READ_SIZE):
                self._object.write(data[place : place + READ_SIZE])
        except ssl.SSLError as error:
            raise Broken(_alert(error)) from None

    def close(self) -> bytes:
        """Our close_notify, and what is still to be sent."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        return self.take()

    @property
    def is_closed(self) -> bool:
        """Whether the peer said that nothing more comes, or broke the session."""
        return self._closed

    @property
    def version(self) -> Version:
        """The one that was negotiated; KeyError before."""
        return _VERSIONS[self._object.version() or ""]

    @property
    def resumable(self) -> ssl.SSLSession | None:
        """By what a second session is known to belong to this one; from TLS 1.3 on only once a ticket was read."""
        return self._object.session

    @property
    def certificate(self) -> bytes | None:
        """The server's own, in DER."""
        return self._object.getpeercert(binary_form=True)


def _alert(error: ssl.SSLError) -> str:
    """The name of the alert that an error of the library stands for; "" where it stands for none."""
    found = _ALERT_REASON.fullmatch(error.reason or "")
    name = found[1].lower() if found else ""
    return name if name in _ALERT_NAMES else ""
