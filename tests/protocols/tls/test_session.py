"""A session against Python's own server side: plaintext both ways, ends, alerts by name."""

from __future__ import annotations

import ssl

import pytest
from tls_peer import Peer, server_context

from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.session import Broken, Session, client_context


def established(peer: Peer) -> Session:
    session = Session(client_context(), "pacs.example")
    while not session.handshake():
        session.receive(peer.receive(session.take()))
    session.receive(peer.receive(session.take()))
    return session


@pytest.mark.parametrize("highest", ["TLSv1_2", "TLSv1_3"])
def test_plaintext_goes_both_ways(highest: str) -> None:
    peer = Peer(server_context(highest=highest), lambda data: data[::-1])
    session = established(peer)
    assert session.version is Version[highest.replace("TLSv", "TLS_")]
    assert session.certificate
    session.write(b"a" * 100_000 + b"b")
    session.receive(peer.receive(session.take()))
    assert sorted(session.read()) == sorted(b"a" * 100_000 + b"b")
    assert session.read() == b""


def test_what_came_before_the_end_is_read_first() -> None:
    peer = Peer(server_context())
    session = established(peer)
    peer.say(b"last")
    session.receive(peer.close())
    assert session.read() == b"last"
    assert session.is_closed
    with pytest.raises(Broken) as caught:
        session.read()
    assert caught.value.alert == "close_notify"


def test_bytes_that_are_not_tls_break_it() -> None:
    session = Session(client_context())
    assert not session.handshake()
    session.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(Broken) as caught:
        session.handshake()
    assert caught.value.alert == ""


@pytest.mark.parametrize(
    ("description", "name"),
    [(40, "handshake_failure"), (70, "protocol_version"), (112, "unrecognized_name"), (116, "certificate_required")],
)
def test_alerts_have_their_names(description: int, name: str) -> None:
    session = Session(client_context())
    session.handshake()
    session.receive(bytes((21, 3, 3, 0, 2, 2, description)))
    with pytest.raises(Broken) as caught:
        session.handshake()
    assert caught.value.alert == name


def test_an_alert_in_the_middle_breaks_it() -> None:
    session = Session(client_context())
    peer = Peer(server_context(client_auth=ssl.CERT_REQUIRED))
    while not session.handshake():
        session.receive(peer.receive(session.take()))
    session.receive(peer.receive(session.take()))
    with pytest.raises(Broken) as caught:
        session.read()
    assert caught.value.alert == "certificate_required"


def test_leaving_says_so() -> None:
    peer = Peer(server_context())
    session = established(peer)
    peer.receive(session.close())
    assert peer.is_over


def test_leaving_before_the_handshake_says_nothing() -> None:
    session = Session(client_context())
    assert session.close() == b""
