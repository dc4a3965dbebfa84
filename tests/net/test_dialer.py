"""One connection of the deep stages: every bound is enforced, and why it ended is told."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from leadapron.model import Attempt, Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost, Question
from leadapron.net.dialer import Line, hold
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import armed
from listening import Serve, listening
from scope_file import write_scope

LIMITS = Limits(connect_timeout=2, idle_timeout=5, deadline=10)


def conversation(most: int = 1 << 30) -> Conversation[int]:
    """Says hello, and counts what comes until the end or `most`."""
    received = 0
    try:
        while received < most:
            received += len((yield b"hello" if not received else b""))
    except Lost as lost:
        return Failed(stage=Stage.TALK, reason=lost.reason, detail=str(received))
    return Completed(result=received)


def carry(endpoint: Endpoint, limits: Limits = LIMITS, most: int = 1 << 30) -> Attempt[int]:
    return asyncio.run(hold(conversation(most), endpoint, Line(limits), limits))


def reason(attempt: Attempt[int]) -> Reason:
    assert isinstance(attempt, Failed)
    return attempt.reason


def saying(answer: bytes, pause: float = 0.0, times: int = 1) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        for _ in range(times):
            writer.write(answer)
            await writer.drain()
            await asyncio.sleep(pause)

    return serve


def test_what_comes_is_handed_on_until_the_conversation_has_enough() -> None:
    with listening(saying(b"x" * 1000)) as (here,):
        assert carry(here, most=1000) == Completed(result=1000)


def test_a_peer_that_hangs_up_is_a_reset_behind_what_it_said() -> None:
    with listening(saying(b"x" * 10)) as (here,):
        assert carry(here) == Failed(stage=Stage.TALK, reason=Reason.RESET, detail="10")


def test_a_silent_peer_is_a_timeout_of_the_idle_limit() -> None:
    with listening(saying(b"", pause=60)) as (here,):
        assert reason(carry(here, Limits(idle_timeout=0.2, deadline=30))) is Reason.TIMEOUT


def test_a_peer_that_drips_ends_at_the_deadline() -> None:
    with listening(saying(b"x", pause=0.05, times=1000)) as (here,):
        attempt = carry(here, Limits(idle_timeout=5, deadline=0.5))
    assert reason(attempt) is Reason.TIMEOUT
    assert isinstance(attempt, Failed)
    assert 0 < int(attempt.detail) < 100


def test_a_peer_that_floods_ends_at_the_byte_cap() -> None:
    with listening(saying(b"x" * 65_536, times=10_000)) as (here,):
        attempt = carry(here, Limits(max_received=1 << 20))
    assert reason(attempt) is Reason.LIMIT
    assert isinstance(attempt, Failed)
    assert int(attempt.detail) <= 1 << 20


def test_a_closed_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    assert reason(carry(Endpoint(address=ip_address("127.0.0.1"), port=port))) is Reason.REFUSED


def test_a_line_that_is_cut_tells_why() -> None:
    async def main(here: Endpoint) -> Attempt[int]:
        line = Line(LIMITS)
        running = asyncio.create_task(hold(conversation(), here, line, LIMITS))
        await asyncio.sleep(0.1)
        line.cut(Reason.STOPPED)
        return await asyncio.wait_for(running, 5)

    with listening(saying(b"", pause=60)) as (here,):
        assert reason(asyncio.run(main(here))) is Reason.STOPPED


def test_last_words_are_sent_and_nothing_is_waited_for() -> None:
    heard: list[bytes] = []
    has_heard = threading.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(-1))
        has_heard.set()

    def leaving() -> Conversation[str]:
        try:
            yield LastWords(b"farewell")
        except Lost as lost:
            return Completed(result=lost.reason.value)
        raise AssertionError

    with listening(serve) as (here,):
        attempt = asyncio.run(hold(leaving(), here, Line(LIMITS), LIMITS))
        assert attempt == Completed(result="reset")
        assert has_heard.wait(10)
    assert heard == [b"farewell"]


@pytest.mark.parametrize("version", [4, 6])
def test_under_an_armed_gate_a_denied_dial_goes_nowhere(tmp_path: Path, version: int) -> None:
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1

    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.250/32"], ports=[104])
    with listening(serve) as (here,), armed(Gate(load_scope(scope))):
        place = here if version == 4 else Endpoint(address=ip_address("::1"), port=here.port)
        assert reason(carry(place)) is Reason.OUT_OF_SCOPE
    assert count == 0


def test_a_peer_that_floods_neither_outlives_its_deadline_nor_holds_up_the_others() -> None:
    """Each read finds more at once, and each piece is work: the event loop gets its turn all the same."""
    ticks = 0

    def busy() -> Conversation[int]:
        try:
            yield b"hello"
            while True:
                time.sleep(0.005)  # what an answer with many elements costs
                yield b""
        except Lost as lost:
            return Failed(stage=Stage.TALK, reason=lost.reason)

    async def beside() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def main(here: Endpoint) -> Attempt[int]:
        watching = asyncio.create_task(beside())
        attempt = await hold(busy(), here, Line(limits), limits)
        watching.cancel()
        return attempt

    limits = Limits(deadline=1.0, max_received=1 << 40)
    with listening(saying(b"x" * 65_536, times=1 << 20)) as (here,):
        begun = time.monotonic()
        attempt = asyncio.run(main(here))
        took = time.monotonic() - begun
    assert reason(attempt) is Reason.TIMEOUT
    assert took < 4
    assert ticks > 10


def test_a_question_waits_as_long_as_the_last_answer_took_where_that_was_slow() -> None:
    pauses = [0.0, 0.3, 0.0]
    came: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for pause in pauses:
            await reader.read(100)
            came.append(time.monotonic())
            await asyncio.sleep(pause)
            writer.write(b"answer")
            await writer.drain()

    def asking() -> Conversation[int]:
        for _ in pauses:
            yield Question(b"question")
        return Completed(result=1)

    with listening(serve) as (here,):
        assert isinstance(asyncio.run(hold(asking(), here, Line(LIMITS), LIMITS)), Completed)
    assert came[1] - came[0] < 0.3
    assert came[2] - came[1] >= 0.6


def test_who_is_left_at_the_deadline_hears_a_farewell() -> None:
    heard: list[bytes] = []
    has_heard = threading.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(-1))
        has_heard.set()

    def polite() -> Conversation[int]:
        try:
            yield b"hello"
        except Lost as lost:
            try:
                yield LastWords(b"farewell")
            except Lost:
                return Failed(stage=Stage.TALK, reason=lost.reason)
        raise AssertionError

    limits = Limits(deadline=0.3)
    with listening(serve) as (here,):
        assert reason(asyncio.run(hold(polite(), here, Line(limits), limits))) is Reason.TIMEOUT
        assert has_heard.wait(10)
    assert heard == [b"hellofarewell"]
