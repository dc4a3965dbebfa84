from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.assess.version import read_version

NUMBERS = st.lists(st.integers(0, 99_999_999), min_size=1, max_size=6)


def written(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("3.6.7", "3.6.8"),
        ("3.6.9", "3.7.0"),
        ("3.6.9", "3.6.10"),
        ("1.12.9", "1.12.10"),
        ("5.31.0", "5.31.1"),
        ("5.31", "5.31.1"),
        ("1.4.19", "1.4.19a"),
        ("1.4.19a", "1.4.19b"),
        ("1.4.19b", "1.4.20"),
        ("1.5.0", "1.5.0a"),
    ],
)
def test_versions_are_ordered_as_their_makers_do(earlier: str, later: str) -> None:
    before, after = read_version(earlier), read_version(later)
    assert before is not None
    assert after is not None
    assert before < after


@pytest.mark.parametrize(
    "text",
    ["", ".", "3.", ".3", "3..7", "mainline", "3.6.7-rc1", "3.6.7+", "3,0", "v3.7", "3.7.0\n", "1.4.17c2", "３.7"],
)
def test_what_cannot_be_ordered_for_sure_is_not(text: str) -> None:
    assert read_version(text) is None


@given(NUMBERS, NUMBERS)
def test_plain_versions_are_ordered_by_their_numbers(left: list[int], right: list[int]) -> None:
    width = max(len(left), len(right))
    padded = [numbers + [0] * (width - len(numbers)) for numbers in (left, right)]
    one, other = read_version(written(left)), read_version(written(right))
    assert one is not None
    assert other is not None
    assert (one < other, one == other) == (padded[0] < padded[1], padded[0] == padded[1])


@given(NUMBERS, st.integers(1, 3))
def test_zeros_at_the_end_mean_nothing(numbers: list[int], zeros: int) -> None:
    assert read_version(written(numbers)) == read_version(written(numbers + [0] * zeros))


@given(NUMBERS, st.characters(codec="ascii", categories=["Ll"]))
def test_a_letter_makes_a_version_later_than_the_one_without_and_earlier_than_the_next(
    numbers: list[int], letter: str
) -> None:
    plain, lettered = read_version(written(numbers)), read_version(written(numbers) + letter)
    following = read_version(written([*numbers[:-1], min(numbers[-1] + 1, 99_999_999)]))
    assert plain is not None
    assert lettered is not None
    assert following is not None
    assert plain < lettered
    assert lettered < following or numbers[-1] == 99_999_999


@given(st.text(max_size=40))
def test_any_text_is_a_version_or_none(text: str) -> None:
    read = read_version(text)
    assert read is None or all(number >= 0 for number, _ in read)
