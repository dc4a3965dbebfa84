"""Connections of the deep stages: one conversation, on one socket and at most a second one beside it, every bound
enforced here.

`TCP_QUICKACK` after each read: Nagle on the peer's side meets delayed ACK on ours, and each C-ECHO would cost 44 ms.

The event loop gets its turn after each read, also where more is there already: a peer that floods neither outlives its
deadline nor holds up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
import time
from collections.abc import Iterator
from typing import Protocol, TypeVar

from leadapron.errors import OutOfScope
from leadapron.model import Attempt, Endpoint, Reason
from leadapron.net.backoff import Backoff
from leadapron.net.conversation import (
    CloseSide,
    Conversation,
    LastWords,
    Limits,
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

T = TypeVar("T")

READ_SIZE = 256 << 10

_HUNG_UP = (ConnectionResetError, BrokenPipeError)

_REASONS = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.LIMIT,
    errno.EMFILE: Reason.LIMIT,
}


LOW_PORTS = range(600, 1024)
"""Of ours: below are those of well-known services."""
_LOW_PORT_TRIES = 8


class Ways(Protocol):
    """What a conversation may open behind its first connection. Each is asked right before the dial; raises Lost."""

    async def again(self) -> None:
        """To the same endpoint."""
        ...

    def beside(self, port: int) -> contextlib.AbstractAsyncContextManager[None]:
        """To another port of the same address, for as long as the context is held."""
        ...


class _Nowhere:
    """Nothing behind the first connection."""

    async def again(self) -> None:
        raise Lost(Reason.OUT_OF_SCOPE)

    def beside(self, port: int) -> contextlib.AbstractAsyncContextManager[None]:  # noqa: ARG002
        raise Lost(Reason.OUT_OF_SCOPE)


class Line:
    """One open connection, with its second one, and a way to cut both from outside."""

    def __init__(self, limits: Limits, before: Line | None = None) -> None:
        """`before`: the first connection, whose allowance this one shares."""
        self._limits = limits
        self._socket: socket.socket | None = None
        self._allowance: list[int] = [0] if before is None else before.allowance
        self._cut: Reason | None = None
        self._backoff = Backoff()
        self._side: Line | None = None

    def cut(self, reason: Reason) -> None:
        """End the connection now; the conversation is told `reason`."""
        self._cut = reason
        if self._side is not None:
            self._side.cut(reason)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def allowance(self) -> list[int]:
        """Its one item: bytes that were received."""
        return self._allowance

    @property
    def is_cut(self) -> bool:
        return self._cut is not None

    @property
    def side(self) -> Line:
        """Raises SideLost."""
        if self._side is None:
            raise SideLost(Reason.RESET)
        return self._side

    async def open_side(self, endpoint: Endpoint) -> None:
        """In place of an earlier one. Raises Lost."""
        self.close_side()
        self._side = Line(self._limits, self)
        if self._cut is not None:
            raise Lost(self._cut)
        await self._side.open(endpoint)

    def close_side(self) -> None:
        if self._side is not None:
            self._side.close()
            self._side = None

    async def open(self, endpoint: Endpoint) -> None:
        """Raises Lost."""
        if self._cut is not None:
            raise Lost(self._cut)
        family = socket.AF_INET6 if endpoint.address.version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._limits.low_port:
            _bind_low(self._socket)
        try:
            async with asyncio.timeout(self._limits.connect_timeout):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(self._socket, (str(endpoint.address), endpoint.port))
        except OutOfScope:
            raise Lost(Reason.OUT_OF_SCOPE) from None
        except (OSError, TimeoutError) as error:
            raise Lost(self._cut or _reason(error)) from None
        self._acknowledge()

    async def exchange(self, sending: bytes) -> bytes:
        """Write `sending`, then wait for the next bytes. Raises Lost."""
        is_question = isinstance(sending, Question)
        if is_question and self._backoff.pause:
            await asyncio.sleep(self._backoff.pause)
        asked = time.monotonic()
        try:
            data = await self._send_and_receive(sending)
        except (OSError, TimeoutError) as error:
            if not (isinstance(sending, Request | More) and isinstance(error, _HUNG_UP)) or self._cut:
                raise Lost(self._cut or _reason(error)) from None
            data = b""
        if is_question:
            self._backoff.answered(time.monotonic() - asked)
        self._allowance[0] += len(data)
        if self._allowance[0] > self._limits.max_received:
            raise Lost(Reason.LIMIT)
        if not data and (self._cut or not isinstance(sending, OnSide | MayEnd)):
            raise Lost(self._cut or Reason.RESET)
        return data

    async def _send_and_receive(self, sending: bytes) -> bytes:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._limits.idle_timeout):
            if sending:
                await loop.sock_sendall(self._socket, sending)
            if isinstance(sending, LastWords):
                raise Lost(Reason.RESET)
            data = await loop.sock_recv(self._socket, READ_SIZE)
        self._acknowledge()
        await asyncio.sleep(0)
        return data

    def say(self, words: bytes) -> None:
        """Say something and do not mind whether it arrives."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(words)

    def _acknowledge(self) -> None:
        assert self._socket is not None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        self.close_side()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _bind_low(sock: socket.socket) -> None:
    """Without one where we may not have it, or none is free."""
    nowhere = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - the source of a connection, no listener
    for port in random.sample(LOW_PORTS, _LOW_PORT_TRIES):
        try:
            sock.bind((nowhere, port))
        except PermissionError:
            return
        except OSError:
            continue
        return


