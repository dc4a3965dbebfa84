"""How servers of the tests are started for a cell, and how functions become servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from ipaddress import ip_address
from pathlib import Path

from file_doors import made_up_folder
from real_servers import Namespace

from leadapron.model import Endpoint
from listening import Serve
from matrix.cells import Start


def at(port: int) -> Endpoint:
    return Endpoint(address=ip_address("127.0.0.1"), port=port)


def serving(server: Callable[[Namespace, Path, Path], AbstractContextManager[int]]) -> Start:
    """Of a server of (namespace, its own folder, the folder that it serves): that of `made_up_folder`, made anew."""

    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        with server(inside, folder, made_up_folder(folder)) as port:
            yield at(port)

    return start


def answering(make: Callable[[], Callable[[bytes], bytes]]) -> Callable[[], Serve]:
    """A server for each connection that answers bytes with bytes."""

    def serving_all() -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answer = make()
            while data := await reader.read(1 << 16):
                writer.write(answer(data))
                await writer.drain()

        return serve

    return serving_all


def says_and_closes(data: bytes) -> Serve:
    """It hears one request, and says this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(data)
        await writer.drain()

    return serve


def hanging_up() -> Serve:
    """It hears one request, and closes."""
    return says_and_closes(b"")


def silent() -> Serve:
    """It takes what comes, and says nothing."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass

    return serve


def on_port(server: Callable[[Namespace, Path], AbstractContextManager[int]]) -> Start:
    """Of a server that says its port."""

    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        with server(inside, folder) as port:
            yield at(port)

    return start


def taking(make: Callable[[], Callable[[bytes], tuple[bytes, bool]]]) -> Callable[[], Serve]:
    """A function from one request to its answer, and whether the connection stays, as a server of HTTP/1.1."""

    def each() -> Callable[[bytes], bytes]:
        answer = make()
        return lambda sent: b"".join(answer(request)[0] for request in sent.split(b"\r\n\r\n")[:-1])

    return answering(each)


Web = Callable[[bytes, bytes], Iterable[bytes]]
"""Method and target of a request, to the pieces of its answer; one without an end goes on while somebody reads."""


def web(make: Callable[[], Web]) -> Callable[[], Serve]:
    """A server of HTTP/1.1, for requests without a body."""

    def serving_all() -> Serve:
        answer = make()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
                for piece in answer(method, target):
                    writer.write(piece)
                    await writer.drain()

        return serve

    return serving_all


def response(body: bytes, status: int = 200, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *fields, b"", body])


def without_end(first: bytes, pieces: Iterable[bytes], *fields: bytes, status: int = 200) -> Iterator[bytes]:
    """An answer that ends with the connection, and does not."""
    yield b"\r\n".join([b"HTTP/1.1 %d x" % status, *fields, b"", first])
    yield from pieces
