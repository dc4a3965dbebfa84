"""What else listens on a DICOM port: silence, another protocol, an echo. Whoever hangs up on them is no error."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MOST_READ = 1 << 20
"""Bytes after which an odd server hangs up: nobody talks to it for so long."""

PIECE = 65_536

HTTP_ANSWER = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _until_hung_up(serve: Serve) -> Serve:
    """`serve`, which ends quietly when the peer has gone, and leaves no connection open."""

    @functools.wraps(serve)
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
        finally:
            writer.close()

    return served


@_until_hung_up
async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - says nothing
    """Read and say nothing, until the peer hangs up."""
    seen = 0
    while seen < MOST_READ and (data := await reader.read(PIECE)):
        seen += len(data)


@_until_hung_up
async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer like a web server that was sent noise."""
    if await reader.read(PIECE):
        writer.write(HTTP_ANSWER)
        await writer.drain()


@_until_hung_up
async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what came."""
    seen = 0
    while seen < MOST_READ and (data := await reader.read(PIECE)):
        seen += len(data)
        writer.write(data)
        await writer.drain()