def _reason(error: OSError | TimeoutError) -> Reason:
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return _REASONS.get(error.errno or 0, Reason.RESET)


async def hold(
    conversation: Conversation[T], endpoint: Endpoint, line: Line, limits: Limits, ways: Ways | None = None
) -> Attempt[T]:
    """Carry one conversation over its connections, to its end or to the deadline."""
    held = contextlib.AsyncExitStack()
    try:
        sending = next(conversation)
        try:
            async with asyncio.timeout(limits.deadline) as deadline, held:
                await line.open(endpoint)
                while True:
                    try:
                        data = await _answer(sending, endpoint, line, ways or _Nowhere(), held)
                    except SideLost as lost:
                        sending = conversation.throw(lost)
                    else:
                        sending = conversation.send(data)
        except TimeoutError:
            if not deadline.expired():
                raise
            return _end(conversation, Lost(Reason.TIMEOUT), line)
        except Lost as lost:
            return _end(conversation, lost, line)
    except StopIteration as stop:
        result: Attempt[T] = stop.value
        return result
    finally:
        line.close()
        conversation.close()


async def _answer(sending: bytes, endpoint: Endpoint, line: Line, ways: Ways, held: contextlib.AsyncExitStack) -> bytes:
    """Do what is yielded; the bytes that came of it. Raises Lost, SideLost. `held`: until the second connection ends."""
    if isinstance(sending, Redial):
        line.close()
        await held.aclose()
        await ways.again()
        await line.open(endpoint)
        return await line.exchange(sending)
    if isinstance(sending, OpenSide | CloseSide):
        line.close_side()
        await held.aclose()
        if isinstance(sending, OpenSide):
            with _of_the_side(line):
                await held.enter_async_context(ways.beside(sending.port))
                await line.open_side(Endpoint(address=endpoint.address, port=sending.port))
        return b""
    if isinstance(sending, OnSide):
        with _of_the_side(line):
            return await line.side.exchange(sending)
    return await line.exchange(sending)


@contextlib.contextmanager
def _of_the_side(line: Line) -> Iterator[None]:
    """What is lost is the second connection only, unless all was cut, or the allowance of both is used up."""
    try:
        yield
    except Lost as lost:
        line.close_side()
        if lost.reason in (Reason.STOPPED, Reason.LIMIT) or line.is_cut:
            raise
        raise SideLost(lost.reason) from None


def _end(conversation: Conversation[T], lost: Lost, line: Line) -> Attempt[T]:
    """Tell the conversation, which returns; before that it may say farewell."""
    while True:
        line.say(conversation.throw(lost))
