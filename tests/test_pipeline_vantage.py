"""When a run is called blind: the decision as a table, and the looks at the listener."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from leadapron.discover.space import TargetSpace
from leadapron.discover.spaces import Spaces
from leadapron.errors import RunStopped
from leadapron.model import Address, Endpoint, Reason, RunStatus, Stage, Unknown
from leadapron.pipeline_vantage import CHANCE, Part, Round, Seen, WayOut, judged, lost, rows
from leadapron.report import stored
from leadapron.report.messages import messages
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.our_listener import OurListener

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
GOOD = Round(at=NOON)
BAD = Round(at=NOON + dt.timedelta(minutes=1), failed={443: Reason.REFUSED, 104: Reason.TIMEOUT})
LIVELY, QUIET = Part(50, 50), Part(0, 100)


@pytest.mark.parametrize(
    ("seen", "status", "reason", "part"),
    [
        (Seen(), None, None, ""),
        (Seen(rounds=[GOOD, GOOD], tried=100, rows=[[LIVELY] * 9]), None, None, ""),
        # the listener
        (Seen(rounds=[BAD]), RunStatus.BLIND, Reason.REFUSED, "on port 443, 104, so that no target was asked"),
        (Seen(rounds=[BAD], tried=1), RunStatus.STOPPED, Reason.REFUSED, "no further target was asked"),
        (
            Seen(rounds=[GOOD, BAD], tried=1),
            RunStatus.BLIND,
            Reason.REFUSED,
            "at 12:00:00 UTC, and no longer at 12:01:00",
        ),
        (Seen(rounds=[GOOD, BAD, GOOD], tried=1), RunStatus.BLIND, Reason.REFUSED, "answered at 12:00:00 UTC"),
        (
            Seen(rounds=[GOOD, BAD], rows=[[LIVELY, QUIET, QUIET]]),
            RunStatus.BLIND,
            Reason.REFUSED,
            "our listener answered",
        ),
        # an end without answers
        (
            Seen(rounds=[GOOD, GOOD], rows=[[LIVELY, QUIET]]),
            RunStatus.BLIND,
            Reason.TIMEOUT,
            "50 of the first 100 targets answered, and none of the last 100:",
        ),
        (Seen(rows=[[LIVELY, QUIET, LIVELY, QUIET]]), RunStatus.BLIND, Reason.TIMEOUT, "last 100:"),
        (Seen(rows=[[LIVELY, LIVELY, Part(0, 5)]]), None, None, ""),
        (Seen(rows=[[QUIET, LIVELY]]), None, None, ""),
        (Seen(rows=[[Part(3, 97), QUIET, QUIET]]), None, None, ""),
        (Seen(rows=[[Part(3, 97), *[QUIET] * 999]]), RunStatus.BLIND, Reason.TIMEOUT, "last 99900"),
        (Seen(rows=[[Part(1, 99), *[QUIET] * 999]]), None, None, ""),
        (Seen(rows=[[QUIET, QUIET]]), None, None, ""),
        # what was reached in the sweep, and then never again
        (Seen(reached=3, lost=3), RunStatus.BLIND, Reason.TIMEOUT, "none of 3 endpoints"),
        (Seen(reached=3, lost=2), None, None, ""),
        (Seen(reached=2, lost=2), None, None, ""),
    ],
)
def test_what_makes_a_run_blind(seen: Seen, status: RunStatus | None, reason: Reason | None, part: str) -> None:
    found = judged(seen)

    if status is None:
        assert found is None
    else:
        assert found is not None
        (decided, why), because = found
        assert (decided, because) == (status, reason)
        assert part in why
        assert stored.why(messages("en"), why) == why
        assert stored.why(messages("it"), why) != why


def test_chance_alone_makes_no_run_blind() -> None:
    """Networks of every density, in random order."""
    chance = random.Random(5)
    for _ in range(300):
        total, density = chance.randrange(10, 3000), chance.choice([0.001, 0.01, 0.1, 0.5, 0.99])
        answers = [chance.random() < density for _ in range(total)]
        parts = [answers[first : first + 64] for first in range(0, total, 64)]
        assert judged(Seen(rows=[[Part(sum(part), len(part) - sum(part)) for part in parts]])) is None
    assert CHANCE * 300 < 0.001


def test_what_comes_after_the_stretch_of_the_last_answer_says_nothing() -> None:
    """There the networks that answered may be through."""
    assert judged(Seen(rows=[[Part(50, 50, 100), *[Part(0, 100, 9_000)] * 9]])) is None
    assert judged(Seen(rows=[[Part(50, 50, 200), Part(0, 100, 200), *[Part(0, 100, 900)] * 7]])) is not None
    assert judged(Seen(rows=[[LIVELY, QUIET], [LIVELY, LIVELY]])) is not None, "of each space"


def parts_of(spaces: Spaces, does_answer: Callable[[int], bool], size: int = 128) -> list[list[Part]]:
    """As a sweep of it is kept, whose chunks end where a stretch does."""
    chunks, start = [], 0
    while start < len(spaces):
        stop = min(start + size, spaces.stretch(start)[0])
        batch = spaces.batch(start, stop - start)
        answers = [does_answer(value) for value in [*batch.addresses4.tolist(), *(at for at, _ in batch.targets6)]]
        chunks.append((start, stop, {"refused": sum(answers), "timeout": len(answers) - sum(answers)}))
        start = stop
    return rows(chunks, spaces)


LOW, PORTS = int(ip_address("198.18.0.0")), [104, 11112]
SMALL, LARGE, OTHER = (LOW, LOW + 15), (LOW + 4096, LOW + 8191), (1 << 100, (1 << 100) + 4095)


@pytest.mark.parametrize("number", range(20))
def test_a_small_network_that_answers_beside_large_ones_that_do_not_makes_no_run_blind(number: int) -> None:
    """Also where the large one is of IPv6, which is asked behind all of IPv4."""
    key = number.to_bytes(2)
    space = TargetSpace([SMALL, LARGE], [], PORTS, key)
    seen = parts_of(Spaces(space, TargetSpace([], [OTHER], PORTS, key)), lambda value: value <= SMALL[1])

    assert sum(part.answered for row in seen for part in row) == 32
    assert judged(Seen(rows=seen)) is None


@pytest.mark.parametrize("number", range(200))
def test_hosts_side_by_side_that_answer_make_no_run_blind(number: int) -> None:
    """Twenty in one of sixteen networks: an uneven stride would be through with them long before its end."""
    space = TargetSpace([LARGE], [], PORTS, number.to_bytes(2))

    seen = parts_of(Spaces(space), lambda value: value >> 8 == LARGE[0] >> 8 and 1 <= value & 0xFF <= 20)

    assert judged(Seen(rows=seen)) is None


def test_a_ban_on_the_way_is_seen_in_each_space() -> None:
    many, few = TargetSpace([SMALL, LARGE], [], PORTS, b"key"), TargetSpace([], [OTHER], PORTS, b"key")
    for banned in (0, 1):
        seen = [list(row) for row in parts_of(Spaces(many, few), lambda value: value % 3 == 0)]
        half = len(seen[banned]) // 2
        seen[banned][half:] = [Part(0, *part[1:]) for part in seen[banned][half:]]
        assert judged(Seen(rows=seen)) is not None, banned


def test_a_refusal_is_an_answer_and_an_unreachable_target_is_none() -> None:
    spaces = Spaces(TargetSpace([(LOW, LOW + 99)], [], [104], b"key"), TargetSpace([], [OTHER], [104], b"key"))
    chunks = [
        (0, 15, {"connected": 1, "refused": 2, "reset": 3, "timeout": 4, "unreachable": 5}),
        (15, 16, {"timeout": 1}),
        (16, 17, {}),
        (99, 101, {"timeout": 2}),
        (100, 103, {"refused": 3}),
    ]
    assert rows(chunks, spaces) == [[(6, 9, 100), (0, 1, 100), (0, 0, 100)], [(3, 0, 4196)]]


def test_lost_is_what_could_not_be_connected_to_again() -> None:
    reached = [Endpoint(address=ip_address(f"198.18.0.{number}"), port=104) for number in range(3)]
    unknowns = [
        Unknown(endpoint=str(reached[0]), stage=Stage.CONNECT, reason=Reason.TIMEOUT),
        Unknown(endpoint=str(reached[1]), stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT),
        Unknown(endpoint="scope test", stage=Stage.CONNECT, reason=Reason.TIMEOUT, count=9),
    ]
    assert lost(reached, unknowns) == 1


class Net:
    """Gives these answers of the listener, the last for ever."""

    def __init__(self, *answers: Reason | None) -> None:
        self.answers, self.asked = list(answers), list[tuple[Sequence[Address], int, bytes]]()

    def __call__(self, addresses: Sequence[Address], port: int, token: bytes) -> Reason | None:
        self.asked.append((addresses, port, token))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Lost:
    """Waits for word of the thread."""

    def __init__(self) -> None:
        self.why, self.told = "", threading.Event()

    def __call__(self, why: str) -> None:
        self.why = why
        self.told.set()


@pytest.fixture
def audit_log(tmp_path: Path) -> AuditLog:
    return AuditLog.open(tmp_path / "audit.jsonl")


def way_out(tmp_path: Path, audit_log: AuditLog, net: Net, *, every: float = 60.0, host: str = "198.18.9.9") -> WayOut:
    (tmp_path / "token").write_text("a token of a test\n")
    listener = OurListener(host=host, ports=(443,), token_file=tmp_path / "token")
    pins = {"listener.example": (ip_address("198.18.9.8"),)}
    return WayOut(listener, pins, audit_log, ask=net, every=every)


@pytest.mark.parametrize(("host", "address"), [("198.18.9.9", "198.18.9.9"), ("listener.example", "198.18.9.8")])
def test_it_looks_before_and_after(tmp_path: Path, audit_log: AuditLog, host: str, address: str) -> None:
    net = Net(None)
    way = way_out(tmp_path, audit_log, net, host=host)

    way.begin(pytest.fail)
    way.end()

    assert net.asked == [((ip_address(address),), 443, b"a token of a test")] * 2
    assert [look.failed for look in way.rounds] == [{}, {}]
    assert (tmp_path / "audit.jsonl").read_text().count('{"ports":{"443":"proven"}}') == 2


def test_a_way_that_is_shut_before_stops_the_run_and_is_not_looked_at_again(
    tmp_path: Path, audit_log: AuditLog
) -> None:
    net = Net(Reason.TIMEOUT)
    way = way_out(tmp_path, audit_log, net)

    with pytest.raises(RunStopped, match="could not be reached on port 443"):
        way.begin(pytest.fail)
    way.end()

    assert [look.failed for look in way.rounds] == [{443: Reason.TIMEOUT}]


def test_it_looks_while_the_run_goes_on_and_tells_once(tmp_path: Path, audit_log: AuditLog) -> None:
    way, heard = way_out(tmp_path, audit_log, Net(None, None, Reason.REFUSED), every=0.02), Lost()

    way.begin(heard)
    assert heard.told.wait(20)
    way.end()

    assert heard.why.startswith("our listener answered at ")
    assert [look.failed for look in way.rounds] == [{}, {}, {443: Reason.REFUSED}]


def test_a_listener_that_the_scope_no_longer_permits_is_no_evidence(tmp_path: Path, audit_log: AuditLog) -> None:
    way = way_out(tmp_path, audit_log, Net(None, Reason.OUT_OF_SCOPE))

    way.begin(pytest.fail)
    way.end()

    assert judged(Seen(rounds=way.rounds, tried=1)) is None


def test_a_token_that_is_gone_stops_the_run_before_anything_is_sent(tmp_path: Path, audit_log: AuditLog) -> None:
    net = Net(None)
    way = way_out(tmp_path, audit_log, net)
    (tmp_path / "token").unlink()

    with pytest.raises(RunStopped, match="the token of the listener cannot be read"):
        way.begin(pytest.fail)

    assert net.asked == []


def test_without_a_listener_nothing_is_looked_at(audit_log: AuditLog) -> None:
    net = Net(Reason.REFUSED)
    way = WayOut(None, {}, audit_log, ask=net)
    way.begin(pytest.fail)
    way.end()
    assert (net.asked, way.rounds) == ([], [])
