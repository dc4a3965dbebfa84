"""HL7 over MLLP: what comes to an empty block, whole, byte by byte, truncated and hostile, and what it means."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.identify.match import IDENTIFY
from leadapron.model import Attempt, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.net.conversation import Lost
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.hl7 import wire
from leadapron.protocols.hl7.probe import PROTOCOL, Hello
from leadapron.protocols.hl7.wire import Heard
from leadapron.scope.doors import doors
from seeds import seeds

HERE = Endpoint(address=ip_address("127.0.0.1"), port=2575)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")
MESSAGE = b"MSH|^~\\&|SYNTHETIC|CANARY|||20260101||ACK|1|P|2.5\rMSA|AR|1|made up\r"


def block(content: bytes) -> bytes:
    return b"\x0b" + content + b"\x1c\x0d"


def hello(*pieces: bytes, lost: Reason = Reason.RESET) -> Attempt[Any]:
    conversation = Hello(endpoint=HERE).converse()
    assert next(conversation) == b"\x0b\x1c\x0d"
    try:
        for piece in pieces:
            assert conversation.send(piece) == b""
        conversation.throw(Lost(lost))
    except StopIteration as stop:
        attempt: Attempt[Any] = stop.value
        return attempt
    raise AssertionError("it does not end")


def seen(attempt: Attempt[Any]) -> tuple[list[Observation], Failed | None]:
    stored = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
    case = Case(endpoint=HERE, terms=TERMS, attempts={"hello": stored})
    assert PROTOCOL.next_job(case, IDENTIFY) is None
    observations, why = PROTOCOL.conclude(case)
    return list(observations), why


def test_its_door_has_no_files() -> None:
    door = doors()["hl7"]
    assert (door.ports, door.kinds) == ((2575,), frozenset())


@pytest.mark.parametrize(
    ("content", "heard"),
    [
        (MESSAGE, Heard.MESSAGE),
        (b"BHS|", Heard.MESSAGE),
        (b"\x06", Heard.ACKNOWLEDGED),
        (b"\x15", Heard.REJECTED),
        (b"", Heard.BLOCK),
        (b"anything", Heard.BLOCK),
    ],
)
def test_a_server_that_answers_with_a_block_talks(content: bytes, heard: Heard) -> None:
    data = block(content)
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))], [data + b"more"]):
        attempt = hello(*pieces)
        assert attempt.result.heard is heard  # type: ignore[union-attr]
        ((observation,), why) = seen(attempt)
        assert why is None
        assert (observation.access.reach, observation.access.talk) == (Verdict.PROVEN, Verdict.PROVEN)
        assert observation.facts == {"message": heard is Heard.MESSAGE}
        assert "CANARY" not in f"{attempt} {observation}"


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.RESET])
def test_silence_is_an_unknown(reason: Reason) -> None:
    ((observation,), why) = seen(hello(lost=reason))
    assert why is None
    assert (observation.access.reach, observation.access.talk) == (Verdict.PROVEN, Verdict.UNKNOWN)
    assert observation.unknowns == (Failed(stage=Stage.TALK, reason=reason),)


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.UNREACHABLE, Reason.STOPPED, Reason.OUT_OF_SCOPE])
def test_who_was_not_reached_is_not_seen(reason: Reason) -> None:
    failed = Failed(stage=Stage.HANDSHAKE, reason=reason)
    assert seen(hello(lost=reason)) == ([], failed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-made-up\r\n", Reason.PROTOCOL),
        (b"\x16\x03\x01", Reason.PROTOCOL),
        (b"\x0b" + MESSAGE, Reason.TRUNCATED),
        (b"\x0b" + bytes(wire.MAX_BLOCK), Reason.PROTOCOL),
    ],
    ids=["SSH", "TLS", "a block without its end", "a block that never ends"],
)
def test_what_is_no_block_is_no_server(data: bytes, reason: Reason) -> None:
    attempt = hello(data)
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.HANDSHAKE, reason)


@given(st.binary(max_size=200))
@seeds(
    [(block(MESSAGE),), (block(b"\x06"),), (b"\x0b" + MESSAGE,), (b"\x0b" + b"A" * 100_000,), (b"SSH-2.0-made-up\r\n",)]
)
def test_any_bytes_are_a_block_or_none(data: bytes) -> None:
    read = wire.read_block(data)
    assert read is None or read is wire.NEED_DATA or read in Heard
    assert wire.read_block(block(b"x") + data) is Heard.BLOCK


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5))
def test_whatever_comes_is_a_result(pieces: list[bytes]) -> None:
    observations, why = seen(hello(*pieces))
    assert bool(observations) is (why is None)


def test_first_it_says_hello_and_without_one_nothing_is_known() -> None:
    case = Case(endpoint=HERE, terms=TERMS, attempts={})
    job = PROTOCOL.next_job(case, IDENTIFY)
    assert job is not None
    assert (job.name, job.depth, job.in_clear) == ("hello", Depth.TALK, True)
    assert PROTOCOL.conclude(case)[1] == Failed(stage=Stage.CONNECT, reason=Reason.STOPPED)
