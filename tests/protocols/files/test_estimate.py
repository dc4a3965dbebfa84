"""The estimate covers the truth as often as it says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import Count, CountKind
from leadapron.protocols.files.estimate import Stratum, interval, total


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 1.0), (0.5, 0.1), (0.02, 0.9), (0.01, 0.02), (0.99, 0.97)])
def test_nineteen_intervals_of_twenty_hold_the_truth(shares: tuple[float, ...]) -> None:
    chance = random.Random(11)
    hits, rounds = 0, 400
    for _ in range(rounds):
        strata, truth = [], 0
        for share, population, sample in zip(shares, (3_000, 700), (120, 60), strict=True):
            files = [number < share * population for number in range(population)]
            truth += sum(files)
            strata.append(Stratum(population, sample, sum(chance.sample(files, sample))))
        count = total(strata, whole=True)
        assert count is not None and count.high is not None
        hits += count.low <= truth <= count.high
    assert hits / rounds >= 0.93


@given(
    st.lists(st.integers(0, 500).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.randoms())), max_size=8)
)
def test_a_count_keeps_to_what_was_seen(raw: list[tuple[int, int, random.Random]]) -> None:
    strata = [Stratum(population, sample, chance.randint(0, sample)) for population, sample, chance in raw]
    seen, most = sum(s.hits for s in strata), sum(s.population - s.sample + s.hits for s in strata)
    count = total(strata, whole=True)
    if count is None:
        assert not any(s.sample for s in strata)
        return
    assert count.high is not None
    assert seen <= count.low <= count.value <= count.high <= most
    assert (count.kind is CountKind.EXACT) == all(s.sample == s.population for s in strata)


def test_a_tree_that_was_not_listed_whole_gives_a_bound() -> None:
    assert total([Stratum(10, 10, 4)], whole=False) == Count.at_least(4)
    cut = total([Stratum(100, 20, 4)], whole=False)
    assert cut is not None and (cut.kind, cut.low, cut.high) == (CountKind.BOUND, 4, None)
    assert total([], whole=False) is None
    assert total([], whole=True) == Count.exact(0)


def test_of_a_sample_without_hits_there_may_still_be_some() -> None:
    low, high = interval(Stratum(1_000, 50, 0))
    assert low == 0
    assert 40 < high < 120
