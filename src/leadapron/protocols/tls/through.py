"""Any conversation inside TLS: the dialer carries ciphertext, the conversation sees plaintext, neither notices."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Generator
from typing import Generic, TypeVar

from leadapron.model import Attempt, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Lost, Question
from leadapron.protocols.tls.names import DEMANDS
from leadapron.protocols.tls.session import CLOSE_NOTIFY, MAX_HANDSHAKE, Broken, Session

T = TypeVar("T")


class _Refused(Exception):  # noqa: N818 - control flow
    """The session broke before the peer said anything inside it."""

    def __init__(self, broken: Broken) -> None:
        self.broken = broken
        super().__init__(broken.alert)


def through(conversation: Conversation[T], context: ssl.SSLContext, server_name: str = "") -> Conversation[T]:
    """`conversation` inside TLS. It is begun once the handshake is done.

    What it yields keeps its kind: a `Question` stays one, its `LastWords` are followed by our close_notify. A peer that
    ends the session ends the connection: `Lost(reset)`. Before the peer has said anything inside, a session that breaks is
    `Failed(tls)`, and `Failed(auth)` where it misses a client certificate: in TLS 1.3 it does so only behind our Finished
    (RFC 8446 section 4.4.2.4).
    """
    return (yield from _Tunnel(conversation, Session(context, server_name)).run())


class _Tunnel(Generic[T]):
    def __init__(self, inner: Conversation[T], session: Session) -> None:
        self.inner, self.session = inner, session
        self.has_heard = False
        """plaintext came"""
        self.is_over = False
        """nothing more can be sent: lost, or our last words are said"""

    def run(self) -> Conversation[T]:
        try:
            yield from self._handshake()
            return (yield from self._inside())
        except Lost as lost:
            return Failed(stage=Stage.TLS, reason=lost.reason)
        except Broken as broken:
            return (yield from self._refused(broken))
        except _Refused as refused:
            is_demand = refused.broken.alert in DEMANDS
            return (yield from self._refused(refused.broken, Reason.AUTH if is_demand else Reason.TLS))
        finally:
            self.inner.close()

    def _handshake(self) -> Generator[bytes, bytes, None]:
        """Raises Broken, Lost."""
        received = 0
        while not self.session.handshake():
            data = yield self.session.take()
            received += len(data)
            if received > MAX_HANDSHAKE:
                raise Broken
            self.session.receive(data)

    def _refused(self, broken: Broken, reason: Reason = Reason.TLS) -> Conversation[T]:
        with contextlib.suppress(Lost):
            if words := self.session.take():
                yield LastWords(words)
        return Failed(stage=Stage.TLS, reason=reason, detail=broken.detail)

    def _inside(self) -> Conversation[T]:
        """Carry the conversation to its end. Raises _Refused."""
        try:
            sending = next(self.inner)
            while True:
                try:
                    data = yield from self._exchange(sending)
                except Lost as lost:
                    sending = self.inner.throw(lost)
                else:
                    sending = self.inner.send(data)
        except StopIteration as stop:
            attempt: Attempt[T] = stop.value
        if not self.is_over:
            with contextlib.suppress(Lost):
                yield LastWords(self.session.close())
        return attempt

    def _exchange(self, sending: bytes) -> Generator[bytes, bytes, bytes]:
        """Send, and wait for the next plaintext. Raises Lost, _Refused."""
        if self.session.is_closed:
            self.is_over = True
            raise Lost(Reason.RESET)
        try:
            if sending:
                self.session.write(sending)
            elif plaintext := self._read():
                return plaintext
            return (yield from self._wait(sending))
        except Lost:
            self.is_over = True
            raise
        except Broken as broken:
            self.is_over = True
            if self.has_heard or broken.alert == CLOSE_NOTIFY:
                raise Lost(Reason.RESET) from None
            raise _Refused(broken) from None

    def _wait(self, sending: bytes) -> Generator[bytes, bytes, bytes]:
        """Raises Lost, Broken."""
        ciphertext = self.session.take()
        if isinstance(sending, LastWords):
            yield LastWords(ciphertext + self.session.close())
            raise Lost(Reason.RESET)
        out = Question(ciphertext) if isinstance(sending, Question) else ciphertext
        while True:
            self.session.receive((yield out))
            if plaintext := self._read():
                return plaintext
            out = self.session.take()

    def _read(self) -> bytes:
        plaintext = self.session.read()
        self.has_heard = self.has_heard or bool(plaintext)
        return plaintext
