from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from leadapron.errors import WireError
from leadapron.model import Address, Endpoint, Reason
from leadapron.net import challenge, way_out
from leadapron.net.way_out import TRIES, failure
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import armed
from listening import listening
from scope_file import write_scope

TOKEN = b"a token of a test"
HERE: list[Address] = [ip_address("127.0.0.1")]


class Host:
    """Answers from the `first` connection on, with the token; before that, and without one, hangs up."""

    def __init__(self, token: bytes = TOKEN, first: int = 1) -> None:
        self.token, self.first, self.connections = token, first, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        asked = await reader.readexactly(challenge.ASK_SIZE)
        if self.connections >= self.first:
            try:
                writer.write(challenge.answer(self.token, asked))
            except WireError:
                return


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(challenge.ASK_SIZE))


async def deaf(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.sleep(60)


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"L")
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_out, "TIMEOUT", 0.4)


def asked(endpoint: Endpoint, *before: Address) -> Reason | None:
    return failure([*before, endpoint.address], endpoint.port, TOKEN, pause=0.01)


@pytest.mark.parametrize("first", [1, TRIES])
def test_a_listener_with_our_token_is_a_proof_if_need_be_at_the_last_try(first: int) -> None:
    host = Host(first=first)
    with listening(host.serve) as (endpoint,):
        assert asked(endpoint) is None
    assert host.connections == first


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (Host(b"another token, of a test").serve, Reason.RESET),
        (echo, Reason.PROTOCOL),
        (trickle, Reason.TIMEOUT),
        (deaf, Reason.TIMEOUT),
    ],
    ids=["another token", "echo", "trickle", "deaf"],
)
def test_whoever_else_accepts_is_none(serve: object, reason: Reason) -> None:
    with listening(serve) as (endpoint,):  # type: ignore[arg-type]
        assert asked(endpoint) is reason


@pytest.fixture
def closed() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_closed_port_refuses_and_a_name_without_address_is_empty(closed: int) -> None:
    assert failure(HERE, closed, TOKEN, pause=0.01) is Reason.REFUSED
    assert failure([], closed, TOKEN) is Reason.EMPTY


def test_one_address_of_several_is_enough() -> None:
    with listening(Host().serve) as (endpoint,):
        assert asked(endpoint, ip_address("127.88.9.9")) is None


def test_the_gate_is_asked_and_its_denial_is_no_blocked_way(tmp_path: Path, closed: int) -> None:
    scope = load_scope(write_scope(tmp_path / "scope.toml", networks=["127.88.0.1/32"], ports=[104]))
    with armed(Gate(scope)):
        assert failure(HERE, closed, TOKEN) is Reason.OUT_OF_SCOPE
