"""What a protocol hands to the network: a conversation that never sees a socket.

A conversation is a generator. It yields the bytes to send and is resumed with the bytes that came; what it returns is
the attempt's outcome. When the connection ends first, `Lost` is thrown into it, so that it can return what it knows.

    def converse() -> Conversation[int]:
        answer = yield b"HELLO"
        return Completed(result=len(answer))
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from leadapron.model import Attempt, Depth, Endpoint, Reason

T = TypeVar("T")

Conversation = Generator[bytes, bytes, Attempt[T]]
Steps = Generator[bytes, bytes, T]
"""A part of a conversation."""


class Lost(Exception):  # noqa: N818 - thrown into conversations; an event, not an error of ours
    """The connection is over before the conversation: `reason` is refused, reset, timeout, unreachable, limit, stopped
    or out_of_scope."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Question(bytes):
    """Yielded instead of bytes where they make the peer work: how long it takes to answer decides when the next goes."""

    __slots__ = ()


class LastWords(bytes):
    """Yielded instead of bytes: they are sent, nothing is waited for, and `Lost(reset)` is thrown."""


class MayEnd(bytes):
    """Yielded instead of bytes: where the peer ends the connection now, in order, that is an answer: b"". What follows can
    only be `Redial`, or the end. A connection that breaks is lost all the same."""

    __slots__ = ()


class Request(Question, MayEnd):
    """A question in place of whose answer the peer may end the connection, also with a reset: it may have done so before it
    heard of it."""

    __slots__ = ()


class More(MayEnd):
    """Yielded instead of bytes: further requests while answers to earlier ones are on their way. The peer may end the
    connection in place of those, also with a reset."""

    __slots__ = ()


class Redial(Request):
    """Yielded instead of bytes where the peer closed the connection and there is more to ask: the endpoint is dialled
    anew, with the gate, the gap and the pace in between, and the bytes are sent there."""

    __slots__ = ()


class OpenSide(bytes):
    """Yielded instead of bytes: a second connection is opened, to another port of the same address, beside the first or
    in place of an earlier second one. Resumed with b"" once it is open. `SideLost` is thrown where it is not."""

    port: int

    @classmethod
    def to(cls, port: int) -> OpenSide:
        opening = cls()
        opening.port = port
        return opening


class OnSide(bytes):
    """Yielded instead of bytes: they are sent on the second connection. Resumed with the next bytes from there, with b""
    where it ended. `SideLost` is thrown where it broke."""


class CloseSide(bytes):
    """Yielded instead of bytes: the second connection is closed, if there is one. Resumed with b""."""


class SideLost(Exception):  # noqa: N818 - an event, not an error of ours
    """The second connection could not be had, or broke: `reason` as of `Lost`. The first one stands."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one connection. Seconds and bytes."""

    connect_timeout: float = 5.0
    idle_timeout: float = 15.0
    """longest wait for the next bytes"""
    deadline: float = 60.0
    """from the first packet to the last"""
    max_received: int = 64 << 20
    """over all connections of the job"""
    low_port: bool = False
    """from one of our ports below 1024, where we may have one: some servers listen to no other (NFS)"""


class Job(Protocol[T]):
    """One connection's worth of work. Picklable; `name` is unique for its endpoint and protocol within a run."""

    @property
    def name(self) -> str: ...
    @property
    def endpoint(self) -> Endpoint: ...
    @property
    def depth(self) -> Depth: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def delay(self) -> float:
        """Seconds to wait before connecting (a retry after a transient rejection)."""
        ...

    @property
    def in_clear(self) -> bool:
        """Whether who listens on the way can read what is said."""
        ...

    def converse(self) -> Conversation[T]: ...
