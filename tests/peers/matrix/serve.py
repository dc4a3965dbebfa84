"""The hostile servers of a door, each at an address: `python -m matrix.serve DOOR PORT READY`. At READY somebody listens
once all do."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys

from matrix.cells import Hostile


def address_of(number: int) -> str:
    """Of the n-th one of a door. One each, since a host is asked one question at a time."""
    return f"127.66.0.{number + 1}"


async def _host(each: Hostile, address: str, port: int) -> None:
    serve = each.serve()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    await asyncio.start_server(connection, address, port)


async def _main(door: str, port: int, ready: int) -> None:
    hostile: list[Hostile] = importlib.import_module(f"matrix.{door}").HOSTILE
    for number, each in enumerate(hostile):
        await _host(each, address_of(number), port)
    await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", ready)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
