"""The control connection as a part of a conversation: commands and replies, in clear or inside TLS, and the transfers that
it announces. Whatever goes wrong on it is `Lost`: an FTP session without its control connection is none.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from leadapron.errors import WireError
from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import CloseSide, Lost, OnSide, OpenSide, Question, Redial, SideLost, Steps
from leadapron.protocols.ftp import wire
from leadapron.protocols.ftp.wire import Replies, Reply, command
from leadapron.protocols.tls.session import CLOSE_NOTIFY, MAX_HANDSHAKE, Broken, Session, client_context

MAX_PRELIMINARY = 16
"""Replies 1xx that are read before one is wanted that is none."""

RESTARTING = 350

CLOSING = 421
"""Service not available, closing control connection (RFC 959 section 4.2.1)."""

_ENDINGS = frozenset({225, 226, 250, 425, 426, 450, 451, 551, 552})
"""What is said at the end of a transfer, and never in answer to NOOP."""

TakeData = Callable[[bytes], bool]
"""Given each piece of a transfer; False: enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How a transfer ended."""

    reply: Reply
    """the last one"""
    begun: bool = True
    """a data connection carried it; False: refused at once"""
    stopped: bool = False
    """`take` said enough"""
    lost: Reason | None = None
    """why the data connection broke"""

    @property
    def is_whole(self) -> bool:
        return self.begun and not self.stopped and self.lost is None and self.reply.is_positive


class Control:
    """`endpoint` is who is spoken to: data connections go nowhere else, whatever an answer to PASV says."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._replies = Replies()
        self._context: ssl.SSLContext | None = None
        self._session: Session | None = None
        self._extended = True
        """EPSV is tried; False once it was refused"""
        self.private = False
        """data connections are inside TLS"""

    @property
    def is_secured(self) -> bool:
        return self._session is not None

    def reply(self, sending: bytes = b"") -> Steps[Reply]:
        """Send, and wait for a reply that is not preliminary. Raises Lost."""
        reply = yield from self.any_reply(sending)
        for _ in range(MAX_PRELIMINARY):
            if not reply.is_preliminary:
                return reply
            reply = yield from self.any_reply()
        raise Lost(Reason.LIMIT)

    def any_reply(self, sending: bytes = b"") -> Steps[Reply]:
        """Send, and wait for the next reply. Raises Lost: also where the server says that it closes the connection."""
        try:
            if (out := self._encoded(sending)) or isinstance(sending, Redial):
                out = Question(out) if type(sending) is Question else out  # inside TLS it has lost its kind
                self._replies.receive(self._decoded((yield out)))
            while (reply := self._replies.next()) is None:
                self._replies.receive(self._decoded((yield self._encoded(b""))))
        except WireError as error:
            raise Lost(Reason.LIMIT if error.limit else Reason.PROTOCOL) from None
        except Broken:
            raise Lost(Reason.TLS) from None
        if reply.code == CLOSING:
            raise Lost(Reason.LIMIT)
        return reply

    def _encoded(self, sending: bytes) -> bytes:
        if self._session is None:
            return sending
        if sending:
            self._session.write(sending)
        return self._session.take()

    def _decoded(self, data: bytes) -> bytes:
        if self._session is None:
            return data
        self._session.receive(data)
        return self._session.read()

    # -- TLS (RFC 4217) -------------------------------------------------------------------------------------------------

    def auth_tls(self) -> Steps[bool]:
        """Ask for TLS, and go on inside it; False where it is refused. Raises Lost."""
        reply = yield from self.reply(command(b"AUTH", b"TLS"))
        if reply.code != 234:
            return False
        if self._replies.has_more:
            raise Lost(Reason.PROTOCOL)
        yield from self.secure()
        return True

    def secure(self) -> Steps[None]:
        """The handshake. Raises Lost."""
        self._context = client_context(unencrypted=False)
        session = Session(self._context, self.endpoint.name)
        try:
            yield from _shake_hands(session, bytes)
            self._session = session
            self._replies.receive(session.read())
        except Broken:
            raise Lost(Reason.TLS) from None

    def protect(self) -> Steps[bool]:
        """Whether data connections are inside TLS from here on (RFC 4217 section 9). Raises Lost."""
        yield from self.reply(command(b"PBSZ", b"0"))
        reply = yield from self.reply(command(b"PROT", b"P"))
        self.private = reply.is_positive
        return self.private

    def quit(self) -> bytes:
        """What is said last."""
        try:
            return self._encoded(command(b"QUIT"))
        except Broken:
            return b""

    # -- transfers ------------------------------------------------------------------------------------------------------

    def transfer(self, asking: bytes, take: TakeData, start: int = 0) -> Steps[Transfer]:
        """One command with a data connection, which we open, from byte `start` on (RFC 3659 section 5). Raises Lost, also
        where that cannot be opened: then there is no transfer to be had from here."""
        port = yield from self._data_port()
        if start:
            reply = yield from self.reply(command(b"REST", b"%d" % start))
            if reply.code != RESTARTING:
                return Transfer(reply=reply, begun=False)
        try:
            yield OpenSide.to(port)
        except SideLost as lost:
            raise Lost(lost.reason) from None
        first = yield from self.any_reply(Question(asking))
        if not first.is_preliminary and not first.is_positive:
            yield CloseSide()
            return Transfer(reply=first, begun=False)
        stopped, lost_reason = False, None
        try:
            stopped = yield from self._data(take)
        except SideLost as lost:
            lost_reason = lost.reason
        yield CloseSide()
        last = first if first.is_positive else (yield from self.reply())
        if stopped or lost_reason:
            yield from self._settle()
        return Transfer(reply=last, stopped=stopped, lost=lost_reason)

    def _settle(self) -> Steps[None]:
        """Behind a transfer that was cut some servers say once more that it ended: go on where they answer us again."""
        reply = yield from self.reply(command(b"NOOP"))
        for _ in range(MAX_PRELIMINARY):
            if reply.code not in _ENDINGS:
                return
            reply = yield from self.reply()
        raise Lost(Reason.LIMIT)

    def _data_port(self) -> Steps[int]:
        try:
            if self._extended:
                reply = yield from self.reply(command(b"EPSV"))
                if reply.code == 229:
                    return wire.extended_passive(reply)
                self._extended = False
            reply = yield from self.reply(command(b"PASV"))
            if reply.code != 227:
                _refused(reply)
            return wire.passive(reply)[1]
        except WireError:
            raise Lost(Reason.PROTOCOL) from None

    def _data(self, take: TakeData) -> Steps[bool]:
        """Whether `take` said enough, before the end. Raises SideLost."""
        if self.private:
            return (yield from self._private_data(take))
        while data := (yield OnSide()):
            if not take(data):
                return True
        return False

    def _private_data(self, take: TakeData) -> Steps[bool]:
        """The session is resumed from that of the control connection: some servers insist on it, so that nobody else can
        take the data. Raises SideLost."""
        assert self._context is not None
        assert self._session is not None
        session = Session(self._context, self.endpoint.name, self._session.resumable)
        try:
            yield from _shake_hands(session, OnSide)
            while True:
                if (plain := session.read()) and not take(plain):
                    return True
                if session.is_closed:
                    return False
                data = yield OnSide(session.take())
                if not data:
                    # Without a close_notify: only the last reply says whether it was whole.
                    return False
                session.receive(data)
        except Broken as broken:
            if broken.alert == CLOSE_NOTIFY:
                return False
            raise SideLost(Reason.TLS) from None


def _shake_hands(session: Session, out: type[bytes]) -> Steps[None]:
    """`out`: as what it is yielded. Raises Broken."""
    received = 0
    while not session.handshake():
        data = yield out(session.take())
        received += len(data)
        if not data or received > MAX_HANDSHAKE:
            raise Broken
        session.receive(data)


def _refused(reply: Reply) -> NoReturn:
    """There are no data connections."""
    raise Lost(Reason.AUTH if reply.code in (530, 532) else Reason.PROTOCOL)
