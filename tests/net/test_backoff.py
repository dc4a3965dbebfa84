"""Back-off: who slows down gets the time that it took, and nobody else waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.net.backoff import FLOOR, LONGEST, Backoff


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
