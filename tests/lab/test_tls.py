"""TLS around a server of the lab, as OpenSSL's client side in Python sees it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest

from leadapron.lab import tls
from leadapron.model import Endpoint
from listening import listening

PAIR, PEER = tls.made_up("pacs.example"), tls.made_up("peer.example")


async def doubled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data * 2)
        await writer.drain()


def client() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=PAIR.certificate.decode())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening(tls.inside(doubled, tls.server_context(PAIR))) as (here,):
        yield here


def test_what_is_said_inside_is_heard_and_the_name_is_right(endpoint: Endpoint) -> None:
    with (
        socket.create_connection((str(endpoint.address), endpoint.port), timeout=20) as raw,
        client().wrap_socket(raw, server_hostname="pacs.example") as inside,
    ):
        inside.sendall(b"a" * 90_000)
        heard = b""
        while len(heard) < 180_000:
            heard += inside.recv(65_536)
        assert heard == b"a" * 180_000
        assert inside.version() == "TLSv1.3"


def test_who_speaks_no_tls_is_hung_up_on_and_nothing_is_served(endpoint: Endpoint) -> None:
    with socket.create_connection((str(endpoint.address), endpoint.port), timeout=20) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        heard = b"".join(iter(lambda: raw.recv(100), b""))
    assert heard[:1] in (b"", b"\x15")  # an alert, if anything
    assert b"GET" not in heard


@pytest.mark.parametrize("says_why", [True, False])
def test_who_has_no_certificate_is_refused(says_why: bool) -> None:
    context = tls.server_context(PAIR, trusts=PEER.certificate)
    with (
        listening(tls.inside(doubled, context, says_why=says_why)) as (here,),
        socket.create_connection((str(here.address), here.port), timeout=20) as raw,
        client().wrap_socket(raw, server_hostname="pacs.example") as inside,
    ):
        if says_why:
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                inside.recv(100)
        else:
            assert inside.recv(100) == b""


def test_an_issuer_signs_and_a_key_may_be_shared() -> None:
    issuer, key = ("ca.example", tls.new_key()), tls.new_key()
    one, two = (tls.made_up(name, key=key, issuer=issuer) for name in ("one.example", "two.example"))
    assert one.key == two.key
    assert one.certificate != two.certificate
