from bisect import bisect_right
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.net.syn.bucket import CATCH_UP, TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Sent = list[tuple[float, int]]
"""moment, packets"""


def most_in_a_window(sent: Sent, width: float) -> int:
    """Both ends belong to the window."""
    moments = [moment for moment, _ in sent]
    sums = [0, *accumulate(packets for _, packets in sent)]
    return max(sums[bisect_right(moments, first + width)] - sums[at] for at, first in enumerate(moments))


rates = st.sampled_from([0.5, 10.0, 100.0, 1234.5, 50_000.0, 1_000_000.0])
steps = st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 1024)), min_size=1, max_size=200)


@settings(max_examples=200)
@given(rates, steps)
def test_no_window_of_a_second_or_more_is_over_the_rate_by_more_than_one_percent(
    rate: float, asked: list[tuple[float, int]]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    sent: Sent = []
    for pause, wanted in asked:
        clock.now += pause
        packets = min(bucket.available(), wanted)
        bucket.spend(packets)
        sent.append((clock.now, packets))
    for width in (0.0, 0.1, 1.0, 2.5, 10.0):
        assert most_in_a_window(sent, width) <= rate * width + max(1.0, rate * CATCH_UP) + 1e-3
    for width in (1.0, 2.5, 10.0):
        assert most_in_a_window(sent, width) <= max(1.01 * rate * width, rate * width + 1) + 1e-3


@pytest.mark.parametrize("rate", [100.0, 12_345.0, 500_000.0])
def test_who_waits_as_long_as_told_uses_the_rate_in_full(rate: float) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    packets, quantum = 0, max(1, int(rate * 0.002))
    until = clock.now + 3.0
    while clock.now < until:
        if (some := min(bucket.available(), 1024)) >= quantum:
            bucket.spend(some)
            packets += some
        clock.now += bucket.delay(quantum) + 1e-6
    assert packets == pytest.approx(3.0 * rate, rel=0.01)


def test_a_pause_is_not_made_good() -> None:
    clock = Clock()
    bucket = TokenBucket(10_000, clock)
    clock.now += 60
    assert bucket.available() == 100


def test_a_slower_rate_holds_at_once_and_the_full_one_comes_back() -> None:
    clock = Clock()
    bucket = TokenBucket(10_000, clock)
    clock.now += 60
    bucket.change(5000)
    assert bucket.available() == 50
    bucket.spend(50)
    clock.now += 0.005
    assert bucket.available() == 25
    bucket.change(10_000)
    clock.now += 60
    assert bucket.available() == 100


def test_a_wait_for_more_than_there_will_ever_be_ends() -> None:
    clock = Clock()
    bucket = TokenBucket(100, clock)
    bucket.spend(bucket.available())
    clock.now += bucket.delay(1000) + 1e-6
    assert bucket.available() == 1


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_of_nothing_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        TokenBucket(rate)
