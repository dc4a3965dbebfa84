"""The codec of TLS: round trips, whole, byte by byte and truncated, and any bytes."""

from __future__ import annotations

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.tls.names import ContentType, Version
from leadapron.protocols.tls.wire import (
    MAX_CHAIN,
    Alert,
    Certificate,
    CertificateRequest,
    ClientHello,
    Record,
    RecordReader,
    ServerHello,
    decode_done,
)

number16 = st.integers(0, 0xFFFF)
numbers = st.lists(number16, min_size=1, max_size=8).map(tuple)
records = st.builds(
    Record, type=st.sampled_from(ContentType), version=st.integers(0x300, 0x3FF), fragment=st.binary(min_size=1)
)
client_hellos = st.builds(
    ClientHello,
    version=st.sampled_from([Version.TLS_1_2]),
    random=st.binary(min_size=32, max_size=32),
    suites=numbers,
    groups=numbers,
    signatures=numbers,
    supported_versions=st.just(()) | numbers,
    key_share=st.just(b"") | st.binary(min_size=32, max_size=32),
)
server_hellos = st.builds(
    ServerHello, version=st.sampled_from([each for each in Version if each < Version.TLS_1_3]), suite=number16
) | st.builds(ServerHello, version=st.just(Version.TLS_1_3), suite=number16, is_retry=st.booleans())
chains = st.builds(Certificate, chain=st.lists(st.binary(min_size=1, max_size=40), max_size=MAX_CHAIN).map(tuple))
requests = st.builds(
    CertificateRequest,
    types=st.lists(st.integers(0, 255), max_size=5).map(tuple),
    has_authorities=st.booleans(),
)
before_13 = st.sampled_from([Version.SSL_3_0, Version.TLS_1_0, Version.TLS_1_1, Version.TLS_1_2])


def read_all(*pieces: bytes) -> list[Record]:
    reader, found = RecordReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (record := reader.next()) is not None:
            found.append(record)
    return found


def body(message: bytes) -> bytes:
    return message[4:]


@given(records)
def test_a_record_comes_back_whole_byte_by_byte_and_with_something_behind_it(record: Record) -> None:
    raw = record.encode()
    assert read_all(raw) == [record]
    assert read_all(*(raw[place : place + 1] for place in range(len(raw)))) == [record]
    assert read_all(raw + b"\x16\x03") == [record]


@given(records, st.data())
def test_a_truncated_record_waits_for_more(record: Record, data: st.DataObject) -> None:
    raw = record.encode()
    assert read_all(raw[: data.draw(st.integers(0, len(raw) - 1))]) == []


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_the_one_error(data: bytes) -> None:
    try:
        found = read_all(data)
    except WireError as error:
        assert error.rule
    else:
        assert sum(len(record.encode()) for record in found) <= len(data)


@pytest.mark.parametrize(
    "head", [b"H", b"\x01", b"\x80\x2e", b"\x16\x02\x00\x00\x01", b"\x16\x03\x03\x00\x00", b"\x16\x03\x03\xff\xff"]
)
def test_what_can_be_no_record_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(WireError):
        read_all(head)


@given(client_hellos)
def test_a_client_hello_comes_back(hello: ClientHello) -> None:
    (record,) = read_all(hello.encode())
    assert ClientHello.decode(body(record.fragment)) == hello


def test_ssl_3_has_no_extensions() -> None:
    hello = ClientHello(version=Version.SSL_3_0, random=bytes(32), suites=(5,), server_name="pacs.example")
    (record,) = read_all(hello.encode())
    assert record.version == Version.SSL_3_0
    assert len(record.fragment) == 4 + 2 + 32 + 1 + 4 + 2
    assert ClientHello.decode(body(record.fragment)).groups == ()


def test_openssl_reads_our_hello() -> None:
    """A server without a certificate gets as far as the choice of suites, and has none."""
    hello = ClientHello(
        version=Version.TLS_1_2,
        random=b"r" * 32,
        suites=(0x1301, 0xC02F),
        server_name="pacs.example",
        supported_versions=(Version.TLS_1_3, Version.TLS_1_2),
        key_share=b"k" * 32,
    )
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: names.append(name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello.encode())
    with pytest.raises(ssl.SSLError, match=r"NO_SHARED_CIPHER|NO_SUITABLE_SIGNATURE_ALGORITHM"):
        server.do_handshake()
    assert names == ["pacs.example"]


@given(server_hellos)
def test_a_server_hello_comes_back(hello: ServerHello) -> None:
    assert ServerHello.decode(body(hello.encode())) == hello


@given(chains)
def test_a_chain_comes_back(chain: Certificate) -> None:
    assert Certificate.decode(body(chain.encode())) == chain


@given(requests, before_13)
def test_a_certificate_request_comes_back(request: CertificateRequest, version: Version) -> None:
    assert CertificateRequest.decode(body(request.encode(version)), version) == request


@given(st.sampled_from((1, 2)), st.integers(0, 255))
def test_an_alert_comes_back(level: int, description: int) -> None:
    alert = Alert(level=level, description=description)
    (record,) = read_all(alert.encode())
    assert Alert.decode(record.fragment) == alert


@given(server_hellos, st.data())
def test_a_truncated_server_hello_is_the_one_error(hello: ServerHello, data: st.DataObject) -> None:
    """Before TLS 1.3 it may end where extensions would begin."""
    raw = body(hello.encode())
    cut = raw[: data.draw(st.integers(0, len(raw) - 1).filter(lambda length: length != 38))]
    with pytest.raises(WireError):
        ServerHello.decode(cut)


@given(chains, st.data())
def test_a_truncated_chain_is_the_one_error(chain: Certificate, data: st.DataObject) -> None:
    raw = body(chain.encode())
    with pytest.raises(WireError):
        Certificate.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_the_one_error(data: bytes) -> None:
    def request(raw: bytes) -> object:
        return CertificateRequest.decode(raw, Version.TLS_1_2)

    for decode in (ClientHello.decode, ServerHello.decode, Certificate.decode, Alert.decode, request, decode_done):
        try:
            assert decode(data) is not None
        except WireError as error:
            assert error.rule


def hello_with(extensions: bytes, version: int = 0x0303, compression: int = 0) -> bytes:
    head = struct.pack(">H32xBHB", version, 0, 0x1301, compression)
    return head + len(extensions).to_bytes(2, "big") + extensions


@pytest.mark.parametrize(
    "raw",
    [
        hello_with(b"", version=0x0304),
        hello_with(b"", version=0x0305),
        hello_with(b"\x00\x2b\x00\x02\x03\x03"),
        hello_with(b"\x00\x2b\x00\x03\x00\x03\x04"),
        hello_with(b"\x00\x17\x00\x00\x00\x17\x00\x00"),
        hello_with(b"\x00\x17\x00\x09\x00"),
        hello_with(b"", compression=1),
        hello_with(b"") + b"\0",
    ],
    ids=["1.3 without", "none", "1.2 chosen", "three bytes", "twice", "overruns", "compressed", "more behind"],
)
def test_a_server_hello_that_breaks_the_standard(raw: bytes) -> None:
    with pytest.raises(WireError):
        ServerHello.decode(raw)


def test_a_chain_of_very_many_is_refused() -> None:
    with pytest.raises(WireError) as caught:
        Certificate.decode(body(Certificate(chain=(b"x",) * (MAX_CHAIN + 1)).encode()))
    assert caught.value.limit
