"""The listeners of the estate: loopback only, one port for all, and nothing left of them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Collection, Mapping
from ipaddress import ip_address

from leadapron.errors import InputError
from leadapron.lab.odd import Serve

TRIES = 50
BACKLOG = 1024


@contextlib.asynccontextmanager
async def listening(serves: Mapping[str, Serve]) -> AsyncIterator[int]:
    """Listen on each address, all on one port, which is yielded. In the end every connection that stands is cut.

    Raises InputError for what is no address of loopback, before anything listens, and where no port is free.
    """
    for address in serves:
        expect_loopback(address)
    connections: set[asyncio.Task[None]] = set()
    port, servers = await _start({address: _tracked(serve, connections) for address, serve in serves.items()})
    try:
        yield port
    finally:
        await _end(servers, connections)


def free_port(addresses: Collection[str]) -> int:
    """A port on which nothing listens at any of the addresses, at this moment. Raises InputError like `listening`."""
    for address in addresses:
        expect_loopback(address)
    for _ in range(TRIES):
        with contextlib.ExitStack() as stack:
            port = 0
            try:
                for address in addresses:
                    probe = stack.enter_context(socket.socket(_family(address)))
                    probe.bind((address, port))
                    port = probe.getsockname()[1]
            except OSError:
                continue
            return port
    raise InputError("no port is free on all addresses of the demo estate; try again later")


async def _start(serves: Mapping[str, Serve]) -> tuple[int, list[asyncio.Server]]:
    for _ in range(TRIES):
        port = free_port(list(serves))
        servers: list[asyncio.Server] = []
        try:
            for address, serve in serves.items():
                servers.append(await asyncio.start_server(serve, address, port, backlog=BACKLOG))
        except OSError:  # somebody else was faster
            for server in servers:
                server.close()
        else:
            return port, servers
    raise InputError("no port stays free on all addresses of the demo estate; try again later")


async def _end(servers: Collection[asyncio.Server], connections: Collection[asyncio.Task[None]]) -> None:
    """Accept no more, let what was accepted reach its server, then cut it."""
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    await _turns()
    for server in servers:
        server.close()
    for task in list(connections):
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await _turns()


async def _turns() -> None:
    """From accept() to the server's first step, and from abort() to a closed socket, the loop takes three turns."""
    for _ in range(5):
        await asyncio.sleep(0)


def _tracked(serve: Serve, connections: set[asyncio.Task[None]]) -> Serve:
    @functools.wraps(serve)
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            connections.discard(task)

    return connection


def expect_loopback(address: str) -> None:
    try:
        is_loopback = ip_address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise InputError("the demo estate listens on addresses of loopback only")


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
