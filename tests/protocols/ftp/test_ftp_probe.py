"""What the plan asks, and what the attempts mean: the table of docs/ftp.md, row by row."""

from __future__ import annotations

import pickle
from ipaddress import ip_address
from typing import Any

import pytest
from file_doors import terms

from leadapron.identify.match import IDENTIFY
from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Product,
    Reason,
    Stage,
    Verdict,
)
from leadapron.net.conversation import OpenSide, Question
from leadapron.protocols.base import Case
from leadapron.protocols.ftp.census import TREE
from leadapron.protocols.ftp.control import Control
from leadapron.protocols.ftp.probe import PROTOCOL
from leadapron.protocols.ftp.session import BLANK, HELLO, Greeted, LoggedIn
from leadapron.protocols.health import HEALTH, Answered

HERE = Endpoint(address=ip_address("127.0.0.1"), port=21)
IMPLICIT = Endpoint(address=ip_address("127.0.0.1"), port=990)
GREETED = Completed(result=Greeted(product=Product(name="vsftpd"), tls_offered=True, features={"epsv": True}))
IN = Completed(result=LoggedIn(accepted=True, code=230, pasv_elsewhere=False))
IN_PRIVATE = Completed(result=LoggedIn(accepted=True, code=230, inside_tls=True, tls_required=True, private=True))
OUT = Completed(result=LoggedIn(accepted=False, code=530))
LOST = Failed(stage=Stage.TALK, reason=Reason.RESET)
THERE = Completed(result=Answered())


def case(endpoint: Endpoint = HERE, attempts: dict[str, Attempt[Any]] | None = None, **of: Any) -> Case:
    stored = {name: PROTOCOL.encode_attempt(attempt) for name, attempt in (attempts or {}).items()}
    return Case(endpoint=endpoint, terms=terms(**{"blank_login": True, **of}), attempts=stored)


def next_name(attempts: dict[str, Attempt[Any]], **of: Any) -> str | None:
    job = PROTOCOL.next_job(case(attempts=attempts, **of), IDENTIFY)
    if job is None:
        return None
    assert pickle.loads(pickle.dumps(job)) == job
    return job.name


def test_the_plan() -> None:
    assert next_name({}) == HELLO
    assert next_name({HELLO: LOST}) is None
    assert next_name({HELLO: GREETED}) == BLANK
    assert next_name({HELLO: GREETED}, blank_login=False) is None
    assert next_name({HELLO: GREETED}, depth=Depth.TALK) is None
    assert next_name({HELLO: GREETED}, associations=1) is None
    assert next_name({HELLO: GREETED, BLANK: LOST}) == HEALTH
    assert next_name({HELLO: GREETED, BLANK: LOST, HEALTH: THERE}) is None
    assert next_name({HELLO: GREETED, BLANK: OUT}) == HEALTH
    assert next_name({HELLO: GREETED, BLANK: OUT, HEALTH: THERE}) is None
    assert next_name({HELLO: GREETED, BLANK: IN}) == TREE
    assert next_name({HELLO: GREETED, BLANK: IN}, associations=2) == HEALTH
    assert next_name({HELLO: GREETED, BLANK: IN, TREE: LOST}) == HEALTH


@pytest.mark.parametrize(
    ("endpoint", "known", "in_clear"), [(HERE, IN, True), (HERE, IN_PRIVATE, False), (IMPLICIT, IN_PRIVATE, False)]
)
def test_who_listens_on_the_way(endpoint: Endpoint, known: Completed[LoggedIn], in_clear: bool) -> None:
    job = PROTOCOL.next_job(case(endpoint, {HELLO: GREETED, BLANK: known}), IDENTIFY)
    assert job is not None
    assert job.in_clear is in_clear
    hello = PROTOCOL.next_job(case(endpoint), IDENTIFY)
    assert hello is not None
    assert hello.in_clear is (endpoint is HERE)


