"""Servers that mean harm or are broken: every job ends as a result, in its bounds; nothing is raised, nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smb_server import Asked, Said, Server, called, drive, entries, entry, enumerated, fragment, have_read, shares
from test_smb_probe import CANARY, HERE, SMB1_YES, Audit, server, terms

from leadapron.model import Attempt, Completed, Failed, Reason, Stage, Verdict
from leadapron.protocols.smb.jobs import GreetSmb1, Hello, LogIn, WalkShare
from leadapron.protocols.smb.wire import rpc
from leadapron.protocols.smb.wire.frame import framed
from leadapron.protocols.smb.wire.header import Command, Status

JOBS: list[Any] = [
    Hello(endpoint=HERE),
    GreetSmb1(endpoint=HERE, speaks_smb2=True),
    LogIn(endpoint=HERE),
    WalkShare(endpoint=HERE, shown="public", terms=terms(requests=50, answers=500)),
]
each_job = pytest.mark.parametrize("job", JOBS, ids=[job.name for job in JOBS])


def is_result(attempt: Attempt[Any]) -> bool:
    return isinstance(attempt, Completed | Failed)


@each_job
@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_as_a_result(job: Any, data: bytes) -> None:
    assert is_result(drive(job.converse(), lambda _: data))
    assert is_result(drive(job.converse(), lambda _: framed(data)))


@each_job
@given(places=st.lists(st.tuples(st.integers(0, 12), st.integers(4, 250), st.integers(0, 255)), max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_changed_answers_end_as_a_result(job: Any, places: list[tuple[int, int, int]]) -> None:
    """Of a server that is sound otherwise: in its n-th answers, some bytes are others."""
    sound, count = Server(), -1

    def answer(sent: bytes) -> bytes:
        nonlocal count
        count += 1
        said = bytearray(sound.answer(sent) if job.name != "smb1" else SMB1_YES)
        for number, place, value in places:
            if number == count and place < len(said):
                said[place] = value
        return bytes(said)

    assert is_result(drive(job.converse(), answer))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10, 67, 80])
@pytest.mark.parametrize("number", range(8))
def test_an_answer_that_is_cut_is_no_end(cut: int, number: int) -> None:
    """The n-th answer stops in the middle, and no more comes: that is told, and no verdict is made of it."""
    rest = [number]

    def make() -> Server:
        made = Server()
        whole = made.answer

        def answer(data: bytes) -> bytes:
            rest[0] -= 1
            said = whole(data)
            return said if rest[0] >= 0 else said[:cut]

        made.answer = answer  # type: ignore[method-assign]
        return made

    audit = Audit(make, terms())
    assert audit.why is not None or any(each.unknowns for each in audit.seen)
    assert not any(each.exposed for each in audit.seen)


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        (Command.SESSION_SETUP, Stage.HANDSHAKE),
        (Command.TREE_CONNECT, Stage.LIST),
        (Command.CREATE, Stage.LIST),
        (Command.IOCTL, Stage.LIST),
    ],
)
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(raw=b""), Reason.TIMEOUT),
        (Said(raw=b"\0\xff\xff\xff"), Reason.PROTOCOL),
        (Said(raw=framed(b"\xfdSMB" + bytes(80))), Reason.PROTOCOL),
        (Said(Status.PENDING, is_async=True), Reason.TIMEOUT),
        (Said(body=b""), Reason.PROTOCOL),
    ],
)
def test_where_it_went_wrong_is_told(command: Command, stage: Stage, said: Said, reason: Reason) -> None:
    audit = Audit(server({command: lambda _: said}), terms())
    found = audit.of()
    assert (found.access.talk, found.access.list) == (Verdict.PROVEN, Verdict.UNKNOWN)
    assert Failed(stage=stage, reason=reason) in found.unknowns


def test_pending_for_ever_at_every_command() -> None:
    for command in (Command.SESSION_SETUP, Command.TREE_CONNECT, Command.IOCTL):
        audit = Audit(server({command: lambda _: [Said(Status.PENDING, is_async=True)] * 1000}), terms())
        assert Reason.LIMIT in {each.reason for each in audit.of().unknowns}


def test_fragments_without_an_end() -> None:
    endless = fragment(2, bytes(8) + bytes(100), 0)
    calls: list[int] = []

    def call(asked: Asked) -> Said:
        calls.append(1)
        return Server()._say(asked) if len(calls) % 2 else called(fragment(2, bytes(8) + bytes(100), 1))

    over = {Command.IOCTL: call, Command.READ: lambda _: have_read(endless)}
    attempt = drive(LogIn(endpoint=HERE).converse(), Server(over=over).answer)
    assert isinstance(attempt, Completed)
    assert attempt.result.ended == Failed(stage=Stage.LIST, reason=Reason.PROTOCOL)
    assert rpc.MAX_FRAGMENTS < 2000


def test_shares_that_come_piece_by_piece() -> None:
    whole = enumerated(("public", 0))
    pieces = [whole[place : place + 3] for place in range(0, len(whole), 3)]
    calls: list[int] = []

    def call(asked: Asked) -> Said:
        calls.append(1)
        return Server()._say(asked) if len(calls) % 2 else called(pieces.pop(0), Status.BUFFER_OVERFLOW)

    over = {Command.IOCTL: call, Command.READ: lambda _: have_read(pieces.pop(0))}
    attempt = drive(LogIn(endpoint=HERE).converse(), Server(over=over).answer)
    assert isinstance(attempt, Completed)
    assert [each.shown for each in attempt.result.shares] == ["public"]


def test_absurd_shares() -> None:
    """As many as are believed, all with the longest names: bounded, told, nothing of them kept."""
    named = [(f"{CANARY}{number:04}" + "x" * 400, 0) for number in range(200)]
    stub = bytes(8) + shares(*named, remark=CANARY)
    parts = [stub[8 + place : 8 + place + 60_000] for place in range(0, len(stub) - 8, 60_000)]
    data = [
        fragment(2, bytes(8) + part, (1 if number == 0 else 0) | (2 if number == len(parts) - 1 else 0))
        for number, part in enumerate(parts)
    ]
    calls: list[int] = []

    def call(asked: Asked) -> Said:
        calls.append(1)
        return Server()._say(asked) if len(calls) % 2 else called(data[0])

    reads_made: list[int] = []
    over = {Command.IOCTL: call, Command.READ: lambda _: _next(data, reads_made)}
    attempt = drive(LogIn(endpoint=HERE).converse(), Server(over=over).answer)
    assert isinstance(attempt, Completed)
    assert len(attempt.result.shares) == 64
    assert attempt.result.left_out == 136
    assert "DOE" not in repr(attempt)


def _next(data: list[bytes], made: list[int]) -> Said:
    made.append(1)
    return have_read(data[len(made)])


def test_folders_without_an_end_are_bounded_by_the_budget() -> None:
    """Every folder lists two thousand files and as many folders, for ever, all of other names."""
    count = [0]

    def query(_: Asked) -> Said:
        count[0] += 1
        return entries(*(entry(f"{CANARY}{count[0]}-{n}", 0x10 if n % 2 else 0x80, size=4000) for n in range(200)))

    of = terms(requests=20, answers=2000)
    job = WalkShare(endpoint=HERE, shown="public", terms=of)
    attempt = drive(job.converse(), Server(over={Command.QUERY_DIRECTORY: query}).answer)
    assert isinstance(attempt, Completed)
    assert "DOE" not in repr(attempt)
    assert count[0] < 20_000
