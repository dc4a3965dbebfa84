"""Requests and answers over one or more connections, without a network."""

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest

from conversing import Server, converse
from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import Lost, Steps
from leadapron.protocols.http.exchange import Answer, Client, NoAnswer, Piece, Range

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
FILE = bytes(range(256)) * 16


def answer(body: bytes, status: int = 200, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *fields, b"", body]
    return b"\r\n".join(lines)


def client(**values: int) -> Client:
    return Client(HERE, contact="security@hospital.example", **values)


def test_a_request_says_who_asks_and_whom() -> None:
    sent: list[bytes] = []

    def server(data: bytes) -> tuple[bytes, bool]:
        sent.append(data)
        return answer(b"ok"), True

    found, connections = converse(client().get(b"/system"), server)
    assert (found.status, found.body, found.why, connections) == (200, b"ok", None, 1)
    assert sent[0].startswith(b"GET /system HTTP/1.1\r\nHost: 198.18.0.1:8080\r\nUser-Agent: leadapron/")
    assert b"(security@hospital.example)" in sent[0]
    assert b"Accept-Encoding: identity\r\n" in sent[0]


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        (Endpoint(address=ip_address("::1"), port=8080), b"Host: [::1]:8080\r\n"),
        (Endpoint(address=ip_address("198.18.0.1"), port=443, name="pacs.example"), b"Host: pacs.example\r\n"),
        (Endpoint(address=ip_address("198.18.0.1"), port=81, name="pacs.example"), b"Host: pacs.example:81\r\n"),
    ],
)
def test_the_host_is_the_name_that_led_there(endpoint: Endpoint, host: bytes) -> None:
    def server(data: bytes) -> tuple[bytes, bool]:
        assert host in data
        return answer(b""), True

    converse(Client(endpoint).get(b"/"), server)


def asks(client_: Client, count: int) -> Steps[list[Answer]]:
    found = []
    for _ in range(count):
        found.append((yield from client_.get(b"/")))
    return found


@pytest.mark.parametrize("piece", [1, 5, 1 << 16])
def test_a_connection_that_stands_is_used_again(piece: int) -> None:
    found, connections = converse(asks(client(), 3), lambda _: (answer(b"x" * 40), True), piece=piece)
    assert ([each.body for each in found], connections) == ([b"x" * 40] * 3, 1)


def test_where_the_server_closes_it_is_dialled_again() -> None:
    close = (answer(b"x", 200, b"Connection: close"), False)
    assert converse(asks(client(), 3), lambda _: close)[1] == 3
    until_end = (b"HTTP/1.0 200 OK\r\n\r\nx", False)
    found, connections = converse(asks(client(), 2), lambda _: until_end)
    assert ([each.body for each in found], connections) == ([b"x", b"x"], 2)


def test_a_connection_that_ended_meanwhile_is_dialled_again_once() -> None:
    """The server says nothing of closing, and closes."""
    answers = iter([(answer(b"1"), True), (b"", False), (answer(b"2"), True)])
    found, connections = converse(asks(client(), 2), lambda _: next(answers))
    assert ([each.body for each in found], connections) == ([b"1", b"2"], 2)


@pytest.mark.parametrize(
    ("came", "reason"),
    [(b"", Reason.RESET), (b"HTTP/1.1 200 OK\r\nX", Reason.TRUNCATED), (b"+OK ready\r\n\r\n", Reason.PROTOCOL)],
)
def test_without_a_head_there_is_no_answer(came: bytes, reason: Reason) -> None:
    with pytest.raises(NoAnswer) as none:
        converse(client().get(b"/"), lambda _: (came, False))
    assert none.value.reason is reason


def test_silence_is_the_dialers() -> None:
    def steps() -> Steps[str]:
        sending = yield from client().get(b"/")
        return str(sending.status)

    running = steps()
    next(running)
    with pytest.raises(Lost):
        running.throw(Lost(Reason.TIMEOUT))


def test_a_body_that_ends_early_is_truncated() -> None:
    found, _ = converse(client().get(b"/"), lambda _: (answer(b"12345")[:-2], False))
    assert (found.body, found.why) == (b"123", Reason.TRUNCATED)


def test_of_an_endless_body_no_more_is_held_than_was_asked_for() -> None:
    endless: Server = lambda _: (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000, False)  # noqa: E731
    both = client()

    def steps() -> Steps[tuple[Answer, Answer]]:
        one = yield from both.get(b"/", max_body=100)
        return one, (yield from both.get(b"/", max_body=100))

    (one, two), connections = converse(steps(), endless, piece=64)
    assert (len(one.body), one.why, two.why, connections) == (100, Reason.LIMIT, Reason.LIMIT, 2)


def test_a_body_may_be_taken_as_it_comes() -> None:
    pieces: list[bytes] = []

    def take(data: bytes) -> bool:
        pieces.append(data)
        return len(pieces) < 3

    found, _ = converse(client().ask(b"GET", b"/", take=take), lambda _: (answer(b"x" * 500), True), piece=64)
    assert (len(pieces), found.body, found.why) == (3, b"", Reason.LIMIT)
    found, _ = converse(client().ask(b"GET", b"/", take=take), lambda _: (answer(b"no", 403), True), piece=64)
    assert (found.body, len(pieces)) == (b"no", 3)


def test_the_budget_of_requests_is_kept() -> None:
    with pytest.raises(NoAnswer) as none:
        converse(asks(client(requests=2), 3), lambda _: (answer(b""), True))
    assert none.value.reason is Reason.BUDGET


