"""The estate listens on loopback only, on one port, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from lab_client import HERE, associated, serving

from leadapron.errors import InputError
from leadapron.lab import odd
from leadapron.lab.listen import free_port, listening
from leadapron.lab.server import Behaviour, Server

ELSEWHERE = ["0.0.0.0", "::", "192.0.2.1", "198.18.0.1", "10.0.0.1", "2001:db8::1", "fe80::1", "localhost", "", "*"]


def refuse_to_listen(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[object] = []
    monkeypatch.setattr(socket.socket, "bind", lambda self, where: bound.append(where))

    async def listen() -> None:
        async with listening(dict.fromkeys(addresses, odd.silent)):
            raise AssertionError("it listens")

    with pytest.raises(InputError, match="loopback only"):
        asyncio.run(listen())
    with pytest.raises(InputError, match="loopback only"):
        free_port(addresses)
    assert bound == []


@pytest.mark.parametrize("address", ELSEWHERE)
def test_what_is_not_loopback_is_refused_before_anything_listens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_listen([address], monkeypatch)
    refuse_to_listen([HERE, address], monkeypatch)


def test_all_addresses_have_one_port_and_each_its_own_server() -> None:
    with serving({"127.77.21.1": Server(Behaviour()).serve, "127.77.21.2": odd.http}) as port:
        with associated(port, address="127.77.21.1") as association:
            assert association.is_established
        with socket.create_connection(("127.77.21.2", port), timeout=20) as peer:
            peer.sendall(b"x")
            assert peer.recv(4) == b"HTTP"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.77.21.3", port), timeout=20)


def test_loopback_of_ipv6_is_loopback() -> None:
    with serving({"::1": odd.http}) as port, socket.create_connection(("::1", port), timeout=20) as peer:
        peer.sendall(b"x")
        assert peer.recv(4) == b"HTTP"


def test_in_the_end_every_connection_is_cut_and_the_port_closed() -> None:
    with serving({HERE: odd.silent}) as port:
        peers = [socket.create_connection((HERE, port), timeout=20) for _ in range(20)]
        for peer in peers:
            peer.sendall(b"x")
    for peer in peers:
        with peer, contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, port), timeout=20)


def test_a_free_port_is_free_on_all_addresses() -> None:
    addresses = [f"127.77.21.{number}" for number in range(1, 6)]
    with serving({addresses[3]: odd.silent}) as taken:
        assert all(free_port(addresses) != taken for _ in range(30))


def test_where_no_port_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: socket.socket, where: object) -> None:
        raise OSError

    monkeypatch.setattr(socket.socket, "bind", full)
    with pytest.raises(InputError, match="no port is free"):
        free_port([HERE])
