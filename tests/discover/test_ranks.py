import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.discover.ranks import Ranks, Steps

spans = st.lists(st.integers(0, 2**40), unique=True, max_size=60).map(sorted)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 2**45), unique=True, min_size=1, max_size=200).map(sorted), st.data())
def test_the_guide_finds_what_a_binary_search_finds(ends: list[int], data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, ends[-1] - 1), min_size=1)), dtype=np.uint64)
    assert Steps(ends).of(numbers).tolist() == np.searchsorted(np.array(ends), numbers, side="right").tolist()


@settings(max_examples=100, deadline=None)
@given(spans, st.lists(st.integers(0, 2**40)))
def test_ranks_and_numbers_lead_to_each_other(borders: list[int], others: list[int]) -> None:
    firsts, lasts = borders[: len(borders) // 2 * 2 : 2], borders[1::2]
    ranks = Ranks(np.array(firsts, dtype=np.uint64), np.array(lasts, dtype=np.uint64))
    assert len(ranks) == sum(last - first + 1 for first, last in zip(firsts, lasts, strict=True))
    wanted = np.linspace(0, len(ranks) - 1, 50).astype(np.uint64) if len(ranks) else np.empty(0, dtype=np.uint64)
    numbers = ranks.at(wanted)
    assert ranks.of(numbers).tolist() == wanted.tolist()
    found = ranks.of(np.array(others, dtype=np.uint64))
    inside = [any(first <= each <= last for first, last in zip(firsts, lasts, strict=True)) for each in others]
    assert (found >= 0).tolist() == inside
