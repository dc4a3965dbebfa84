"""A web server without a network that answers request by request, in pieces, for as long as somebody reads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from leadapron.net.conversation import MayEnd, Redial

T = TypeVar("T")

Serve = Callable[[bytes, bytes], Iterable[bytes]]
"""Method and target of a request, to the pieces of its answer."""


def response(body: bytes, status: int = 200, *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *fields, b"", body])


def endless(*fields: bytes) -> bytes:
    """The head of an answer that ends with the connection."""
    return b"\r\n".join([b"HTTP/1.1 200 x", *fields, b"", b""])


def streamed(steps: Generator[bytes, bytes, T], serve: Serve, *, piece: int = 1 << 16) -> tuple[T, list[bytes]]:
    """What `steps` return, and the targets that were asked for. No piece is longer than so many bytes."""
    asked: list[bytes] = []
    waiting: Iterator[bytes] = iter(())
    try:
        sending = next(steps)
        while True:
            if isinstance(sending, Redial):
                waiting = iter(())
            if sending:
                waiting = _more(waiting, _answers(sending, serve, asked), piece)
            data = next(waiting, b"")
            assert data or isinstance(sending, MayEnd), "the client waits for ever"
            sending = steps.send(data)
    except StopIteration as stop:
        return stop.value, asked


def _answers(sending: bytes, serve: Serve, asked: list[bytes]) -> Iterator[bytes]:
    for head in sending.split(b"\r\n\r\n"):
        line = head.split(b"\r\n", 1)[0].split(b" ")
        if len(line) == 3 and line[2] == b"HTTP/1.1":
            asked.append(line[1])
            yield from serve(line[0], line[1])


def _more(waiting: Iterator[bytes], answers: Iterator[bytes], piece: int) -> Iterator[bytes]:
    for source in (waiting, answers):
        for data in source:
            for start in range(0, len(data), piece):
                yield data[start : start + piece]
