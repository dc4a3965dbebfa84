"""Connections of the deep stages: one socket, one conversation, every bound enforced here.

`TCP_QUICKACK` after each read: Nagle on the peer's side meets delayed ACK on ours, and each C-ECHO would cost 44 ms.

The event loop gets its turn after each read, also where more is there already: a peer that floods neither outlives its
deadline nor holds up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from typing import TypeVar

from leadapron.errors import OutOfScope
from leadapron.model import Attempt, Endpoint, Reason
from leadapron.net.backoff import Backoff
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost, Question

T = TypeVar("T")

READ_SIZE = 256 << 10

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


class Line:
    """One open connection, and a way to cut it from outside."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._socket: socket.socket | None = None
        self._received = 0
        self._cut: Reason | None = None
        self._backoff = Backoff()

    def cut(self, reason: Reason) -> None:
        """End the connection now; the conversation is told `reason`."""
        self._cut = reason
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    async def open(self, endpoint: Endpoint) -> None:
        """Raises Lost."""
        family = socket.AF_INET6 if endpoint.address.version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
            raise Lost(self._cut or _reason(error)) from None
        if is_question:
            self._backoff.answered(time.monotonic() - asked)
        self._received += len(data)
        if self._received > self._limits.max_received:
            raise Lost(Reason.LIMIT)
        if not data:
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
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _reason(error: OSError | TimeoutError) -> Reason:
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return _REASONS.get(error.errno or 0, Reason.RESET)


async def hold(conversation: Conversation[T], endpoint: Endpoint, line: Line, limits: Limits) -> Attempt[T]:
    """Carry one conversation over one connection, to its end or to the deadline."""
    try:
        sending = next(conversation)
        try:
            async with asyncio.timeout(limits.deadline) as deadline:
                await line.open(endpoint)
                while True:
                    sending = conversation.send(await line.exchange(sending))
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


def _end(conversation: Conversation[T], lost: Lost, line: Line) -> Attempt[T]:
    """Tell the conversation, which returns; before that it may say farewell."""
    while True:
        line.say(conversation.throw(lost))
