"""The first flight of a server: messages that share records, that span them, and what must not come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.tls.flight import MAX_ALERTS, MAX_MESSAGES, Message, ServerFlight
from leadapron.protocols.tls.names import ContentType, HandshakeType, Version
from leadapron.protocols.tls.wire import (
    Alert,
    Certificate,
    CertificateRequest,
    ClientHello,
    OtherMessage,
    Record,
    ServerHello,
    ServerHelloDone,
    ServerKeyExchange,
)

HELLO = ServerHello(version=Version.TLS_1_2, suite=0xC02F)
CHAIN = Certificate(chain=(b"made-up certificate", b"another"))
REQUEST = CertificateRequest(types=(1, 64), has_authorities=True)
KEYS = ServerKeyExchange(content=b"\x00\x02\x80\x01and more")
MESSAGES = (
    HELLO.encode() + CHAIN.encode() + KEYS.encode() + REQUEST.encode(Version.TLS_1_2) + ServerHelloDone().encode()
)
WHOLE = [HELLO, CHAIN, KEYS, REQUEST, ServerHelloDone()]


def record(fragment: bytes, kind: ContentType = ContentType.HANDSHAKE) -> bytes:
    return Record(type=kind, version=0x0303, fragment=fragment).encode()


def read_all(*pieces: bytes) -> list[Message]:
    flight, found = ServerFlight(), []
    for piece in pieces:
        flight.feed(piece)
        while (message := flight.next()) is not None:
            found.append(message)
    return found


@given(st.integers(1, len(MESSAGES)), st.integers(1, 50))
def test_a_flight_is_read_however_it_is_cut(fragment: int, piece: int) -> None:
    raw = b"".join(record(MESSAGES[place : place + fragment]) for place in range(0, len(MESSAGES), fragment))
    assert read_all(*(raw[place : place + piece] for place in range(0, len(raw), piece))) == WHOLE


@given(st.integers(0, len(MESSAGES) - 1))
def test_a_truncated_flight_waits_for_more(length: int) -> None:
    found = read_all(record(MESSAGES)[: 5 + length])
    assert found == []


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_flight_or_the_one_error(data: bytes, in_a_record: bool) -> None:
    try:
        found = read_all(record(HELLO.encode() + data) if in_a_record else data)
    except WireError as error:
        assert error.rule
    else:
        assert len(found) <= MAX_MESSAGES + MAX_ALERTS


@pytest.mark.parametrize("rest", [b"anything", record(b"\xff" * 9)], ids=["no records", "other messages"])
def test_nothing_is_read_behind_a_hello_of_tls_1_3(rest: bytes) -> None:
    hello = ServerHello(version=Version.TLS_1_3, suite=0x1301)
    assert read_all(record(hello.encode()) + rest, rest) == [hello]


def test_nothing_is_read_behind_the_change_of_keys() -> None:
    change = record(b"\x01", ContentType.CHANGE_CIPHER_SPEC)
    assert read_all(record(HELLO.encode()) + change + record(b"\xff" * 9)) == [HELLO]


def test_a_warning_before_the_hello_is_one() -> None:
    warning = Alert(level=1, description=112)
    assert read_all(warning.encode() + record(HELLO.encode())) == [warning, HELLO]


@pytest.mark.parametrize(
    ("raw", "is_limit"),
    [
        (record(b"\x02\xff\xff\xff"), True),
        (record(HELLO.encode()) + record(b"\x00\x00\x00\x00" * MAX_MESSAGES), True),
        (Alert(level=1, description=0).encode() * (MAX_ALERTS + 1), True),
        (record(b"a" * 16_385), True),
        (record(CHAIN.encode()), False),
        (record(HELLO.encode() * 2), False),
        (record(b"a", ContentType.APPLICATION_DATA), False),
        (record(b"\x03\x01", ContentType.ALERT), False),
        (ClientHello(version=Version.TLS_1_2, random=bytes(32), suites=(1,)).encode(), False),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"\x02\x00\x00\x00\x00\xb8", False),
    ],
    ids=[
        "16 MB",
        "endless",
        "alerts",
        "long record",
        "no hello",
        "two hellos",
        "data",
        "no alert",
        "our own bytes",
        "HTTP",
        "DICOM",
    ],
)
def test_what_must_not_come(raw: bytes, is_limit: bool) -> None:
    with pytest.raises(WireError) as caught:
        read_all(raw)
    assert caught.value.limit is is_limit


def test_a_ticket_is_passed_over() -> None:
    ticket = b"\x04\x00\x00\x06\x00\x00\x00\x00\x00\x00"
    assert read_all(record(HELLO.encode() + ticket)) == [HELLO, OtherMessage(kind=HandshakeType.NEW_SESSION_TICKET)]


@pytest.mark.parametrize(("content", "bits"), [(b"\x00\x02\x80\x01", 16), (b"\x00\x03\x00\x01\x00rest", 9)])
def test_the_prime_of_a_group_has_its_length(content: bytes, bits: int) -> None:
    assert ServerKeyExchange(content=content).prime_bits() == bits


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"\x00\x09short"])
def test_a_group_without_a_prime_is_the_one_error(content: bytes) -> None:
    with pytest.raises(WireError):
        ServerKeyExchange(content=content).prime_bits()
