"""A TLS server without a socket, with made-up certificates: Python's own server side between two buffers."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from leadapron.model import Attempt, Reason
from leadapron.net.conversation import Conversation, LastWords, Lost

T = TypeVar("T")

NOW = dt.datetime(2026, 5, 17, 12, tzinfo=dt.UTC)
MAX_TURNS = 2_000


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(
    key: CertificateIssuerPrivateKeyTypes,
    *,
    days: tuple[float, float] = (-1, 100),
    issuer: tuple[str, CertificateIssuerPrivateKeyTypes] | None = None,
    names: tuple[str, ...] = ("pacs.example",),
) -> x509.Certificate:
    """`days`: from when, to when, from NOW. Signed by `issuer`, itself where there is none."""
    signer_name, signer = issuer or ("pacs.example", key)
    begin, end = (NOW + dt.timedelta(days=each) for each in days)
    builder = x509.CertificateBuilder().subject_name(name("pacs.example")).issuer_name(name(signer_name))
    builder = builder.not_valid_before(begin).not_valid_after(end).public_key(key.public_key()).serial_number(1)
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(signer, hashes.SHA256())


@functools.cache
def server_context(*, client_auth: ssl.VerifyMode = ssl.CERT_NONE, highest: str = "TLSv1_3") -> ssl.SSLContext:
    """With a key on P-256; `highest` is a member of ssl.TLSVersion."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.write_bytes(pem + certificate(key).public_bytes(Encoding.PEM))
        context.load_cert_chain(file)
        if client_auth is not ssl.CERT_NONE:
            context.load_verify_locations(file)
    context.verify_mode = client_auth
    context.maximum_version = ssl.TLSVersion[highest]
    return context


class Peer:
    """Speaks TLS; hands plaintext to `answer` and sends what that gives. `heard` is all of the plaintext."""

    def __init__(self, context: ssl.SSLContext, answer: Callable[[bytes], bytes] = lambda data: b"") -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._answer, self.is_up, self.is_over = answer, False, False
        self.heard = b""

    def receive(self, data: bytes) -> bytes:
        """What it sends in answer."""
        self._incoming.write(data)
        try:
            if not self.is_up:
                self.tls.do_handshake()
                self.is_up = True
            while piece := self.tls.read(1 << 16):
                self.heard += piece
                self.say(self._answer(piece))
            self.is_over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.is_over = True
        return self._outgoing.read()

    def say(self, data: bytes) -> None:
        if data:
            self.tls.write(data)

    def close(self) -> bytes:
        """Its close_notify."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        return self._outgoing.read()


def talk(
    conversation: Conversation[T], peer: Peer, *, step: int = 1 << 20, silent: Reason = Reason.TIMEOUT
) -> tuple[Attempt[T], list[bytes]]:
    """Carry a conversation to its end, `step` bytes at a time; where the peer is silent it is lost for that reason.

    What was yielded comes back as well.
    """
    yielded: list[bytes] = []
    waiting = b""
    try:
        sending = next(conversation)
        for _ in range(MAX_TURNS):
            yielded.append(sending)
            if sending:
                waiting += peer.receive(sending)
            if isinstance(sending, LastWords) or not waiting:
                reason = Reason.RESET if isinstance(sending, LastWords) or peer.is_over else silent
                sending = conversation.throw(Lost(reason))
                continue
            piece, waiting = waiting[:step], waiting[step:]
            sending = conversation.send(piece)
    except StopIteration as stop:
        return stop.value, yielded
    raise AssertionError("the conversation has no end")
