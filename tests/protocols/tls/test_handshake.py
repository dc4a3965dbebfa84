"""One handshake: certificate, client certificate, and every way to fail."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_peer import NOW, Peer, server_context, talk

from leadapron.model import Attempt, Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import LastWords, Lost
from leadapron.protocols import payload
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake, Handshaking
from leadapron.protocols.tls.names import ContentType, Version
from leadapron.protocols.tls.session import MAX_HANDSHAKE
from leadapron.protocols.tls.wire import Alert, Record, ServerHello

HERE = Endpoint(address=ip_address("127.0.0.1"), port=2762, name="pacs.example")
JOB = Handshaking(name="handshake", endpoint=HERE, now=NOW)


@pytest.mark.parametrize("highest", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        (ssl.CERT_NONE, ClientCertificate.NOT_DEMANDED),
        (ssl.CERT_OPTIONAL, ClientCertificate.NOT_DEMANDED),
        (ssl.CERT_REQUIRED, ClientCertificate.DEMANDED),
    ],
)
def test_whether_a_client_certificate_is_demanded(
    highest: str, step: int, wants: ssl.VerifyMode, expected: ClientCertificate
) -> None:
    attempt, said = talk(JOB.converse(), Peer(server_context(client_auth=wants, highest=highest)), step=step)
    assert isinstance(attempt, Completed)
    result = attempt.result
    assert result.client_certificate is expected
    assert result.version is Version[highest.replace("TLSv", "TLS_")]
    assert result.certificate is not None
    assert (result.certificate.bits, result.certificate.self_signed, result.certificate.name_matches) == (
        256,
        True,
        True,
    )
    assert expected is ClientCertificate.DEMANDED or isinstance(said[-1], LastWords)
    assert payload.load(Handshake, payload.dump(result)) == result


def test_silence_behind_the_finished_says_nothing() -> None:
    context = server_context(highest="TLSv1_3")
    tickets, context.num_tickets = context.num_tickets, 0
    try:
        attempt, _ = talk(JOB.converse(), Peer(context))
    finally:
        context.num_tickets = tickets
    assert isinstance(attempt, Completed)
    assert attempt.result.client_certificate is ClientCertificate.UNKNOWN


def lost_when_asked(reason: Reason) -> Attempt[Handshake]:
    """TLS 1.2, a certificate is demanded; the connection ends before the server says so."""
    conversation = JOB.converse()
    peer = Peer(server_context(client_auth=ssl.CERT_REQUIRED, highest="TLSv1_2"))
    try:
        conversation.send(peer.receive(next(conversation)))
        conversation.throw(Lost(reason))
    except StopIteration as stop:
        attempt: Attempt[Handshake] = stop.value
        return attempt
    raise AssertionError("the conversation goes on")


def test_a_server_that_asks_and_hangs_up_may_have_demanded_it() -> None:
    attempt = lost_when_asked(Reason.RESET)
    assert isinstance(attempt, Completed)
    assert attempt.result.client_certificate is ClientCertificate.ASKED
    assert attempt.result.certificate is not None


def test_silence_when_it_has_asked_is_no_demand() -> None:
    assert lost_when_asked(Reason.TIMEOUT) == Failed(stage=Stage.TLS, reason=Reason.TIMEOUT)


def play(*pieces: bytes | Reason) -> Attempt[Handshake]:
    return play_all(iter(pieces))


def play_all(pieces: Iterator[bytes | Reason]) -> Attempt[Handshake]:
    conversation = JOB.converse()
    next(conversation)
    try:
        for piece in pieces:
            sent = conversation.throw(Lost(piece)) if isinstance(piece, Reason) else conversation.send(piece)
            if isinstance(sent, LastWords):
                break
        while True:
            conversation.throw(Lost(Reason.RESET))
    except StopIteration as stop:
        attempt: Attempt[Handshake] = stop.value
        return attempt


def handshake(message: bytes) -> bytes:
    return Record(type=ContentType.HANDSHAKE, version=0x0303, fragment=message).encode()


CHOICE = handshake(ServerHello(version=Version.TLS_1_2, suite=0xC02F).encode())


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (Reason.TIMEOUT, Reason.TIMEOUT),
        (Reason.REFUSED, Reason.REFUSED),
        (Reason.RESET, Reason.RESET),
        (Alert(level=2, description=40).encode(), Reason.TLS),
        (Alert(level=2, description=70).encode(), Reason.TLS),
        (b"\x16\x03\x03\xff\xff", Reason.LIMIT),
        (handshake(b"\x02\xff\xff\xff"), Reason.LIMIT),
        (CHOICE + handshake(b"\x00\x00\x00\x00" * 20), Reason.LIMIT),
        (b"HTTP/1.1 400 Bad Request\r\n", Reason.PROTOCOL),
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", Reason.PROTOCOL),
        (CHOICE + handshake(b"\x0b\x00\x00\x03\x00\x00\x00"), Reason.TLS),
    ],
    ids=[
        "silence",
        "no port",
        "reset",
        "failure",
        "version",
        "record",
        "message",
        "endless",
        "HTTP",
        "DICOM",
        "no chain",
    ],
)
def test_what_is_no_handshake_says_why(piece: bytes | Reason, reason: Reason) -> None:
    attempt = play(piece)
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.TLS, reason)


def test_a_flood_is_left_at_its_limit() -> None:
    flood, sent = handshake(b"\x0b\x01\xff\xff" + b"a" * 16_000), 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        yield CHOICE
        yield flood
        while True:
            sent += 16_005
            yield handshake(b"a" * 16_000)

    attempt = play_all(pieces())
    assert isinstance(attempt, Failed)
    assert attempt.reason in (Reason.LIMIT, Reason.TLS)
    assert sent <= MAX_HANDSHAKE


def test_our_own_bytes_are_no_handshake() -> None:
    conversation = JOB.converse()
    hello = next(conversation)
    conversation.close()
    attempt = play(hello)
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.PROTOCOL


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
def test_any_bytes_give_a_result_or_a_reason(pieces: list[bytes]) -> None:
    assert isinstance(play(*pieces), Failed)
    assert isinstance(play(CHOICE, *map(handshake, pieces)), Failed)
