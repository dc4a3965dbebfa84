"""Any conversation inside TLS: the dialer carries ciphertext, the conversation sees plaintext, neither notices."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Generator
from functools import partial
from typing import Generic, TypeVar

from leadapron.model import Attempt, Failed, Reason, Stage
from leadapron.net.conversation import (
    CloseSide,
    Conversation,
    LastWords,
    Lost,
    MayEnd,
    More,
    OnSide,
    OpenSide,
    Question,
    Redial,
    Request,
    SideLost,
)
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
    return (yield from _Tunnel(conversation, partial(Session, context, server_name)).run())


class _Tunnel(Generic[T]):
    def __init__(self, inner: Conversation[T], begin: Callable[[], Session]) -> None:
        self.inner, self._begin = inner, begin
        self.session = begin()
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

    def _handshake(self, out: type[bytes] = bytes) -> Generator[bytes, bytes, None]:
        """`out`: as what our first flight is yielded. Raises Broken, Lost."""
        received = 0
        while not self.session.handshake():
            data = yield out(self.session.take())
            out = bytes
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
                except (Lost, SideLost) as lost:
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
        """Send, and wait for the next plaintext; a second connection is the conversation's own, and passes as it is. Raises
        Lost, SideLost, _Refused."""
        if isinstance(sending, OpenSide | OnSide | CloseSide):
            return (yield sending)
        if isinstance(sending, Redial):
            yield from self._again()
        if self.session.is_closed:
            if isinstance(sending, MayEnd):
                return b""
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
        may_end = isinstance(sending, MayEnd)
        out = _kind(sending)(ciphertext)
        while True:
            if not (data := (yield out)):
                return b""
            self.session.receive(data)
            try:
                plaintext = self._read()
            except Broken as broken:
                if may_end and broken.alert == CLOSE_NOTIFY:
                    return b""
                raise
            if plaintext:
                return plaintext
            out = (MayEnd if may_end else bytes)(self.session.take())

    def _again(self) -> Generator[bytes, bytes, None]:
        """A session of its own for the new connection. Raises Lost, _Refused."""
        self.session = self._begin()
        try:
            yield from self._handshake(Redial)
        except Broken as broken:
            self.is_over = True
            raise _Refused(broken) from None

    def _read(self) -> bytes:
        plaintext = self.session.read()
        self.has_heard = self.has_heard or bool(plaintext)
        return plaintext


def _kind(sending: bytes) -> type[bytes]:
    """As what the ciphertext of it goes out: where it is dialled anew, that is done by then."""
    return next((kind for kind in (Request, More, Question, MayEnd) if isinstance(sending, kind)), bytes)
