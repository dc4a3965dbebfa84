"""Direct TCP transport ([MS-SMB2] 2.1): four bytes before each message, a zero and its length."""

from __future__ import annotations

from leadapron.errors import WireError

PREFIX = 4
MAX_MESSAGE = 2 << 20
"""Bytes. We never ask for more than 1 MiB in one chain."""


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(PREFIX, "big") + message


class Frames:
    """What came goes in by `feed`, whole messages come out by `take`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> bytes | None:
        """The next whole message; None where more bytes are needed. Raises WireError as soon as the prefix shows it."""
        if self._buffer and self._buffer[0] != 0:
            raise WireError("no direct TCP transport packet")
        if len(self._buffer) < PREFIX:
            return None
        end = PREFIX + int.from_bytes(self._buffer[:PREFIX], "big")
        if end > PREFIX + MAX_MESSAGE:
            raise WireError("a message longer than all that was asked for")
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[PREFIX:end])
        del self._buffer[:end]
        return message

    @property
    def is_empty(self) -> bool:
        return not self._buffer
