"""The other end of our way out: answers a challenge of `leadapron.net.challenge`, and nothing else.

Bounded in everything: bytes and seconds of a connection, connections at once and in all, and the time that it listens.
It never dials, relays nothing, says nothing unasked, and keeps counts only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leadapron.errors import InputError, WireError
from leadapron.net import challenge

CONNECTION_SECONDS = 5.0
AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How connections ended. `refused` sent anything but a challenge with our token, `silent` less than one."""

    connections: int
    proven: int
    refused: int
    silent: int


class Listener:
    """Listens once. `count` is of connections in all; `proven` or not."""

    def __init__(self, token: bytes, *, count: int, seconds: float) -> None:
        self._token, self._count, self._seconds = token, count, seconds
        self._counts: Counter[str] = Counter()
        self._open: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()

    def end(self) -> None:
        """Listen no more (from the event loop)."""
        self._end.set()

    async def listen(self, address: str, ports: Sequence[int], on_ready: Callable[[list[int]], object]) -> Tally:
        """Until the count or the time is used up. `on_ready` hears the ports. Raises InputError when one is taken."""
        async with contextlib.AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(await self._start(address, port)) for port in ports]
            on_ready([server.sockets[0].getsockname()[1] for server in servers])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), self._seconds)
            for server in servers:
                server.close()
            await self._finish()
        return Tally(
            connections=self._counts.total(),
            proven=self._counts["proven"],
            refused=self._counts["refused"],
            silent=self._counts["silent"],
        )

    async def _start(self, address: str, port: int) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._serve, address, port, limit=challenge.ASK_SIZE * 2)
        except OSError as error:
            raise InputError(f"{address} port {port}: cannot listen: {os.strerror(error.errno or 0)}") from None

    async def _finish(self) -> None:
        """What is accepted already comes to its own end, which is near."""
        if self._open:
            await asyncio.wait(self._open, timeout=CONNECTION_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._end.is_set() or len(self._open) >= AT_ONCE:
            self._conclude("refused", writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        ended = "silent"
        try:
            async with asyncio.timeout(CONNECTION_SECONDS):
                ended = await self._answer(reader, writer)
        except (TimeoutError, OSError):
            pass
        finally:
            self._open.discard(task)
            self._conclude(ended, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """How the connection ended."""
        received = b""
        while len(received) < challenge.ASK_SIZE:
            if not (more := await reader.read(challenge.ASK_SIZE + 1)):
                return "silent"
            received += more
            if not challenge.may_become_ask(received):
                return "refused"
        try:
            writer.write(challenge.answer(self._token, received))
        except WireError:
            return "refused"
        writer.write_eof()
        await writer.drain()
        await reader.read(1)  # the scanner closes first: what it did not read yet is not lost
        return "proven"

    def _conclude(self, ended: str, writer: asyncio.StreamWriter) -> None:
        self._counts[ended] += 1
        if self._counts.total() >= self._count:
            self._end.set()
        writer.transport.abort()
