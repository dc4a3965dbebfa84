"""Seats and leases: never two holders at once, lost in time, and nothing written by who lost them; on both databases."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest
import sqlalchemy as sa

from leadapron.errors import RunStopped
from leadapron.model import Endpoint, Run, Vantage, VantageKind
from leadapron.store import tables
from leadapron.store.chunk import SweepChunk
from leadapron.store.held import HeldStore
from leadapron.store.leases import HOSTS, PARTITIONS, SWEEP, Lease, Leases, is_finished, partition_of
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
SHARDS = [range(at, at + 100) for at in range(0, 1000, 100)]
Open = Callable[[str], HeldStore]


@pytest.fixture
def leases(store_url: str) -> Iterator[Leases]:
    with Store.open(store_url) as store:
        store.create_run(RUN, permutation_key="2." + "5a" * 16)
        made = Leases(store._engine, RUN.id)
        made.begin(seats=2, shards=SHARDS, exclusions=None)
        yield made


@pytest.fixture
def held(store_url: str, leases: Leases) -> Iterator[Open]:
    opened = []

    def open_held(holder: str) -> HeldStore:
        opened.append(HeldStore.open_held(store_url, RUN.id, holder))
        return opened[-1]

    yield open_held
    for store in opened:
        store.close()


def reached(number: int) -> Endpoint:
    return Endpoint(address=ip_address(f"198.18.{number}.9"), port=104)


def chunk(start: int, *hits: Endpoint) -> SweepChunk:
    return SweepChunk(start=start, stop=start + 10, outcomes={"refused": 10}, hits=hits)


# -- seats -------------------------------------------------------------------------------------------------------------


def test_there_are_as_many_seats_as_shares_of_the_pace(leases: Leases) -> None:
    assert [leases.sit(name, "w") for name in ("a", "b", "c")] == [0, 1, None]
    assert leases.seated() == leases.news().seated == 2
    leases.leave("a", why="", entries=1, head="h")
    assert leases.sit("c", "w") == 0


def test_a_seat_that_is_not_renewed_is_lost_with_all_that_was_held(leases: Leases) -> None:
    leases.sit("a", "one", life=0.3)
    leases.sit("b", "other")
    assert [each.number for each in leases.take(SWEEP, "a", 2)] == [0, 1]
    assert [each.number for each in leases.take(SWEEP, "b", 1)] == [2]
    time.sleep(0.4)

    assert [each.number for each in leases.take(SWEEP, "b", 3)] == [0, 1, 3]
    with pytest.raises(RunStopped, match="the seat was lost"):
        leases.renew("a", entries=1, head="h")
    with pytest.raises(RunStopped, match="the seat was lost"):
        leases.take(SWEEP, "a", 1)
    for lose in (
        lambda: leases.give_back(SWEEP, "a", 0, is_done=True, notes={}),
        lambda: leases.go_on("a", 0, round=1, waited=0),
    ):
        with pytest.raises(RunStopped, match="the seat was lost"):
            lose()
    assert not any(each.is_done for each in leases.all(SWEEP))


def test_a_seat_that_is_renewed_stays(leases: Leases) -> None:
    leases.sit("a", "one", life=0.3)
    for entry in range(5):
        time.sleep(0.1)
        leases.renew("a", entries=entry, head=f"h{entry}", rounds=[{"failed": {}}], life=0.3)
    assert leases.seated() == 1
    (shift,) = leases.shifts()
    assert (shift.worker, shift.entries, shift.head, shift.rounds, shift.is_over) == (
        "one",
        4,
        "h4",
        [{"failed": {}}],
        False,
    )


def test_nobody_else_gives_back_what_one_holds(leases: Leases) -> None:
    leases.sit("a", "one")
    leases.sit("b", "other")
    leases.take(SWEEP, "a", 1)
    with pytest.raises(RunStopped):
        leases.give_back(SWEEP, "b", 0, is_done=True, notes={})
    leases.give_back(SWEEP, "a", 0, is_done=True, notes={"left": 3})
    first = leases.all(SWEEP)[0]
    assert (first.holder, first.is_done, first.notes) == (None, True, {"left": 3})
    assert [each.number for each in leases.take(SWEEP, "b", 1)] == [1], "what is done is not given again"


def test_workers_that_take_at_once_never_hold_the_same(leases: Leases, held: Open) -> None:
    """Four threads, with connections of their own, sit, take, give back and are lost; what two hold at once is counted by
    the intervals in which each was sure to hold it."""
    lock, holding, twice, done = threading.Lock(), Counter[int](), [], Counter[int]()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for turn in range(8):
            name = f"{seed}-{turn}"
            own = held(name).leases
            if own.sit(name, "w") is None:
                time.sleep(0.01)
                continue
            taken = own.take(HOSTS, name, dice.randint(1, 40))
            with lock:
                holding.update(each.number for each in taken)
                twice.extend(number for number, count in holding.items() if count > 1)
            time.sleep(dice.random() / 50)
            with lock:
                holding.subtract(each.number for each in taken)
            for each in taken[:2]:
                own.give_back(HOSTS, name, each.number, is_done=True, notes={})
                done[each.number] += 1
            own.leave(name, why="", entries=0, head="")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert twice == []
    assert done and set(done.values()) == {1}, "done once"


# -- what is written ---------------------------------------------------------------------------------------------------


def test_who_lost_its_seat_writes_nothing(leases: Leases, held: Open) -> None:
    store = held("a")
    leases.sit("a", "one", life=0.2)
    store.record_chunks(RUN.id, [chunk(0, reached(1))])
    time.sleep(0.3)
    leases.seated()
    for write in (
        lambda: store.record_chunks(RUN.id, [chunk(10, reached(2))]),
        lambda: store.record_hits(RUN.id, [reached(2)]),
        lambda: store.record_refusals(RUN.id, [reached(2)]),
        lambda: store.record_hellos(RUN.id, "dicom", [(reached(2), {})]),
        lambda: store.record_attempt(RUN.id, reached(2), "dicom", "echo", {}),
        lambda: store.handed_over(RUN.id, [partition_of(reached(1).address)]),
    ):
        with pytest.raises(RunStopped, match="the seat was lost"):
            write()
    assert store.progress(RUN.id) == [(0, 10)]
    assert store.hits(RUN.id) == [reached(1)]
    assert store.attempts(RUN.id) == {}


def test_a_seat_is_not_taken_in_the_middle_of_a_write(leases: Leases, held: Open, store_url: str) -> None:
    """The write ends before the seat changes hands: nobody asks what is being written."""
    if not store_url.startswith("postgresql"):
        pytest.skip("SQLite has one writer at a time")
    store = held("a")
    leases.sit("a", "one", life=0.2)
    with store._writing():
        time.sleep(0.3)
        assert leases.seated() == 1
    assert leases.seated() == 0


def test_a_hit_waits_for_the_holder_of_its_partition_and_is_handed_over_once(leases: Leases, held: Open) -> None:
    store = held("a")
    leases.sit("a", "one")
    first, second = reached(1), reached(2)
    here, there = (partition_of(each.address) for each in (first, second))
    assert here != there
    store.record_chunks(RUN.id, [chunk(0, first)])
    store.record_hits(RUN.id, [second])
    assert store.handed_over(RUN.id, [here]) == [first]
    assert store.handed_over(RUN.id, [here, there]) == [second]
    store.record_hits(RUN.id, [first, second])
    assert store.handed_over(RUN.id, [here, there]) == []


def test_hits_of_one_process_wait_nowhere(leases: Leases, store_url: str) -> None:
    with Store.open(store_url) as store:
        store.record_hits(RUN.id, [reached(1)])
        with store._engine.connect() as connection:
            assert connection.execute(sa.select(tables.endpoints.c.waits_in)).scalars().all() == [None]


def test_a_part_of_the_space_has_its_own_progress(leases: Leases, held: Open) -> None:
    store = held("a")
    leases.sit("a", "one")
    waiting = SweepChunk(start=300, stop=310, outcomes={}, waiting=b"\1" * 10)
    store.record_chunks(RUN.id, [chunk(0), chunk(100), chunk(110), waiting])
    assert store.progress(RUN.id, range(100, 200)) == [(100, 120)]
    assert [each.start for each in store.chunks_in_part(RUN.id, range(300, 400))] == [300]
    assert store.chunks_in_part(RUN.id, range(300)) == []


# -- news, and the end -------------------------------------------------------------------------------------------------


def test_news_travel_through_the_store(leases: Leases) -> None:
    assert (leases.news().stopping, leases.news().is_led, leases.news().version) == ("", True, 1)
    leases.lead(stopping="stopped by SIGINT", exclusions=b"198.18.0.9")
    leases.lead(stopping="later")
    leases.halt({"zone mri": ("198.18.0.9", 104)})
    leases.halt({"zone mri": ("198.18.0.10", 104)})
    news = leases.news()
    assert (news.stopping, news.version, news.halts) == ("stopped by SIGINT", 2, {"zone mri": ("198.18.0.9", 104)})
    assert leases.exclusions() == (2, b"198.18.0.9")


def test_without_its_coordinator_a_run_is_not_led(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapron.store.leases.LED", 0.2)
    assert leases.news().is_led
    time.sleep(0.3)
    assert not leases.news().is_led
    leases.lead()
    assert leases.news().is_led


def test_a_run_begins_anew_with_nothing_done(leases: Leases) -> None:
    leases.sit("a", "one")
    leases.take(SWEEP, "a", 1)
    leases.give_back(SWEEP, "a", 0, is_done=True, notes={})
    leases.lead(stopping="stopped")
    leases.begin(seats=3, shards=SHARDS[:2], exclusions=b"e")
    assert [(each.start, each.stop, each.is_done) for each in leases.all(SWEEP)] == [(0, 100, False), (100, 200, False)]
    assert len(leases.all(HOSTS)) == PARTITIONS
    assert leases.news().stopping == ""
    assert [leases.sit(name, "w") for name in "bcd"] == [0, 1, 2]
    with pytest.raises(RunStopped):
        leases.renew("a", entries=0, head="")


def test_all_is_asked_when_a_round_of_all_left_nobody_waiting() -> None:
    def partitions(*known: tuple[int, int]) -> list[Lease]:
        return [Lease(kind=HOSTS, number=at, round=each, waited=waited) for at, (each, waited) in enumerate(known)]

    assert is_finished(partitions((2, 0), (2, 0)))
    assert not is_finished(partitions((1, 0), (1, 0))), "whoever waited was not asked yet"
    assert not is_finished(partitions((2, 0), (2, 1)))
    assert not is_finished(partitions((3, 0), (2, 0)))
    assert not is_finished(partitions((0, 0), (0, 0)))


def test_partitions_are_of_networks_and_even() -> None:
    assert partition_of(ip_address("198.18.7.1")) == partition_of(ip_address("198.18.7.254"))
    assert partition_of(ip_address("::ffff:198.18.7.1")) == partition_of(ip_address("198.18.7.1"))
    assert partition_of(ip_address("2001:db8:1::1")) == partition_of(ip_address("2001:db8:1:ffff::1"))
    counts = Counter(partition_of(ip_address((198 << 24) + (number << 8))) for number in range(1 << 16))
    assert len(counts) == PARTITIONS
    assert max(counts.values()) < 2 * min(counts.values())
