"""From tallies to counts: nothing is exact that is not."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import CountKind, CountSource
from leadapron.protocols.dicom.answers import NOT_CLAIMED, Tally
from leadapron.protocols.dicom.tally import MIN_SAMPLE, claimed, distinct, enumerated, extrapolate, is_confirmed

records = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 50) | st.just(NOT_CLAIMED)), max_size=40)


def tally(pairs: Sequence[tuple[int, int]]) -> Tally:
    keys, claims = [key for key, _ in pairs], [claim for _, claim in pairs]
    return Tally(answers=len(pairs), hashes=array("q", keys), images=array("i", claims), series=array("i", claims))


@given(records)
def test_distinct_is_the_naive_count(pairs: list[tuple[int, int]]) -> None:
    largest: dict[int, int] = {}
    for key, claim in pairs:
        largest[key] = max(claim, largest.get(key, NOT_CLAIMED))
    counted = distinct(tally(pairs))
    assert counted.records == len(largest)
    assert counted.images == counted.series == sum(claim for claim in largest.values() if claim != NOT_CLAIMED)
    assert counted.images_missing == sum(claim == NOT_CLAIMED for claim in largest.values())


def test_a_sum_that_overflows_32_bits_is_right() -> None:
    assert distinct(tally([(key, 1_000_000) for key in range(5000)])).images == 5_000_000_000


@pytest.mark.parametrize(
    ("total", "missing", "whole", "kind"),
    [
        (7, 0, True, CountKind.EXACT),
        (7, 1, True, CountKind.BOUND),
        (7, 0, False, CountKind.BOUND),
        (0, 0, True, CountKind.EXACT),
    ],
)
def test_a_claim_is_exact_only_where_everyone_claims_and_nothing_is_missing(
    total: int, missing: int, whole: bool, kind: CountKind
) -> None:
    count = claimed(total, missing, whole=whole)
    assert count is not None
    assert (count.value, count.kind, count.source) == (total, kind, CountSource.CLAIMED)


def test_nobody_claims_anything() -> None:
    assert claimed(0, 3, whole=True) is None


def test_what_was_enumerated_in_part_is_a_bound() -> None:
    assert enumerated(5, whole=True).kind is CountKind.EXACT
    assert (enumerated(5, whole=False).kind, enumerated(5, whole=False).high) == (CountKind.BOUND, None)


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=30),
    st.integers(0, 200),
    st.integers(1, 40),
    st.integers(0, 300),
    st.booleans(),
)
def test_an_extrapolation_never_says_less_than_was_counted(
    values: list[int], more: int, planned: int, drawn: int, whole: bool
) -> None:
    counted = max(0, sum(values) - drawn)
    count = extrapolate(values, len(values) + more, planned=planned, counted=counted, whole=whole)
    assert count is not None
    assert (count.kind is CountKind.EXACT) == (whole and not more and counted == sum(values))
    assert count.value >= counted
    if count.kind is CountKind.ESTIMATE:
        assert whole
        assert len(values) >= max(MIN_SAMPLE, planned)
        assert count.high is not None
        assert counted <= count.low <= count.value <= count.high


def test_the_interval_of_an_estimate_holds_the_truth_as_often_as_it_says() -> None:
    """Of records that are much alike; of skewed ones it holds a little less often, as `docs/dicom.md` says."""
    chance = random.Random(17)
    population = [chance.randint(20, 60) for _ in range(400)]
    held = 0
    for _ in range(1000):
        sample = chance.sample(population, 9)
        count = extrapolate(sample, len(population), planned=9, counted=sum(sample), whole=True)
        assert count is not None
        assert count.high is not None
        held += count.low <= sum(population) <= count.high
    assert 930 <= held <= 975


def test_records_that_contradict_themselves_are_noticed() -> None:
    assert not distinct(tally([(1, 3), (1, 3), (2, 4)])).contradicts
    counted = distinct(tally([(1, 3), (1, 5), (2, 4)]))
    assert (counted.contradicts, counted.repeated, counted.images) == (True, 1, 9)
    assert distinct(tally([(1, NOT_CLAIMED), (1, 5)])).contradicts


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_records_are_confirmed_by_the_same_records_in_any_order(first: list[int], again: list[int]) -> None:
    assert is_confirmed(tally([(key, 1) for key in [*first, *again]]), len(first)) == (set(first) == set(again))


def test_a_sample_of_all_is_exact_and_one_of_none_is_nothing() -> None:
    count = extrapolate([1, 2, 3], 3, planned=1, counted=6, whole=True)
    assert count is not None
    assert (count.value, count.kind) == (6, CountKind.EXACT)
    assert extrapolate([], 3, planned=1, counted=0, whole=True) is None
