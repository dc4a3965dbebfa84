from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_estate import bound

from leadapron.model import Count, CountKind, CountSource
from leadapron.report.concentration import concentration, median

ESTIMATE = Count(value=50, low=40, high=60, kind=CountKind.ESTIMATE, source=CountSource.SAMPLED)


@pytest.mark.parametrize(
    ("images", "half", "middle"),
    [
        ([5, 5], 1, 5),
        ([1, 2, 100], 1, 2),
        ([10, 10, 10, 10], 2, 10),
        ([10, 10, 10], 2, 10),
        ([0, 0, 7], 1, 0),
        ([4, 1, 3, 2], 2, 2),
    ],
)
def test_half_of_the_images_and_the_middle_service(images: list[int], half: int, middle: int) -> None:
    found = concentration(map(Count.exact, images))
    assert found is not None
    assert (found.services, found.half, found.median) == (len(images), half, Count.exact(middle))


@pytest.mark.parametrize("counts", [(), (None,), (Count.exact(7),), (Count.exact(7), None), (bound(0), bound(0))])
def test_of_fewer_than_two_services_or_no_image_nothing_is_said(counts: tuple[Count | None, ...]) -> None:
    assert concentration(counts) is None


def test_services_without_a_known_number_are_no_part_of_it() -> None:
    found = concentration([None, Count.exact(3), None, Count.exact(4)])
    assert found is not None
    assert found.services == 2


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([Count.exact(3), Count.exact(5), bound(9)], Count.exact(5)),
        ([Count.exact(3), bound(5), bound(9)], bound(5)),
        ([Count.exact(3), bound(5, 7), bound(9)], bound(5, 7)),
        ([bound(5), Count.exact(9, CountSource.CLAIMED), bound(8)], bound(8, source=CountSource.CLAIMED)),
        ([ESTIMATE, Count.exact(0), Count.exact(99)], ESTIMATE),
    ],
)
def test_a_median_is_exact_where_its_ends_meet(counts: list[Count], expected: Count) -> None:
    assert median(counts) == expected


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=7))
def test_no_fewer_services_hold_half(images: list[int]) -> None:
    found = concentration(map(Count.exact, images))
    if found is None:
        assert sum(images) == 0
        return
    assert 1 <= found.half <= len(images)
    assert 2 * max(map(sum, itertools.combinations(images, found.half))) >= sum(images)
    assert 2 * max(map(sum, itertools.combinations(images, found.half - 1))) < sum(images)
