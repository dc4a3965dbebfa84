"""A conversation without a network: a server is a function from what was sent on a connection to what it answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from leadapron.model import Reason
from leadapron.net.conversation import LastWords, Lost, MayEnd, Redial

T = TypeVar("T")

Server = Callable[[bytes], tuple[bytes, bool]]
"""What was sent in one go, to the bytes that come back and whether the connection stands behind them."""


def converse(steps: Generator[bytes, bytes, T], server: Server, *, piece: int = 1 << 16) -> tuple[T, int]:
    """What `steps` return, and over how many connections. The answer comes in pieces of so many bytes."""
    connections, waiting, stands = 1, b"", True
    try:
        sending = next(steps)
        while True:
            if isinstance(sending, Redial):
                connections, waiting, stands = connections + 1, b"", True
            if sending and stands:
                came, stands = server(bytes(sending))
                waiting += came
            if isinstance(sending, LastWords):
                sending = steps.throw(Lost(Reason.RESET))
                continue
            data, waiting = waiting[:piece], waiting[piece:]
            if data or isinstance(sending, MayEnd):
                assert data or not stands, "the client waits for ever"
                sending = steps.send(data)
            else:
                sending = steps.throw(Lost(Reason.RESET if not stands else Reason.TIMEOUT))
    except StopIteration as stop:
        return stop.value, connections