@pytest.mark.parametrize(
    ("known", "of", "depth"),
    [
        (IN, {"depth": Depth.CENSUS}, Depth.COUNT),
        (IN, {"depth": Depth.CENSUS, "census": True}, Depth.CENSUS),
        (IN_PRIVATE, {"depth": Depth.CENSUS}, Depth.CENSUS),
        (IN_PRIVATE, {"depth": Depth.COUNT, "census": True}, Depth.COUNT),
    ],
)
def test_how_deep_the_walk_goes(known: Completed[LoggedIn], of: dict[str, Any], depth: Depth) -> None:
    job = PROTOCOL.next_job(case(attempts={HELLO: GREETED, BLANK: known}, **of), IDENTIFY)
    assert job is not None
    assert job.depth is depth


def concluded(attempts: dict[str, Attempt[Any]], **of: Any) -> dict[str, Observation]:
    seen, failed = PROTOCOL.conclude(case(attempts=attempts, **of))
    assert failed is None
    for each in seen:
        assert (Verdict.UNKNOWN in (each.access.list, each.access.read)) <= bool(each.unknowns)
    return {each.service.resource: each for each in seen}


@pytest.mark.parametrize("of", [{"blank_login": False}, {"depth": Depth.TALK}])
def test_nobody_asked(of: dict[str, Any]) -> None:
    seen = concluded({HELLO: GREETED}, **of)
    assert set(seen) == {""}
    assert seen[""].access == Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN)
    assert "blank_login_accepted" not in seen[""].facts


@pytest.mark.parametrize(
    ("blank", "of", "verdict", "reasons"),
    [
        (None, {"associations": 1}, Verdict.UNKNOWN, [Reason.BUDGET]),
        (LOST, {}, Verdict.UNKNOWN, [Reason.RESET]),
        (OUT, {}, Verdict.REFUSED, []),
    ],
)
def test_nobody_was_let_in(
    blank: Attempt[LoggedIn] | None, of: dict[str, Any], verdict: Verdict, reasons: list[Reason]
) -> None:
    seen = concluded({HELLO: GREETED} | ({BLANK: blank} if blank else {}), **of)
    assert set(seen) == {"", "/"}
    assert seen[""].access == Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN)
    assert seen["/"].access == Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict)
    assert [each.reason for each in seen["/"].unknowns] == reasons
    assert seen[""].facts.get("blank_login_accepted") == (False if blank is OUT else None)
    assert {each.product.name for each in seen.values()} == {"vsftpd"}


@pytest.mark.parametrize(("tree", "reason"), [(None, Reason.BUDGET), (LOST, Reason.RESET)])
def test_let_in_and_nothing_seen(tree: Failed | None, reason: Reason) -> None:
    seen = concluded({HELLO: GREETED, BLANK: IN} | ({TREE: tree} if tree else {}))
    assert seen[""].facts["blank_login_accepted"] is True
    assert seen["/"].access.list is Verdict.UNKNOWN
    assert [each.reason for each in seen["/"].unknowns] == [reason]
    assert "blank_login_accepted" not in seen["/"].facts, "one login is one finding"


def test_facts() -> None:
    facts = concluded({HELLO: GREETED, BLANK: IN})[""].facts
    assert facts == {
        "tls_offered": True,
        "implicit_tls": False,
        "feature.epsv": True,
        "blank_login_accepted": True,
        "login_code": 230,
        "tls_required": False,
        "data_in_tls": False,
        "pasv_elsewhere": False,
    }


def test_without_a_greeting_there_is_nothing() -> None:
    assert PROTOCOL.conclude(case(attempts={HELLO: LOST})) == ((), LOST)
    seen, failed = PROTOCOL.conclude(case())
    assert not seen
    assert failed is not None


def test_whose_jobs_are_whose() -> None:
    assert PROTOCOL.service_of(TREE) == ("ftp", "/")
    assert PROTOCOL.service_of(HELLO) == PROTOCOL.service_of(BLANK) == ("ftp", "")


def test_what_makes_the_server_work_is_a_question() -> None:
    """Between two of them we wait where it slows down; what only opens a connection is none."""
    steps = Control(HERE).transfer(b"RETR a\r\n", lambda _: True)
    assert not isinstance(next(steps), Question)
    assert isinstance(steps.send(b"229 Extended (|||5000|)\r\n"), OpenSide)
    asking = steps.send(b"")
    assert (bytes(asking), isinstance(asking, Question)) == (b"RETR a\r\n", True)
