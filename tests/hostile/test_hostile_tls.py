"""Peers that harm who speaks TLS with them, over real sockets: each attempt ends within its deadline, with a reason."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest

from leadapron.model import Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Limits, Lost
from leadapron.net.dialer import Line, hold
from leadapron.protocols.tls.handshake import Handshaking
from leadapron.protocols.tls.names import ContentType, Version
from leadapron.protocols.tls.offers import ALL_CLASSES, Offer, offered
from leadapron.protocols.tls.session import client_context
from leadapron.protocols.tls.through import through
from leadapron.protocols.tls.wire import Alert, Record, ServerHello
from listening import Serve, listening

LIMITS = Limits(connect_timeout=2, idle_timeout=1, deadline=2, max_received=1 << 20)
CHOICE = Record(
    type=ContentType.HANDSHAKE,
    version=Version.TLS_1_2,
    fragment=ServerHello(version=Version.TLS_1_2, suite=0xC02F).encode(),
).encode()


def inner() -> Conversation[bytes]:
    try:
        return Completed(result=(yield b"hello"))
    except Lost as lost:
        return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)


def _offered(_: Endpoint) -> Conversation[Any]:
    return offered(Offer(highest=Version.TLS_1_3, classes=ALL_CLASSES))


def _handshake(here: Endpoint) -> Conversation[Any]:
    return Handshaking(name="handshake", endpoint=here, now=dt.datetime.now(dt.UTC)).converse()


def _through(_: Endpoint) -> Conversation[Any]:
    return through(inner(), client_context())


CONVERSATIONS = {"offer": _offered, "handshake": _handshake, "through": _through}


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A record of 16 KiB, a byte in a while."""
    for byte in b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc" + bytes(16_380):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
        await writer.drain()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A ServerHello, and then a message of 16 MB in records that are whole."""
    writer.write(CHOICE)
    piece = Record(type=ContentType.HANDSHAKE, version=0x0303, fragment=b"\x0b\xff\xff\xff" + bytes(16_000)).encode()
    while True:
        writer.write(piece)
        await writer.drain()


async def warnings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(Alert(level=1, description=112).encode() * 100)
        await writer.drain()


def says(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(data)
        await writer.drain()
        await reader.read()

    return serve


HOSTS: dict[str, tuple[Serve, frozenset[Reason]]] = {
    "silence": (silence, frozenset({Reason.TIMEOUT})),
    "drip": (drip, frozenset({Reason.TIMEOUT})),
    "echo": (echo, frozenset({Reason.PROTOCOL, Reason.TLS})),
    "flood": (flood, frozenset({Reason.LIMIT, Reason.TLS})),
    "warnings": (warnings, frozenset({Reason.LIMIT, Reason.TLS})),
    "a record of 64 KiB": (says(b"\x16\x03\x03\xff\xff"), frozenset({Reason.LIMIT, Reason.TLS})),
    "a PDU of 4 GB": (says(b"\x02\x00\xff\xff\xff\xff"), frozenset({Reason.PROTOCOL, Reason.TLS})),
    "HTTP": (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), frozenset({Reason.PROTOCOL, Reason.TLS})),
    "an A-ABORT": (says(b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00"), frozenset({Reason.PROTOCOL, Reason.TLS})),
    "an alert first": (says(Alert(level=2, description=70).encode() + CHOICE), frozenset({Reason.TLS})),
}


@pytest.mark.parametrize("made", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("name", HOSTS)
def test_it_ends_within_its_deadline_and_says_why(name: str, made: Callable[[Endpoint], Conversation[Any]]) -> None:
    serve, reasons = HOSTS[name]
    with listening(serve) as (here,):
        begun = time.monotonic()
        attempt = asyncio.run(hold(made(here), here, Line(LIMITS), LIMITS))
        took = time.monotonic() - begun
    assert took < LIMITS.deadline + 1
    if made is _offered and name in ("flood", "an alert first"):
        assert isinstance(attempt, Completed)  # the first message is the whole answer
        return
    assert isinstance(attempt, Failed)
    assert attempt.stage is Stage.TLS
    assert attempt.reason in reasons
