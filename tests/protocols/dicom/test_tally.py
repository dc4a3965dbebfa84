"""From tallies to counts: nothing is exact that is not."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import CountKind, CountSource
from leadapron.protocols.dicom.answers import NOT_CLAIMED, Tally
from leadapron.protocols.dicom.tally import MIN_SAMPLE, claimed, distinct, enumerated, extrapolate

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


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(1, 200), st.booleans())
def test_an_extrapolation_never_says_less_than_was_counted(sample: list[int], more: int, whole: bool) -> None:
    population = len(sample) + more
    count = extrapolate(sample, population, whole=whole)
    assert count is not None
    assert count.kind is not CountKind.EXACT
    assert count.value >= sum(sample)
    if count.kind is CountKind.ESTIMATE:
        assert whole
        assert len(sample) >= MIN_SAMPLE
        assert count.low is not None
        assert count.high is not None
        assert sum(sample) <= count.low <= count.value <= count.high


def test_a_sample_of_all_is_exact_and_one_of_none_is_nothing() -> None:
    count = extrapolate([1, 2, 3], 3, whole=True)
    assert count is not None
    assert (count.value, count.kind) == (6, CountKind.EXACT)
    assert extrapolate([], 3, whole=True) is None
