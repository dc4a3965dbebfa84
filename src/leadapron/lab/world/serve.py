"""The listeners of a world: one for each port, on every address that is local to the namespace."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Sequence

from leadapron.errors import InputError
from leadapron.lab.odd import Serve
from leadapron.lab.world.closed import expect_closed
from leadapron.lab.world.model import PORTS, World
from leadapron.lab.world.play import Players, reset

BACKLOG = 8192


class Front:
    """Takes connections, and hands each to who stands at the address that was called."""

    def __init__(self, players: Players) -> None:
        self._players = players
        self._open: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = writer.get_extra_info("sockname")[:2]
        player = self._players.at(address, port)
        self._players.asked["connections to nobody"] += player is None
        await self._served(player or reset, reader, writer)

    async def _served(self, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()
            self._open.discard(task)

    async def end(self) -> None:
        """Cut every connection that stands."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(
    world: World,
    *,
    address: str = "0.0.0.0",  # noqa: S104 - see expect_closed
    ports: Sequence[int] = PORTS,
) -> AsyncIterator[Players]:
    """Listen on all ports. Raises InputError where there is a way out, before anything listens, or a port is taken."""
    expect_closed()
    _allow_files()
    players = Players(world)
    front = Front(players)
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            try:
                server = await asyncio.start_server(front.connected, address, port, backlog=BACKLOG)
            except OSError as error:
                raise InputError(f"port {port}: {error.strerror}") from None
            stack.callback(server.close)
        try:
            yield players
        finally:
            await front.end()


def _allow_files() -> None:
    """As many open connections as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
