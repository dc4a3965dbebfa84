"""Zones with a gap: never two dials within it, and nobody else waits."""

from __future__ import annotations

import itertools
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from leadapron.net.gaps import GappedTurnstile, Gaps
from leadapron.net.target import Target
from leadapron.net.turnstile import LOOKAHEAD, QUEUED, ReadyAt

GAP = 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def gaps() -> Gaps:
    """Addresses 1000…1999 are a zone, 2000…2999 another of half its gap."""
    return Gaps(lambda _, address: {1: ("slow", GAP), 2: ("quick", GAP / 2)}.get(address // 1000, ("", 0.0)))


def queue(
    addresses: list[int],
    clock: Clock,
    *,
    ready_at: ReadyAt | None = None,
    exclusive: bool = False,
    of: Gaps | None = None,
) -> GappedTurnstile:
    source = (Target(address, 4, 104, number) for number, address in enumerate(addresses))
    return GappedTurnstile(source, ready_at, clock, exclusive=exclusive, gaps=of or gaps())


def taken(turnstile: GappedTurnstile, clock: Clock) -> list[int]:
    found = []
    while targets := turnstile.take(clock.now, 10_000, 3):
        found += [target.address for target in targets]
    return found


def test_a_zone_waits_and_holds_up_nobody() -> None:
    clock = Clock()
    many = list(range(LOOKAHEAD * 3))
    turnstile = queue([1000 + n % 900 for n in many] + [7] * len(many), clock)

    assert taken(turnstile, clock) == [1000] + [7] * len(many)
    assert not turnstile.is_empty()
    assert turnstile.next_moment() == clock.now + GAP
    clock.now += GAP
    assert taken(turnstile, clock) == [1001]


def test_no_more_is_taken_from_the_source_than_may_wait() -> None:
    clock, drawn = Clock(), itertools.count()
    many = (Target(1000 + next(drawn) % 900, 4, 104) for _ in range(3 * QUEUED))
    turnstile = GappedTurnstile(many, None, clock, exclusive=False, gaps=gaps())

    for passed in range(5):
        assert len(turnstile.take(clock.now, 64, 64)) == 1
        assert next(drawn) <= QUEUED + 2 * (passed + 1)
        assert not turnstile.is_empty()
        clock.now = turnstile.next_moment() or 0.0


def test_two_zones_and_two_stages() -> None:
    clock, shared = Clock(), gaps()
    assert taken(queue([1000, 2000, 1001, 2001], clock, of=shared), clock) == [1000, 2000]
    clock.now += GAP / 2
    assert taken(queue([1002, 2002], clock, of=shared), clock) == [2002]
    shared.take("slow", clock.now + 10, GAP)
    clock.now += 10
    assert taken(queue([1003], clock, of=shared), clock) == []


def test_the_gap_begins_with_the_dial_not_with_the_reservation() -> None:
    clock = Clock()
    turnstile = queue([1000, 1001], clock, ready_at=lambda address, _: 105.0 if address == 1000 else 0.0)
    assert taken(turnstile, clock) == []
    clock.now = 109.0
    assert taken(turnstile, clock) == [1000]
    clock.now = 110.9
    assert taken(turnstile, clock) == []
    clock.now = 111.0
    assert taken(turnstile, clock) == [1001]
    assert turnstile.is_empty()


def test_a_zone_that_changes_its_name_on_the_way_is_not_shut_for_ever() -> None:
    clock, names = Clock(), iter(["old", "new"])
    name = next(names)
    turnstile = queue([1, 2], clock, ready_at=lambda *_: 105.0, of=Gaps(lambda *_: (name, GAP)))
    assert taken(turnstile, clock) == []
    name = next(names)
    for _ in range(20):
        clock.now += GAP
        taken(turnstile, clock)
    assert turnstile.is_empty()


def test_zones_of_one_lane_wait_for_each_other() -> None:
    """Addresses 1500…1999 are a zone inside the slow one, of half its gap."""
    clock = Clock()
    zones = {True: ("inner", GAP), False: ("around", GAP / 2)}
    of = Gaps(lambda _, address: zones[address >= 1500], lambda _: "lane")
    turnstile = queue([1000, 1500, 1001, 1002], clock, of=of)
    dialled = []
    for _ in range(30):
        dialled += [(address, clock.now - 100.0) for address in taken(turnstile, clock)]
        clock.now += GAP / 4

    assert dialled == [(1000, 0.0), (1500, GAP / 2), (1001, 3 * GAP / 2), (1002, 2 * GAP)]


def test_drain_gives_what_waits_for_its_gap() -> None:
    clock = Clock()
    turnstile = queue([1000, 1000, 1001, 1], clock, exclusive=True)
    assert taken(turnstile, clock) == [1000, 1]
    assert sorted(target.tag for target in turnstile.drain()) == [1, 2]
    assert turnstile.is_empty()


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 1000, 1001, 1002, 2000, 2001]), st.floats(0, 3)), max_size=25),
    st.booleans(),
    st.integers(1, 5),
    st.sampled_from([1, 3, QUEUED]),
)
def test_nothing_is_lost_doubled_within_a_gap_or_over_the_bound(
    plan: list[tuple[int, float]], exclusive: bool, room: int, bound: int
) -> None:
    clock, delays = Clock(), iter([delay for _, delay in plan])
    turnstile = queue(
        [address for address, _ in plan], clock, ready_at=lambda *_: clock.now + next(delays), exclusive=exclusive
    )
    with patch("leadapron.net.turnstile.QUEUED", bound):
        dialled = dial(turnstile, clock, exclusive=exclusive, room=room, bound=bound)

    assert sorted(target.tag for target, _ in dialled) == list(range(len(plan)))
    for zone, gap in ((1, GAP), (2, GAP / 2)):
        moments = [moment for target, moment in dialled if target.address // 1000 == zone]
        assert all(second - first >= gap for first, second in itertools.pairwise(moments))


def dial(
    turnstile: GappedTurnstile, clock: Clock, *, exclusive: bool, room: int, bound: int
) -> list[tuple[Target, float]]:
    """Every target and when it was handed out."""
    dialled: list[tuple[Target, float]] = []
    busy: list[Target] = []
    for _ in range(1000):
        if turnstile.is_empty() and not busy:
            break
        for target in turnstile.take(clock.now, room - len(busy), room - len(busy)):
            assert not exclusive or target.address not in [other.address for other in busy]
            busy.append(target)
            dialled.append((target, clock.now))
        assert turnstile._queued + len(turnstile._freed) <= bound
        if busy:
            turnstile.release(busy.pop(0))
        clock.now += 0.25
    return dialled
