from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.net.pace import BURST_SECONDS, Pace

V6 = 0x20010DB8 << 96


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def most_in_a_window(moments: list[float], width: float) -> int:
    moments = sorted(moments)
    return max(bisect_right(moments, first + width) - index for index, first in enumerate(moments))


requests = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 0.0001, 0.004, 0.3, 5.0]),
        st.integers(0, 4),
        st.sampled_from([4, 6]),
    ),
    min_size=1,
    max_size=150,
)
rates = st.sampled_from([0.5, 3.0, 100.0, 512.5, 20_000.0])


@settings(max_examples=150, deadline=None)
@given(requests, rates, rates)
def test_neither_rate_is_exceeded_in_any_window(
    asked: list[tuple[float, int, int]], overall: float, per_network: float
) -> None:
    clock = Clock()
    pace = Pace(overall, per_network, clock)
    moments: list[float] = []
    of_network: dict[tuple[int, int], list[float]] = {}
    for pause, network, version in asked:
        clock.now += pause
        address = network << 8 if version == 4 else V6 + (network << 80)
        moment = pace.ready_at(address, version)
        assert moment >= clock.now
        moments.append(moment)
        of_network.setdefault((version, network), []).append(moment)

    for width in (0.0, 0.01, 0.1, 1.0, 10.0, 1000.0):
        assert most_in_a_window(moments, width) <= overall * (width + BURST_SECONDS) + 1 + 1e-6
        for own in of_network.values():
            assert most_in_a_window(own, width) <= per_network * width + 1 + 1e-6


def test_the_rate_is_used_in_full() -> None:
    clock = Clock()
    pace = Pace(100, 1_000, clock)
    moments = [pace.ready_at(network << 8, 4) for network in range(1000)]
    assert moments == sorted(moments)
    assert max(moments) - clock.now <= 10.0


def test_a_slow_network_does_not_hold_up_the_rest() -> None:
    clock = Clock()
    pace = Pace(100, 1, clock)
    slow = [pace.ready_at(address, 4) for address in range(10)]
    others = [pace.ready_at(network << 8, 4) for network in range(1, 50)]
    assert slow == pytest.approx([clock.now + second for second in range(10)], abs=0.02)
    assert max(others) < clock.now + 0.6


@pytest.mark.parametrize(
    ("first", "second", "version", "is_one_network"),
    [
        (0xC6336400, 0xC63364FF, 4, True),
        (0xC63364FF, 0xC6336500, 4, False),
        (V6, V6 + 2**80 - 1, 6, True),
        (V6 + 2**80 - 1, V6 + 2**80, 6, False),
    ],
)
def test_a_network_is_a_24_or_a_48(first: int, second: int, version: int, *, is_one_network: bool) -> None:
    pace = Pace(1_000_000, 1, Clock())
    gap = pace.ready_at(second, version) - pace.ready_at(first, version)
    assert (abs(gap) >= 1) is is_one_network


def test_the_two_families_do_not_share_a_network() -> None:
    pace = Pace(1_000_000, 1, Clock())
    assert abs(pace.ready_at(5 << 8, 4) - pace.ready_at(5 << 80, 6)) < 0.5


def test_a_pause_allows_the_documented_burst_and_no_more() -> None:
    clock = Clock()
    pace = Pace(1000, 1000, clock)
    pace.ready_at(0, 4)
    clock.now += 60
    at_once = [moment for network in range(100) if (moment := pace.ready_at(network << 8, 4)) <= clock.now]
    assert 1 < len(at_once) <= 1 + 1000 * BURST_SECONDS


def test_memory_stays_flat() -> None:
    clock = Clock()
    pace = Pace(10_000, 10, clock)
    for network in range(30_000):
        clock.now = max(clock.now, pace.ready_at(network << 8, 4))
    assert len(pace._networks) + len(pace._slots) < 6_000


@pytest.mark.parametrize(("overall", "per_network"), [(0, 1), (1, 0), (-1, 1)])
def test_a_rate_of_nothing_is_refused(overall: float, per_network: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Pace(overall, per_network)
