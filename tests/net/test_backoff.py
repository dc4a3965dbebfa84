"""Back-off: who slows down gets the time that it took, and nobody else waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.net.backoff import FLOOR, LONGEST, AtOnce, Backoff


def pauses(*seconds: float) -> list[float]:
    backoff, seen = Backoff(), []
    for each in seconds:
        backoff.answered(each)
        seen.append(backoff.pause)
    return seen


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((0.2, 0.3, 0.39), [0.0, 0.0, 0.0]),
        ((0.2, 0.5, 0.3), [0.0, 0.5, 0.0]),
        ((0.2, 0.5, 0.9), [0.0, 0.5, 0.9]),
        ((0.001, 0.09), [0.0, 0.0]),
        ((0.001, 0.11), [0.0, 0.11]),
        ((1.0, 60.0), [0.0, LONGEST]),
        ((2.0,), [0.0]),
    ],
    ids=["steady", "once slow", "slower and slower", "quick all the same", "over the floor", "capped", "the first"],
)
def test_a_pause_follows_an_answer_that_took_twice_as_long(answers: tuple[float, ...], expected: list[float]) -> None:
    assert pauses(*answers) == expected


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_a_pause_is_never_longer_than_the_answer_nor_without_reason(answers: list[float]) -> None:
    for place, (seconds, pause) in enumerate(zip(answers, pauses(*answers), strict=True)):
        assert pause in (0.0, min(seconds, LONGEST))
        if pause:
            assert seconds > max(FLOOR, 2 * min(answers[:place]))


def sizes(*answers: tuple[int, float]) -> list[int]:
    at_once, seen = AtOnce(32), []
    for count, seconds in answers:
        at_once.answered(count, seconds)
        seen.append(at_once.size)
    return seen


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(32, 1.0), (32, 1.9), (32, 1.0)], [32, 32, 32]),
        ([(32, 0.01), (32, 0.09), (32, 0.05)], [32, 32, 32]),
        ([(32, 1.0), (32, 2.1), (16, 2.1), (8, 1.9), (16, 1.0)], [32, 16, 8, 16, 32]),
        ([(32, 1.0), (5, 1.0), (5, 1.9)], [32, 32, 32]),
        ([(5, 0.2), (32, 1.3), (32, 1.0)], [32, 32, 32]),
        ([(32, 1.0), *[(32 >> halved, 9.0) for halved in range(5)], (1, 9.0)], [32, 16, 8, 4, 2, 1, 1]),
    ],
    ids=["steady", "quick all the same", "slow, and well again", "the way itself", "more take longer", "one at least"],
)
def test_fewer_go_out_at_once_where_they_take_twice_as_long(
    answers: list[tuple[int, float]], expected: list[int]
) -> None:
    assert sizes(*answers) == expected


@given(st.lists(st.tuples(st.integers(1, 32), st.floats(0, 1000)), max_size=30))
def test_at_least_one_and_never_more_than_at_first(answers: list[tuple[int, float]]) -> None:
    assert all(1 <= size <= 32 for size in sizes(*answers))
