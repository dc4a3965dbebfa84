"""A seat is kept while it is renewed, and left in time by its holder's own clock; what has to be known in seconds is."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from leadapron.cluster.seat import LOST, SAFE, UNLED, Fenced, Seat
from leadapron.errors import StoreError
from leadapron.model import Endpoint, Run, Vantage, VantageKind
from leadapron.scope.decision import Denied
from leadapron.store.leases import Leases
from leadapron.store.store import Store

RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="s",
    scope_sha256="0" * 64,
    vantage=Vantage(kind=VantageKind.INTERNET, name="here"),
    version="0",
    started_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
)
LIFE = 3.0


class Book:
    head, entries = "h", 7


class Anything:
    def dial_allowed(self, _host: str, _port: int) -> Denied | None:
        return None


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[Leases]:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.create_run(RUN, permutation_key="2." + "5a" * 16)
        made = Leases(store._engine, RUN.id)
        made.begin(seats=1, shards=[range(10)], exclusions=b"before")
        yield made


Take = Callable[..., tuple[Seat, list[str]]]


@pytest.fixture
def take(leases: Leases) -> Iterator[Take]:
    """A seat that has begun, and why it is told to end."""
    taken: list[Seat] = []

    def taking(**options: object) -> tuple[Seat, list[str]]:
        why: list[str] = []
        since = time.monotonic()
        assert leases.sit("a", "one", life=LIFE) == 0
        seat = Seat(leases, "a", Book(), on_end=why.append, since=since, life=LIFE, **options)  # type: ignore[arg-type]
        taken.append(seat)
        seat.begin()
        return seat, why

    yield taking
    for seat in taken:
        seat.close()


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_a_seat_is_kept_beyond_its_life(take: Take, leases: Leases) -> None:
    seat, why = take()
    time.sleep(1.5 * LIFE)
    assert leases.seated() == 1
    assert (seat.is_over(), why) == (False, [])
    assert [(shift.entries, shift.head) for shift in leases.shifts()] == [(7, "h")]


def test_who_cannot_renew_stops_before_the_seat_is_lost(
    take: Take, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the way to the store is cut: the statement hangs, longer than the seat lasts."""
    stuck: list[bool] = []
    seat, why = take(on_stuck=lambda: stuck.append(True))
    guard = Fenced(Anything(), seat)
    wait_for(lambda: seat.news)
    assert guard.dial_allowed("198.18.0.9", 104) is None

    def hangs(*_: object, **__: object) -> None:
        time.sleep(3 * LIFE)
        raise StoreError("it hangs")

    monkeypatch.setattr(leases, "renew", hangs)
    monkeypatch.setattr(leases, "news", hangs)
    cut = time.monotonic()
    wait_for(seat.is_over)
    assert time.monotonic() - cut < LIFE * SAFE + 0.5
    assert guard.dial_allowed("198.18.0.9", 104) is Denied.SEAT
    assert leases.seated() == 1, "it is not somebody else's yet"
    wait_for(lambda: stuck)
    assert (why, seat.is_lost) == ([LOST], True)


def test_a_seat_that_was_taken_away_is_noticed(take: Take, leases: Leases) -> None:
    seat, why = take()
    leases.leave("a", why="", entries=0, head="")
    wait_for(lambda: why)
    assert "the seat was lost" in why[0]
    assert Fenced(Anything(), seat).dial_allowed("198.18.0.9", 104) is Denied.SEAT


def test_a_stop_a_lost_coordinator_and_a_lost_caller_end_it(
    take: Take, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[bool] = []
    _, why = take(is_cut_off=lambda: bool(gone))
    gone.append(True)
    wait_for(lambda: why == ["who began this shift is gone"])
    leases.lead(stopping="stopped by SIGINT")
    wait_for(lambda: "stopped by SIGINT" in why)
    leases.begin(seats=1, shards=[range(10)], exclusions=None)
    monkeypatch.setattr("leadapron.store.leases.LED", -1.0)
    leases.sit("b", "other")
    other: list[str] = []
    later = Seat(leases, "b", Book(), on_end=other.append, since=time.monotonic())
    later.begin()
    wait_for(lambda: other)
    later.close()
    assert other == [UNLED]


def test_exclusions_come_and_halts_go(take: Take, leases: Leases, tmp_path: Path) -> None:
    file = tmp_path / "exclusions.txt"
    file.write_bytes(b"before")
    seat, _ = take(exclusions=file)
    seat.tell_halts({"zone mri": Endpoint(address=ip_address("198.18.0.9"), port=104)})
    leases.lead(exclusions=b"after")
    wait_for(lambda: file.read_bytes() == b"after")
    wait_for(lambda: seat.news and seat.news.halts == {"zone mri": ("198.18.0.9", 104)})
