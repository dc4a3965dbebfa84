"""One response out of bytes: whole, byte by byte, truncated, hostile, and as h11 and http.client read it."""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.http.wire import MAX_HEAD, MAX_INTERIM, MAX_LINE, Response, request
from seeds import seeds

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED += b"5;x=y\r\nhello\r\n1\r\n \r\nA \r\n0123456789\r\n0\r\nT: x\r\n\r\n"
OPEN = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the end"
NONE = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH
SLOPPY = b"\r\nHTTP/1.1 200\nContent-Length: 2\nno field at all\nX: a\n  b\n\nok"
WHOLE = [
    (LENGTH, b"hello"),
    (CHUNKED, b"hello 0123456789"),
    (OPEN, b"until the end"),
    (NONE, b""),
    (INTERIM, b"hello"),
    (SLOPPY, b"ok"),
]


def read(data: bytes, size: int, method: bytes = b"GET") -> tuple[Response, bytes]:
    response, body = Response(method), b""
    for place in range(0, len(data), size):
        body += response.receive(data[place : place + size])
    if not response.is_done:
        response.closed()
    return response, body


@pytest.mark.parametrize(("data", "expected"), WHOLE)
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_a_response_reads_the_same_in_pieces_of_any_size(data: bytes, expected: bytes, size: int) -> None:
    response, body = read(data, size)
    assert body == expected
    assert response.is_done
    assert response.head is not None
    assert response.head.status in (200, 204)


@pytest.mark.parametrize("data", [LENGTH, CHUNKED, NONE, INTERIM])
def test_a_response_that_ends_early_is_never_whole(data: bytes) -> None:
    for stop in range(1, len(data)):
        response = Response()
        response.receive(data[:stop])
        assert not response.is_done
        with pytest.raises(WireError):
            response.closed()


@pytest.mark.parametrize("data", [LENGTH, CHUNKED, NONE])
def test_what_comes_behind_a_response_is_kept(data: bytes) -> None:
    response = Response()
    response.receive(data + b"HTTP/1.1 404")
    assert response.is_done
    assert response.rest == b"HTTP/1.1 404"
    assert response.receive(b" Not") == b""
    assert response.rest == b"HTTP/1.1 404 Not"


def test_a_field_may_go_on_in_the_next_line() -> None:
    response, _ = read(SLOPPY, 3)
    assert response.head is not None
    assert response.head.field(b"x") == b"a b"
    assert response.head.field(b"y") == b""


@pytest.mark.parametrize(
    ("data", "stands"),
    [
        (LENGTH, True),
        (OPEN, False),
        (NONE, True),
        (LENGTH.replace(b"X-A: b", b"Connection: foo, Close"), False),
        (LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"X-A: b", b"Connection: keep-alive"), True),
    ],
)
def test_whether_the_connection_stands(data: bytes, stands: bool) -> None:
    response, _ = read(data, 100)
    assert response.leaves_open is stands


def test_an_answer_to_head_has_no_body() -> None:
    response = Response(b"HEAD")
    assert response.receive(LENGTH[:-5]) == b""
    assert response.is_done


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 x\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MAX_LINE + 1) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1" + b";" * MAX_LINE,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * MAX_HEAD,
    ],
)
@pytest.mark.parametrize("size", [1 << 12, 1 << 24])
def test_what_breaks_the_rules_is_no_response(data: bytes, size: int) -> None:
    with pytest.raises(WireError):
        read(data, size)


def test_a_gigabyte_of_head_is_not_held() -> None:
    response = Response()
    assert not response.receive(b"HTTP/1.1 200 OK\r\n" + b"X" * (1 << 15))
    with pytest.raises(WireError):
        response.receive(b"X" * (1 << 16))


@pytest.mark.parametrize("data", [b"SSH-2.0-made-up\r\n", b"\x15\x03\x01", b"220 ready\r\n", b"\r\nHTTP/2"])
def test_what_is_no_http_is_told_before_its_end(data: bytes) -> None:
    with pytest.raises(WireError):
        Response().receive(data)


def test_of_a_coding_and_a_length_the_coding_counts() -> None:
    response, body = read(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1), 9)
    assert body == b"hello 0123456789"
    assert response.is_done


@given(st.binary(max_size=400), st.integers(1, 50))
@seeds(
    [
        *((data, 7) for data in (LENGTH, CHUNKED, OPEN, INTERIM, SLOPPY)),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, 1 << 16),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 50),
        (b"SSH-2.0-made-up\r\n", 50),
    ]
)
def test_any_bytes_give_a_response_or_the_one_error(data: bytes, size: int) -> None:
    try:
        response, _ = read(data, size)
    except WireError:
        return
    assert response.is_done


@given(
    st.sampled_from([LENGTH, CHUNKED, OPEN, INTERIM, SLOPPY]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
)
def test_a_response_that_was_tampered_with_is_read_in_bounds(data: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    try:
        one, body = read(bytes(changed), 1)
        other, whole = read(bytes(changed), 1 << 20)
    except WireError:
        return
    assert (body, one.rest == b"" or one.is_done) == (whole, True)
    assert other.is_done


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_args: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


@given(
    st.binary(max_size=300),
    st.sampled_from(["length", "chunked", "close"]),
    st.integers(1, 40),
    st.sampled_from([200, 206, 401, 404, 500]),
)
def test_bodies_are_those_that_http_client_reads(body: bytes, framing: str, size: int, status: int) -> None:
    head = b"HTTP/1.1 %d x\r\n" % status
    if framing == "length":
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    elif framing == "chunked":
        chunks = [body[place : place + size] for place in range(0, len(body), size)]
        data = head + b"Transfer-Encoding: chunked\r\n\r\n"
        data += b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    else:
        data = head + b"Connection: close\r\n\r\n" + body
    theirs = http.client.HTTPResponse(_Socket(data))  # type: ignore[arg-type]
    theirs.begin()
    response, ours = read(data, size)
    assert ours == theirs.read() == body
    assert response.head is not None
    assert response.head.status == theirs.status == status


@pytest.mark.parametrize("target", [b"/a b", b"/a\r\nX: y", b"", b"/\x00"])
def test_a_request_is_one_line_of_ours(target: bytes) -> None:
    with pytest.raises(ValueError, match="no part of a request"):
        request(b"GET", target, ())


def test_a_field_cannot_break_its_line() -> None:
    with pytest.raises(ValueError, match="no part of a request"):
        request(b"GET", b"/", ((b"Host", b"a\r\nX: y"),))
    assert request(b"PROPFIND", b"/", ((b"Host", b"a"),), b"<x/>") == b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n<x/>"
