"""iSCSI: the first Login Response, whole, byte by byte, truncated and hostile, and what it means."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.identify.match import IDENTIFY
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.net.conversation import Lost
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.iscsi import wire
from leadapron.protocols.iscsi.probe import PROTOCOL, Hello
from leadapron.protocols.iscsi.wire import Method, Response
from leadapron.scope.doors import doors
from seeds import seeds

HERE = Endpoint(address=ip_address("127.0.0.1"), port=3260)
TERMS = Terms(depth=Depth.TALK, owner=Owner(grant="g"), calling_aet="LEADAPRON")


def response(status: tuple[int, int] = (0, 0), data: bytes = b"AuthMethod=None\0", opcode: int = 0x23) -> bytes:
    head = bytes([opcode, 0x81, 0, 0, 0]) + len(data).to_bytes(3, "big") + bytes.fromhex("800000000000")
    head = head.ljust(36, b"\0") + bytes(status)
    return head.ljust(48, b"\0") + data + bytes(-len(data) % 4)


def hello(*pieces: bytes, lost: Reason = Reason.RESET) -> Attempt[Any]:
    conversation = Hello(endpoint=HERE).converse()
    assert next(conversation) == wire.login_request()
    try:
        for piece in pieces:
            conversation.send(piece)
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
    door = doors()["iscsi"]
    assert (door.ports, door.kinds) == ((3260,), frozenset())


def test_the_request_is_a_login_for_discovery_and_nothing_more() -> None:
    request = wire.login_request()
    assert request[0] == 0x43
    assert request[1] == 0x81
    assert int.from_bytes(request[5:8], "big") == len(request[48:].rstrip(b"\0")) + 1
    assert len(request) % 4 == 0
    pairs = request[48:].rstrip(b"\0").split(b"\0")
    assert pairs == [b"InitiatorName=iqn.2026-11.invalid:leadapron", b"SessionType=Discovery", b"AuthMethod=None,CHAP"]


@pytest.mark.parametrize(
    ("pdu", "facts"),
    [
        (response(), {"status_class": 0, "status_detail": 0, "login_demanded": False}),
        (response(data=b"AuthMethod=CHAP\0"), {"status_class": 0, "status_detail": 0, "login_demanded": True}),
        (response(data=b"TargetPortalGroupTag=1\0"), {"status_class": 0, "status_detail": 0}),
        (response(data=b""), {"status_class": 0, "status_detail": 0}),
        (response(data=b"AuthMethod=KRB5\0"), {"status_class": 0, "status_detail": 0}),
        (response((1, 1)), {"status_class": 1, "status_detail": 1, "redirected": True}),
        (response((2, 1)), {"status_class": 2, "status_detail": 1, "login_demanded": True}),
        (response((2, 2)), {"status_class": 2, "status_detail": 2}),
        (response((3, 1)), {"status_class": 3, "status_detail": 1}),
        (response(opcode=0x3F), {"rejected": True}),
    ],
)
def test_a_target_that_answers_talks(pdu: bytes, facts: dict[str, int | bool]) -> None:
    for pieces in ([pdu], [pdu[at : at + 1] for at in range(len(pdu))], [pdu + b"more"]):
        ((observation,), why) = seen(hello(*pieces))
        assert why is None
        assert (observation.access.reach, observation.access.talk) == (Verdict.PROVEN, Verdict.PROVEN)
        assert observation.access.list is Verdict.NOT_ASKED
        assert observation.facts == facts


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(48), Reason.PROTOCOL),
        (wire.login_request(), Reason.PROTOCOL),
        (response()[:40], Reason.TRUNCATED),
        (response(data=b"AuthMethod=None\0" * 2)[:-1], Reason.TRUNCATED),
        (response()[:4] + b"\x01" + response()[5:], Reason.PROTOCOL),
        (response()[:5] + b"\xff\xff\xff" + response()[8:], Reason.LIMIT),
        (response()[:8] + b"\x01" + response()[9:], Reason.PROTOCOL),
        (b"", Reason.RESET),
    ],
    ids=["HTTP", "an echo", "half a header", "half of the data", "more headers", "16 MiB", "another ISID", "nothing"],
)
def test_what_is_no_answer_is_no_target(answer: bytes, reason: Reason) -> None:
    attempt = hello(*([answer] if answer else []))
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.HANDSHAKE, reason)
    assert seen(attempt) == ([], attempt)


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.REFUSED, Reason.STOPPED])
def test_a_lost_connection_keeps_its_reason(reason: Reason) -> None:
    assert hello(lost=reason) == Failed(stage=Stage.HANDSHAKE, reason=reason)


def test_where_a_redirection_leads_is_not_kept() -> None:
    attempt = hello(response((1, 1), b"TargetAddress=198.51.100.7:3260,1\0TargetAlias=SYNTHETIC-CANARY\0"))
    assert "198.51" not in f"{attempt}"
    assert "CANARY" not in f"{attempt}"


@given(st.binary(max_size=200))
@seeds(
    [
        (response(),),
        (response(data=b"AuthMethod=CHAP\0"),),
        (response()[:50],),
        (response()[:5] + b"\xff\xff\xff" + response()[8:],),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    ]
)
def test_any_bytes_are_a_response_or_the_one_error(data: bytes) -> None:
    try:
        assert isinstance(wire.read_response(data), Response | None)
    except WireError as error:
        assert error.rule


@given(st.binary(max_size=100), st.integers(0, 3), st.integers(0, 255))
def test_any_data_of_a_response_is_read(data: bytes, status: int, detail: int) -> None:
    read = wire.read_response(response((status, detail), data))
    assert read is not None
    assert (read.status_class, read.status_detail) == (status, detail)
    assert read.method is None or read.method in Method


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5))
def test_whatever_comes_is_a_result(pieces: list[bytes]) -> None:
    observations, why = seen(hello(*pieces))
    assert bool(observations) is (why is None)


def test_first_it_says_hello_and_without_one_nothing_is_known() -> None:
    case = Case(endpoint=HERE, terms=TERMS, attempts={})
    job = PROTOCOL.next_job(case, IDENTIFY)
    assert job is not None
    assert (job.name, job.depth, job.in_clear) == ("hello", Depth.TALK, True)
    assert PROTOCOL.conclude(case)[1] == Failed(stage=Stage.CONNECT, reason=Reason.STOPPED)
    assert isinstance(hello(response()), Completed)
