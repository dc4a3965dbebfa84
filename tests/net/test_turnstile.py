from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.net.target import Target
from leadapron.net.turnstile import LOOKAHEAD, ReadyAt, Turnstile


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def hosts(*addresses: int) -> Iterator[Target]:
    return (Target(address, 4, 104, number) for number, address in enumerate(addresses))


def queue(
    *addresses: int, ready_at: ReadyAt | None = None, exclusive: bool = False, clock: Clock | None = None
) -> Turnstile:
    return Turnstile(hosts(*addresses), ready_at, clock or Clock(), exclusive=exclusive)


def tags(turnstile: Turnstile, now: float = 0.0, room: int = 10_000, most: int = 2) -> list[int]:
    found = []
    while taken := turnstile.take(now, room, most):
        assert len(taken) <= most
        found += [target.tag for target in taken]
    return found


def test_without_pace_the_order_is_that_of_the_source() -> None:
    turnstile = queue(7, 7, 5)
    assert not turnstile.is_empty()
    assert tags(turnstile) == [0, 1, 2]
    assert turnstile.is_empty()


def test_a_target_waits_for_its_moment_and_holds_up_no_other() -> None:
    turnstile = queue(1, 2, 3, ready_at=lambda address, _: {1: 5.0, 2: 0.0, 3: 2.0}[address])
    assert tags(turnstile) == [1]
    assert turnstile.next_moment() == 2.0
    assert tags(turnstile, now=2.0) == [2]
    assert not turnstile.is_empty()
    assert tags(turnstile, now=5.0) == [0]
    assert turnstile.is_empty()


def test_what_waits_is_bounded_by_the_sockets_and_by_the_lookahead() -> None:
    for room, taken in ((3, 3), (100_000, LOOKAHEAD)):
        asked: list[int] = []

        def later(address: int, version: int, asked: list[int] = asked) -> float:
            asked.append(version)
            return 9.0

        assert tags(queue(*range(10_000), ready_at=later), room=room) == []
        assert len(asked) == taken


def test_one_connection_to_a_host_at_a_time() -> None:
    turnstile = queue(1, 1, 2, 1, exclusive=True)
    assert tags(turnstile) == [0, 2]
    assert not turnstile.is_empty()
    turnstile.release(Target(1, 4, 104))
    assert tags(turnstile) == [1]
    turnstile.release(Target(2, 4, 104))
    assert tags(turnstile) == []
    turnstile.release(Target(1, 4, 104))
    assert tags(turnstile) == [3]
    turnstile.release(Target(1, 4, 104))
    assert turnstile.is_empty()


def test_the_same_number_in_two_families_is_two_hosts() -> None:
    turnstile = Turnstile(iter([Target(1, 4, 104), Target(1, 6, 104)]), None, Clock(), exclusive=True)
    assert len(turnstile.take(0, 10, 10)) == 2


def test_the_pace_is_asked_when_the_host_is_free_not_before() -> None:
    asked: list[int] = []

    def at_once(address: int, _: int) -> float:
        asked.append(address)
        return 0.0

    turnstile = queue(1, 1, ready_at=at_once, exclusive=True)
    assert tags(turnstile) == [0]
    assert asked == [1]
    turnstile.release(Target(1, 4, 104))
    assert tags(turnstile) == [1]
    assert asked == [1, 1]


def test_drain_gives_what_was_taken_and_not_handed_out() -> None:
    turnstile = queue(1, 1, 2, 2, 3, 3, ready_at=lambda address, _: 9.0 if address == 2 else 0.0, exclusive=True)
    assert tags(turnstile) == [0, 4]
    turnstile.release(Target(3, 4, 104))
    assert sorted(target.tag for target in turnstile.drain()) == [1, 2, 3, 5]
    assert turnstile.is_empty()
    turnstile.release(Target(1, 4, 104))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5, 3.0])), max_size=40), st.integers(1, 6))
def test_nothing_is_lost_doubled_or_early(plan: list[tuple[int, float]], room: int) -> None:
    moments = iter([pause for _, pause in plan])
    clock = Clock()
    promised: list[float] = []

    def ready_at(_address: int, _version: int) -> float:
        promised.append(clock.now + next(moments))
        return promised[-1]

    turnstile = Turnstile(hosts(*(host for host, _ in plan)), ready_at, clock, exclusive=True)
    done: list[int] = []
    busy: list[Target] = []
    for _ in range(500):
        if turnstile.is_empty() and not busy:
            break
        for target in turnstile.take(clock.now, room - len(busy), room - len(busy)):
            assert target.address not in [other.address for other in busy]
            busy.append(target)
        if busy:
            done.append(busy[0].tag)
            turnstile.release(busy.pop(0))
        clock.now += 0.25
    assert sorted(done) == list(range(len(plan)))
