import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.discover.permutation import EVEN, MAX_SIZE, Permutation, largest_quotient, stride


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5000), st.binary(max_size=64))
def test_each_number_comes_once_and_goes_back(size: int, key: bytes) -> None:
    permutation, words = Permutation(size, key), np.arange(size, dtype=np.uint32)
    moved = permutation.at(words)
    assert sorted(moved.tolist()) == words.tolist() == list(range(size))
    assert permutation.back(moved).tolist() == words.tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, MAX_SIZE), st.binary(max_size=64), st.lists(st.integers(0, MAX_SIZE - 1), min_size=1))
def test_so_it_is_for_large_ones(size: int, key: bytes, some: list[int]) -> None:
    permutation, words = Permutation(size, key), np.array([each % size for each in some], dtype=np.uint32)
    moved = permutation.at(words)
    assert (moved.astype(np.uint64) < size).all()
    assert permutation.back(moved).tolist() == words.tolist()


@pytest.mark.parametrize("size", [0, -1, MAX_SIZE + 1])
def test_there_are_others_of_no_size(size: int) -> None:
    with pytest.raises(ValueError, match="no permutation"):
        Permutation(size, b"key")


def test_a_key_gives_an_order_of_its_own_without_a_pattern() -> None:
    words = np.arange(100_000, dtype=np.uint32)
    one, other = Permutation(100_000, b"1").at(words).astype(float), Permutation(100_000, b"2").at(words).astype(float)
    for first, second in ((words, one), (one, other), (one[1:], one[:-1]), (one[2:], one[:-2])):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


@given(st.integers(1, 1 << 48), st.binary(max_size=64))
def test_a_stride_comes_by_everything(size: int, key: bytes) -> None:
    step = stride(size, key)
    assert math.gcd(step, size) == 1
    assert 1 <= step < max(size, 2)
    assert step * (size - 1) + size < 1 << 64


@given(st.integers(3, 1 << 26), st.binary(max_size=64))
def test_a_stride_is_even(size: int, key: bytes) -> None:
    assert largest_quotient(stride(size, key), size, size) <= EVEN


@given(st.integers(64, 2048), st.binary(max_size=64), st.data())
def test_no_places_in_a_row_are_left_alone_for_long(size: int, key: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, size // 2))
    step = stride(size, key)
    visits = [number for number in range(2 * size) if step * number % size < count]
    longest = max(later - earlier for earlier, later in pairwise(visits))
    assert longest <= (EVEN + 2) * size / count + 1


def test_partial_quotients() -> None:
    assert [largest_quotient(step, 10, 99) for step in (3, 7, 1, 9)] == [3, 3, 10, 9]
    assert largest_quotient(1, 10_000, 7) == 10_000
    assert largest_quotient(355, 113, 99) == 16, "of 16 / 113"
