"""One whole handshake, for the certificate of the server and whether it demands one of ours; then we leave.

Up to TLS 1.2 both are seen in clear, so they are known even where the handshake fails. In TLS 1.3 a server answers our
missing certificate only after our Finished: we wait for one record more (RFC 8446 section 4.4.2.4).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost
from leadapron.protocols.tls.certificate import CertificateFacts, read_certificate
from leadapron.protocols.tls.flight import ServerFlight
from leadapron.protocols.tls.names import DEMANDS, Version
from leadapron.protocols.tls.session import MAX_HANDSHAKE, Broken, Session, client_context
from leadapron.protocols.tls.wire import Certificate, CertificateRequest, RecordReader, ServerHello


class ClientCertificate(enum.StrEnum):
    DEMANDED = "demanded"
    ASKED = "asked"
    """it asked for one, and hung up without a word: it may have been something else"""
    NOT_DEMANDED = "not_demanded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What one handshake showed. `certificate` None: the server has none (an anonymous suite)."""

    version: Version
    certificate: CertificateFacts | None
    client_certificate: ClientCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshaking:
    """The job. `now` dates the certificate. The endpoint's name goes as SNI."""

    name: str
    endpoint: Endpoint
    now: dt.datetime
    limits: Limits = field(default_factory=lambda: Limits(idle_timeout=5.0, deadline=20.0, max_received=MAX_HANDSHAKE))
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Handshake]:
        return (yield from _Shaker(self, client_context()).run())


class _Shaker:
    """Watches what comes in clear, beside the session that takes part in it."""

    def __init__(self, job: Handshaking, context: ssl.SSLContext) -> None:
        self.job = job
        self.session = Session(context, job.endpoint.name)
        self.flight = ServerFlight()
        self.records = RecordReader()
        self.received = self.whole = 0
        """bytes, and whole records of them"""
        self.version: Version | None = None
        self.leaf: bytes | None = None
        self.is_asked = False
        """a CertificateRequest came in clear"""

    def run(self) -> Conversation[Handshake]:
        try:
            while not self.session.handshake():
                self._take((yield self.session.take()))
            self.version, self.leaf = self.session.version, self.session.certificate
            demanded = ClientCertificate.NOT_DEMANDED
            if self.version == Version.TLS_1_3:
                demanded = yield from self._behind_finished()
        except Broken as broken:
            attempt = self._ended(broken.alert in DEMANDS, Reason.TLS, broken.detail)
        except Lost as lost:
            if self.is_asked and lost.reason is Reason.RESET:
                return self._result(ClientCertificate.ASKED)
            return Failed(stage=Stage.TLS, reason=lost.reason)
        except WireError as error:
            reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
            attempt = Failed(stage=Stage.TLS, reason=reason, detail=error.rule)
        else:
            attempt = self._result(demanded)
        with contextlib.suppress(Lost):
            if words := self.session.close():
                yield LastWords(words)
        return attempt

    def _take(self, data: bytes) -> None:
        """Raises WireError."""
        self.received += len(data)
        if self.received > MAX_HANDSHAKE:
            raise WireError("a handshake is longer than its limit", limit=True)
        self.session.receive(data)
        self.records.feed(data)
        while self.records.next() is not None:
            self.whole += 1
        self._watch(data)

    def _watch(self, data: bytes) -> None:
        self.flight.feed(data)
        while (message := self.flight.next()) is not None:
            if isinstance(message, ServerHello):
                self.version = message.version
            elif isinstance(message, Certificate):
                self.leaf = message.chain[0] if message.chain else None
            elif isinstance(message, CertificateRequest):
                self.is_asked = True

    def _behind_finished(self) -> Generator[bytes, bytes, ClientCertificate]:
        """TLS 1.3: a ticket is handed out to those who may stay, an alert to the others. Silence says nothing."""
        before = self.whole
        try:
            while self.whole == before:
                self._take((yield self.session.take()))
                self.session.read()
        except Broken as broken:
            return ClientCertificate.DEMANDED if broken.alert in DEMANDS else ClientCertificate.UNKNOWN
        except Lost:
            return ClientCertificate.UNKNOWN
        return ClientCertificate.NOT_DEMANDED

    def _ended(self, is_demand: bool, reason: Reason, detail: str) -> Attempt[Handshake]:
        """A handshake that failed: the server wants a certificate, or something else is wrong."""
        if self.is_asked and is_demand:
            return self._result(ClientCertificate.DEMANDED)
        return Failed(stage=Stage.TLS, reason=reason, detail=detail)

    def _result(self, demanded: ClientCertificate) -> Attempt[Handshake]:
        assert self.version is not None
        job, facts = self.job, None
        try:
            if self.leaf is not None:
                facts = read_certificate(self.leaf, now=job.now, name=job.endpoint.name)
        except WireError as error:
            return Failed(stage=Stage.TLS, reason=Reason.PROTOCOL, detail=error.rule)
        return Completed(result=Handshake(version=self.version, certificate=facts, client_certificate=demanded))
