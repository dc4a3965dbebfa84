"""When a service is looked after, and what is known then."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar

import pytest

from conversing import converse
from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Owner,
    Reason,
    Service,
    Stage,
)
from leadapron.net.conversation import Conversation, Job, Limits, Lost
from leadapron.protocols import health
from leadapron.protocols.health import Answered, Check, looked_after, silent_checks, told

HERE = Endpoint(address=ip_address("198.18.0.1"), port=21)


@dataclass(frozen=True)
class Ended:
    """A result."""

    ended: Failed | None = None
    why: Reason | Failed | None = None


@dataclass(frozen=True)
class Asking:
    """A job, and its result."""

    name: str = "hello"
    endpoint: Endpoint = HERE
    depth: ClassVar[Depth] = Depth.TALK
    limits: ClassVar[Limits] = Limits(deadline=60.0, max_received=1234)
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Ended]:
        try:
            yield b"HELLO"
        except Lost as lost:
            return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)
        return Completed(result=Ended())


def silent(reason: Reason = Reason.TIMEOUT, stage: Stage = Stage.LIST) -> Failed:
    return Failed(stage=stage, reason=reason)


DONE: Attempt[Any] = Completed(result=Ended())
THERE: Attempt[Any] = Completed(result=Answered())
NEXT: Job[Any] = Asking("tree:b")


def following(attempts: Mapping[str, Attempt[Any]], job: Job[Any] | None) -> tuple[str, float] | None:
    found = looked_after(job, attempts, Asking())
    return None if found is None else (found.name, found.delay)


@pytest.mark.parametrize(
    ("attempts", "job", "expected"),
    [
        ({"hello": DONE}, None, None),
        ({"hello": DONE, "smb1": silent()}, None, None),
        ({"hello": silent(), "hello.2": silent()}, None, None),
        ({"hello": DONE, "tree:a": DONE}, NEXT, ("tree:b", 0.0)),
        ({"hello": DONE, "tree:a": DONE}, None, ("health", 0.0)),
        ({"hello": DONE, "tree:a": DONE, "health": THERE}, None, None),
        ({"hello": DONE, "tree:a": silent()}, NEXT, ("health", 0.0)),
        ({"hello": DONE, "tree:a": Completed(result=Ended(ended=silent()))}, NEXT, ("health", 0.0)),
        ({"hello": DONE, "http.look": Completed(result=Ended(why=silent()))}, NEXT, ("health", 0.0)),
        ({"hello": DONE, "count:a": Completed(result=Ended(why=Reason.RESET))}, NEXT, ("health", 0.0)),
        ({"hello": DONE, "count:a": Completed(result=Ended(why=Reason.BUDGET))}, NEXT, ("tree:b", 0.0)),
        ({"hello": DONE, "tree:a": silent(Reason.LIMIT)}, NEXT, ("tree:b", 0.0)),
        ({"hello": DONE, "tree:a": silent(), "health": THERE}, NEXT, ("tree:b", 0.0)),
        ({"hello": DONE, "tree:a": silent(), "health": THERE, "tree:b": DONE}, None, None),
        ({"hello": DONE, "tree:a": silent(), "health": THERE, "tree:b": silent()}, None, ("health.2", 0.0)),
        ({"hello": DONE, "tree:a": silent(), "health": silent()}, NEXT, ("health.2", health.DELAY)),
        ({"hello": DONE, "tree:a": silent(), "health": silent(), "health.2": THERE}, NEXT, ("tree:b", 0.0)),
        ({"hello": DONE, "tree:a": silent(), "health": silent(), "health.2": silent(Reason.REFUSED)}, NEXT, None),
        ({"hello": DONE, "tree:a": silent(), "health": silent(Reason.LIMIT)}, NEXT, ("tree:b", 0.0)),
    ],
)
def test_when_a_service_is_looked_after(
    attempts: dict[str, Attempt[Any]], job: Job[Any] | None, expected: tuple[str, float] | None
) -> None:
    assert following(attempts, job) == expected


@pytest.mark.parametrize(
    ("checks", "gone"),
    [
        ([], set()),
        ([silent()], set()),
        ([silent(), silent(Reason.RESET)], {"health.2"}),
        ([silent(), THERE], set()),
        ([THERE, silent(), silent()], {"health.3"}),
        ([silent(), THERE, silent()], set()),
        ([silent(Reason.AUTH), silent(Reason.LIMIT)], set()),
    ],
)
def test_two_looks_in_a_row_that_find_nobody(checks: list[Attempt[Any]], gone: set[str]) -> None:
    names = ["health", "health.2", "health.3"]
    assert silent_checks(dict(zip(names, checks, strict=False))) == gone


def test_a_look_is_the_hello_and_shorter() -> None:
    check = Check(number=2, job=Asking(), delay=5.0)
    assert pickle.loads(pickle.dumps(check)) == check
    assert (check.name, check.endpoint, check.depth, check.in_clear) == ("health.2", HERE, Depth.TALK, True)
    assert (check.limits.deadline, check.limits.max_received) == (8.0, 1234)
    assert converse(check.converse(), lambda sent: (sent, True))[0] == THERE
    assert converse(check.converse(), lambda _: (b"", False))[0] == silent(Reason.RESET, Stage.HANDSHAKE)


def seen() -> Observation:
    return Observation(service=Service(endpoint=HERE, protocol="ftp"), access=Access(), owner=Owner(grant="g"))


def test_slow_and_gone_are_told_apart() -> None:
    empty = Failed(stage=Stage.TALK, reason=Reason.EMPTY)
    assert told(([seen()], None), {}) == ([seen()], None)

    (slow,), why = told(([seen()], empty), {"health": silent(), "health.2": THERE})
    assert (slow.facts, slow.unknowns, why) == ({"answers_afterwards": True}, (), empty)

    two = {"health": silent(), "health.2": silent(Reason.REFUSED)}
    gone_at = Failed(stage=Stage.TALK, reason=Reason.REFUSED)
    (gone,), why = told(([seen()], None), two)
    assert (gone.facts, gone.unknowns, why) == ({"answers_afterwards": False}, (gone_at,), None)
    assert told(([], empty), two) == ([], gone_at)