# -- ranges ------------------------------------------------------------------------------------------------------------

WANTED = [Range(target=b"/f", start=start, length=100) for start in (0, 50, 4000, 9000)] + [
    Range(target=b"/no", start=0, length=4)
]
EXPECTED: list[Piece] = [FILE[:100], FILE[50:150], FILE[4000:], b"", 404]


def one(data: bytes, *, honours: bool = True) -> bytes:
    target, start, stop = re.match(rb"GET (\S+) .*Range: bytes=(\d+)-(\d+)", data, re.DOTALL).groups()  # type: ignore[union-attr]
    if target != b"/f":
        return answer(b"none", 404)
    if not honours:
        return answer(FILE)
    piece = FILE[int(start) : int(stop) + 1]
    return answer(piece, 206) if piece else answer(b"", 416)


def each(data: bytes) -> list[bytes]:
    return [part + b"\r\n\r\n" for part in data.split(b"\r\n\r\n")[:-1]]


@pytest.mark.parametrize("piece", [1, 33, 1 << 16])
def test_pieces_come_in_their_order(piece: int) -> None:
    def server(data: bytes) -> tuple[bytes, bool]:
        return b"".join(one(part) for part in each(data)), True

    found, connections = converse(client().ranges(WANTED), server, piece=piece)
    assert (found, connections) == (EXPECTED, 1)


MANY = [Range(target=b"/f", start=start, length=100) for start in range(0, 4000, 20)]


@pytest.mark.parametrize("piece", [70, 700, 1 << 16])
@pytest.mark.parametrize("answers", [1, 10, 1000])
def test_some_are_always_on_their_way_and_never_too_many(answers: int, piece: int) -> None:
    """A server that closes its connection behind so many answers, whatever else it was asked."""
    answered, most, sendings = 0, 0, 0

    def server(data: bytes) -> tuple[bytes, bool]:
        nonlocal answered, most, sendings
        parts = each(data)
        most, sendings = max(most, len(parts)), sendings + 1
        left = answers - answered % answers
        answered += min(left, len(parts))
        return b"".join(one(part) for part in parts[:left]), left > len(parts)

    asking = client()
    found, connections = converse(asking.ranges(MANY, at_once=8), server, piece=piece)

    assert found == [FILE[each.start : each.start + 100] for each in MANY]
    assert most <= 8
    assert (answered, asking.requests) == (len(MANY), len(MANY))
    assert connections == -(-len(MANY) // answers)
    if answers == 1000 and piece == 70:
        assert sendings > len(MANY) // 8  # it did not wait for the last answer before it asked on


def test_a_server_that_closes_each_time_is_asked_one_by_one() -> None:
    def server(data: bytes) -> tuple[bytes, bool]:
        assert len(each(data)) == 1
        return one(data).replace(b" x\r\n", b" x\r\nConnection: close\r\n", 1), False

    found, connections = converse(client().ranges(WANTED), server)
    assert (found, connections) == (EXPECTED, len(WANTED))


def test_what_a_server_left_out_behind_its_end_is_asked_again() -> None:
    """It answers the first of what was sent at once, and closes."""

    def server(data: bytes) -> tuple[bytes, bool]:
        return one(each(data)[0]), False

    found, connections = converse(client().ranges(WANTED), server)
    assert found == EXPECTED
    assert connections <= len(WANTED)


def test_of_a_whole_file_only_the_piece_is_read() -> None:
    """A server that does not know ranges."""

    def server(data: bytes) -> tuple[bytes, bool]:
        return b"".join(one(part, honours=False) for part in each(data)), True

    found, _ = converse(client().ranges(WANTED), server, piece=50)
    assert found == EXPECTED


def test_a_part_may_come_with_status_200() -> None:
    """rclone's object store."""

    def server(data: bytes) -> tuple[bytes, bool]:
        parts = []
        for part in each(data):
            start = int(re.search(rb"bytes=(\d+)-", part)[1])  # type: ignore[index]
            told = b"Content-Range: bytes %d-%d/%d" % (start, start + 99, len(FILE))
            parts.append(answer(FILE[start : start + 100], 200, told))
        return b"".join(parts), True

    found, _ = converse(client().ranges(WANTED[:3]), server, piece=40)
    assert found == EXPECTED[:3]


@pytest.mark.parametrize("honours", [True, False])
def test_what_comes_encoded_is_no_piece(honours: bool) -> None:
    def server(data: bytes) -> tuple[bytes, bool]:
        encoded = b" x\r\nContent-Encoding: gzip\r\n"
        return b"".join(one(part, honours=honours).replace(b" x\r\n", encoded, 1) for part in each(data)), True

    found, _ = converse(client().ranges(WANTED[:3]), server)
    assert found == [Reason.PROTOCOL] * 3


def test_pieces_are_part_of_the_budget() -> None:
    def server(data: bytes) -> tuple[bytes, bool]:
        return b"".join(one(part) for part in each(data)), True

    for at_once in (1, 2, 32):
        found, _ = converse(client(requests=2).ranges(WANTED, at_once=at_once), server)
        assert found == [*EXPECTED[:2], *[Reason.BUDGET] * 3]


@pytest.mark.parametrize(
    "came", [b"", b"HTTP/1.1 206 x\r\nContent-Length: 100\r\n\r\nshort", b"nothing of HTTP\r\n\r\n"]
)
def test_a_piece_that_does_not_come_is_told(came: bytes) -> None:
    found, _ = converse(client().ranges(WANTED[:2]), lambda _: (came, False))
    assert all(isinstance(piece, Reason) for piece in found)
