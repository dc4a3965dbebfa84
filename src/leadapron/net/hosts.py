"""One connection at a time per host, whichever stage makes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable

from leadapron.model import Address

Turn = Callable[[], bool]
"""Called when the host is free for who waits: whether it takes its turn."""


class Hosts:
    """Which hosts have a connection, and who waits for each, first come, first served."""

    def __init__(self) -> None:
        self._busy: dict[int, deque[Turn] | None] = {}
        """an IPv4 address, or the complement of an IPv6 one"""

    def take(self, address: int, version: int) -> bool:
        """The host is busy from here to `release`; False where it is already."""
        host = address if version == 4 else ~address
        if host in self._busy:
            return False
        self._busy[host] = None
        return True

    def wait(self, address: int, version: int, turn: Turn) -> None:
        """For a host that is busy."""
        host = address if version == 4 else ~address
        if (behind := self._busy[host]) is None:
            behind = self._busy[host] = deque()
        behind.append(turn)

    def release(self, address: int, version: int) -> None:
        """To the first that waits and takes its turn; the host stays busy for that one."""
        host = address if version == 4 else ~address
        behind = self._busy[host]
        while behind:
            if behind.popleft()():
                return
        del self._busy[host]

    @contextlib.asynccontextmanager
    async def held(self, address: Address) -> AsyncIterator[None]:
        """The host, for as long as the context is."""
        place = int(address), address.version
        if not self.take(*place):
            await self._turn(*place)
        try:
            yield
        finally:
            self.release(*place)

    async def _turn(self, address: int, version: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def taken() -> bool:
            if turn.done():  # cancelled while it waited
                return False
            turn.set_result(None)
            return True

        self.wait(address, version, taken)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given its turn, and will not use it
                self.release(address, version)
            raise
