"""Servers for a test, in a thread of their own, of which nothing is left when the test has ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import ip_address

from leadapron.model import Endpoint

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def listening(serve: Serve, count: int = 1, places: Sequence[tuple[str, int]] = ()) -> Iterator[list[Endpoint]]:
    """`count` listeners on loopback addresses, or those `places`; at the end every connection that stands is cut."""
    places = places or [(f"127.88.{number // 250}.{number % 250 + 1}", 0) for number in range(count)]
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(place, backlog=256)) for place in places]
        loop, end = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=_run, args=(loop, _serve(serve, sockets, end)))
        thread.start()
        try:
            names = [each.getsockname() for each in sockets]
            yield [Endpoint(address=ip_address(address), port=port) for address, port in names]
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join()


def _run(loop: asyncio.AbstractEventLoop, main: Awaitable[None]) -> None:
    loop.run_until_complete(main)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _serve(serve: Serve, sockets: list[socket.socket], end: asyncio.Event) -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):  # also of a handshake of TLS that came to nothing
                await writer.wait_closed()
        writer.transport.abort()
        tasks.discard(task)

    servers = [await asyncio.start_server(connection, sock=each) for each in sockets]
    await end.wait()
    for server in servers:
        server.close()
    while tasks:  # a connection may be accepted in the very turn in which the server closes
        standing = list(tasks)
        for task in standing:
            task.cancel()
        await asyncio.gather(*standing)
    await asyncio.sleep(0.01)  # for transports to call back that they are lost
