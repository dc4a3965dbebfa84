"""One connection to an rsync daemon, as a part of a conversation. What breaks the protocol is `Lost`."""

from __future__ import annotations

from collections.abc import Iterator

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import Lost, Steps
from leadapron.protocols.rsync import wire
from leadapron.protocols.rsync.wire import Answer, Greeting, Lines

SEED = 4
"""Bytes of the seed of checksums, which comes before the first frame."""


class Session:
    def __init__(self) -> None:
        self._lines = Lines()
        self.greeting = Greeting(protocol=0, has_digests=False)

    @property
    def protocol(self) -> int:
        return self.greeting.protocol

    def _line(self, sending: bytes | None = None) -> Steps[bytes]:
        """Send where there is something to send, and wait for a line. Raises Lost."""
        try:
            if sending is not None:
                self._lines.receive((yield sending))
            while (line := self._lines.next()) is None:
                self._lines.receive((yield b""))
        except WireError as error:
            raise Lost(_why(error)) from None
        return line

    def enter(self, opening: bytes = b"") -> Steps[Greeting]:
        """Wait for the greeting. `opening`: what opens the connection, if it is not the first one. Raises Lost."""
        line = yield from self._line(opening)
        try:
            self.greeting = wire.read_greeting(line)
        except WireError as error:
            raise Lost(_why(error)) from None
        return self.greeting

    def modules(self) -> Steps[Iterator[bytes]]:
        """Their names, as the server has them. Raises Lost."""
        names: dict[bytes, None] = {}
        line = yield from self._line(wire.our_greeting() + b"#list\n")
        for _ in range(wire.MAX_LINES):
            if wire.is_end_of_list(line):
                return iter(names)
            if wire.is_error(line):
                raise Lost(Reason.AUTH if wire.read_answer(line) is Answer.DENIED else Reason.PROTOCOL)
            if (name := wire.read_module(line)) is not None:
                names[name] = None
            line = yield from self._line()
        raise Lost(Reason.LIMIT)

    def choose(self, module: bytes) -> Steps[Answer]:
        """Raises Lost."""
        line = yield from self._line(wire.our_greeting() + module + b"\n")
        for _ in range(wire.MAX_LINES):
            try:
                answer = wire.read_answer(line)
            except WireError as error:
                raise Lost(_why(error)) from None
            if answer is not None:
                return answer
            line = yield from self._line()
        raise Lost(Reason.LIMIT)

    def begin(self, request: bytes) -> Steps[bytes]:
        """The first bytes of the multiplexed stream. Raises Lost."""
        data = self._lines.rest() + (yield request)
        while len(data) <= SEED:
            data += yield b""
        return data[SEED:]


def _why(error: WireError) -> Reason:
    return Reason.LIMIT if error.limit else Reason.PROTOCOL
