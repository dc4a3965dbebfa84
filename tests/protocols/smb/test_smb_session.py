"""One connection: credits, interim answers, chains; what breaks it, breaks it for good."""

from __future__ import annotations

import pytest
from smb_server import (
    ACCESS_DENIED,
    FROM_SERVER,
    HEADER,
    Asked,
    Said,
    Server,
    challenge,
    drive,
    have_read,
    negotiated,
    setup,
)

from leadapron.model import Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols.files.tree import Wanted
from leadapron.protocols.smb.session import Login, Over, Refused, Session
from leadapron.protocols.smb.tree import SmbTree
from leadapron.protocols.smb.wire import header
from leadapron.protocols.smb.wire.frame import framed
from leadapron.protocols.smb.wire.header import Command, Status


def logging_in(session: Session) -> Conversation[object]:
    try:
        yield from session.negotiate()
        return Completed(result=(yield from session.log_in()))
    except (Over, Lost) as over:
        return Failed(stage=Stage.TALK, reason=over.reason)


def outcome(server: Server, piece: int = 1 << 18) -> object:
    attempt = drive(logging_in(Session("192.0.2.1")), server.answer, piece)
    return attempt.result if isinstance(attempt, Completed) else attempt.reason


@pytest.mark.parametrize("piece", [1, 5, 1 << 18])
def test_a_null_session_however_the_bytes_come(piece: int) -> None:
    found = outcome(Server(), piece)
    assert isinstance(found, Login)
    assert found.granted.is_null
    assert found.system.major == 6


def test_it_names_nobody_and_tries_no_password() -> None:
    server = Server()
    outcome(server)
    token = server.log[2].body
    message = token[token.index(b"NTLMSSP\0") :]
    lengths = [int.from_bytes(message[place : place + 2], "little") for place in (12, 20, 28, 36, 44, 52)]
    assert lengths == [1, 0, 0, 0, 0, 0]
    assert sum(each.command == Command.SESSION_SETUP for each in server.log) == 2


@pytest.mark.parametrize("status", [0xC000006D, ACCESS_DENIED, 0xC0000072])
def test_a_refused_login(status: int) -> None:
    found = outcome(Server(over={Command.SESSION_SETUP: lambda _: setup(status)}))
    assert isinstance(found, Refused)
    assert found.reason is Reason.AUTH


def test_a_server_that_puts_us_off_and_then_answers() -> None:
    def slow(_: Asked) -> list[Said]:
        return [Said(Status.PENDING, is_async=True), Said(Status.PENDING, is_async=True), negotiated()]

    assert isinstance(outcome(Server(over={Command.NEGOTIATE: slow})), Login)


def test_a_server_that_puts_us_off_for_ever() -> None:
    def never(_: Asked) -> list[Said]:
        return [Said(Status.PENDING, is_async=True)] * 10_000

    assert outcome(Server(over={Command.NEGOTIATE: never})) is Reason.LIMIT


def test_a_server_that_puts_us_off_and_says_no_more_times_out() -> None:
    pending = Said(Status.PENDING, is_async=True)
    assert outcome(Server(over={Command.NEGOTIATE: lambda _: pending})) is Reason.TIMEOUT


def test_a_server_without_credits() -> None:
    assert outcome(Server(granted=0)) is Reason.LIMIT


def raw(message_id: int = 0, command: int = 0, magic: bytes = header.MAGIC) -> Said:
    head = HEADER.pack(magic, 64, 1, 0, command, 1, FROM_SERVER, 0, message_id, 0, 0, 0, bytes(16))
    return Said(raw=framed(head + b"\x09\0" + bytes(7)))


@pytest.mark.parametrize(
    "said",
    [
        raw(message_id=99),
        raw(message_id=0xFFFFFFFFFFFFFFFF, command=0x12),
        raw(command=5),
        raw(magic=b"\xfdSMB"),
        Said(raw=b"\0\xff\xff\xff"),
        Said(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
        Said(raw=framed(b"")),
        Said(raw=framed(b"\xfeSMB")),
        Said(body=b""),
        Said(body=bytes(64)),
        Said(raw=negotiated().raw or b"\0\0\0\1\0"),
    ],
)
def test_what_breaks_the_standard(said: Said) -> None:
    assert outcome(Server(over={Command.NEGOTIATE: lambda _: said})) is Reason.PROTOCOL


def test_an_answer_before_its_question() -> None:
    def twice(_: Asked) -> list[Said]:
        return [negotiated(), raw(message_id=1, command=1)]

    assert outcome(Server(over={Command.NEGOTIATE: twice})) is Reason.PROTOCOL


@pytest.mark.parametrize("token", [b"", b"\x60\x84\xff\xff\xff\xff", b"NTLMSSP\0", challenge()[:8] + b"\3" + bytes(40)])
def test_a_challenge_that_is_none(token: bytes) -> None:
    said = setup(Status.MORE_PROCESSING_REQUIRED, token)
    assert outcome(Server(over={Command.SESSION_SETUP: lambda _: said})) is Reason.PROTOCOL


def reading(count: int, session: Session) -> Conversation[object]:
    yield from session.negotiate()
    yield from session.log_in()
    wanted = [Wanted((b"f%d" % number,), 0, 3) for number in range(count)]
    return Completed(result=(yield from SmbTree(session, 1).read(wanted)))


@pytest.mark.parametrize("granted", [1, 2, 3, 5, 32, 500])
def test_many_files_within_the_credits_that_are_granted(granted: int) -> None:
    server, most = Server(granted=granted), 0
    balance = 1

    def answer(data: bytes) -> bytes:
        nonlocal balance, most
        before = len(server.log)
        out = server.answer(data)
        asked = len(server.log) - before
        assert asked <= balance
        balance += asked * (granted - 1)
        most = max(most, asked)
        return out

    attempt = drive(reading(100, Session("192.0.2.1")), answer)
    assert attempt == Completed(result=[b"abc"] * 100)
    assert (most > 3) == (granted > 1)
    opened = [each.command for each in server.log].count(Command.CREATE)
    assert opened == [each.command for each in server.log].count(Command.CLOSE) == 100


def test_after_a_break_nothing_more_is_asked() -> None:
    server = Server(over={Command.READ: lambda _: have_read(b"abcdef")})
    session = Session("192.0.2.1")
    tree = SmbTree(session, 1)

    def twice() -> Conversation[object]:
        yield from session.negotiate()
        yield from session.log_in()
        first = yield from tree.read([Wanted((b"a",), 0, 3)])
        asked = len(server.log)
        second = yield from tree.read([Wanted((b"a",), 0, 3)])
        third = yield from tree.list((), lambda _: True)
        assert len(server.log) == asked
        return Completed(result=(first, second, third.why))

    assert drive(twice(), server.answer) == Completed(result=([Reason.PROTOCOL], [Reason.PROTOCOL], Reason.PROTOCOL))
