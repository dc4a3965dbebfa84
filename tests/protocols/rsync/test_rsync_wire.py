"""The lines of an rsync daemon: whole, byte by byte, cut and hostile."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.rsync import wire
from leadapron.protocols.rsync.wire import MAX_LINE, Answer, Greeting, Lines


def lines(*pieces: bytes) -> list[bytes]:
    reading, found = Lines(), []
    for piece in pieces:
        reading.receive(piece)
        while (line := reading.next()) is not None:
            found.append(line)
    return found


def test_lines_whole_and_byte_by_byte() -> None:
    raw = b"@RSYNCD: 31.0\nmotd\r\n\n@RSYNCD: OK\nrest"
    assert lines(raw) == [b"@RSYNCD: 31.0", b"motd", b"", b"@RSYNCD: OK"]
    assert lines(*(raw[place : place + 1] for place in range(len(raw)))) == lines(raw)


def test_the_rest_is_what_was_not_read() -> None:
    reading = Lines()
    reading.receive(b"a\nbinary\n")
    assert reading.next() == b"a"
    assert reading.rest() == b"binary\n"
    assert reading.rest() == b""


def test_a_line_without_an_end_ends() -> None:
    with pytest.raises(WireError) as caught:
        lines(b"x" * (MAX_LINE + 1))
    assert caught.value.limit


@pytest.mark.parametrize(
    ("line", "greeting"),
    [
        (b"@RSYNCD: 31.0", Greeting(protocol=31, has_digests=False)),
        (b"@RSYNCD: 27", Greeting(protocol=27, has_digests=False)),
        (b"@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4", Greeting(protocol=31, has_digests=True)),
    ],
)
def test_greetings(line: bytes, greeting: Greeting) -> None:
    assert wire.read_greeting(line) == greeting


@pytest.mark.parametrize("line", [b"", b"@RSYNCD: ", b"@RSYNCD: OK", b"@ERROR: no", b"220 ftp", b"@RSYNCD: 9999.0"])
def test_no_greeting(line: bytes) -> None:
    with pytest.raises(WireError):
        wire.read_greeting(line)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"@RSYNCD: OK", Answer.OPEN),
        (b"@RSYNCD: AUTHREQD abcdef", Answer.LOGIN),
        (b"@ERROR: access denied to made_up from host (10.0.0.1)", Answer.DENIED),
        (b"@ERROR: auth failed on module made_up", Answer.DENIED),
        (b"@ERROR: Unknown module 'made_up'", Answer.NO_MODULE),
        (b"@ERROR: max connections (1) reached -- try again later", Answer.BUSY),
        (b"@ERROR: chdir failed", Answer.BROKEN),
        (b"@ERROR", Answer.BROKEN),
        (b"welcome", None),
        (b"", None),
    ],
)
def test_answers(line: bytes, answer: Answer | None) -> None:
    assert wire.read_answer(line) is answer


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"public         \tcomment\twith a tab", b"public"),
        (b"two words      \t", b"two words"),
        (b"a-name-of-more-than-15-letters\tx", b"a-name-of-more-than-15-letters"),
        (b"no tab", None),
        (b"\tno name", None),
        (b"@RSYNCD: x\ty", None),
        (b"a/b\tx", None),
    ],
)
def test_modules(line: bytes, name: bytes | None) -> None:
    assert wire.read_module(line) == name


@given(st.binary(max_size=80))
def test_any_line_is_something_or_the_one_error(line: bytes) -> None:
    for read in (wire.read_greeting, wire.read_answer, wire.read_module):
        with contextlib.suppress(WireError):
            read(line)


def test_a_request_for_a_list_asks_for_no_more_than_names() -> None:
    request = wire.list_request(b"public")
    assert request == b"--server\n--sender\n-r\n.\npublic/\n\n" + b"\0\0\0\0"
