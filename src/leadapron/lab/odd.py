"""What else listens on a DICOM port: silence, another protocol, an echo, noise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MOST_READ = 1 << 20
"""Bytes after which an odd server hangs up: nobody talks to it for so long."""

HTTP_ANSWER = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read and say nothing."""
    await reader.read(MOST_READ)
    await reader.read(MOST_READ)
    writer.close()


async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer like a web server that was sent noise."""
    await reader.read(MOST_READ)
    writer.write(HTTP_ANSWER)
    await writer.drain()
    writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what came."""
    seen = 0
    while seen < MOST_READ and (data := await reader.read(65_536)):
        seen += len(data)
        writer.write(data)
        await writer.drain()
    writer.close()
