"""Numbers from a seed: entered anywhere they are the same, and parts add up."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.lab.world.draw import below, drawn, key_of, shared, uneven


def test_a_number_is_the_same_wherever_one_begins() -> None:
    whole = drawn(7, np.arange(5_000))
    assert np.array_equal(whole[4_000:], drawn(7, np.arange(4_000, 5_000)))
    assert np.array_equal(whole[[9, 3]], drawn(7, np.array([9, 3])))


def test_splitmix64_gives_its_published_numbers() -> None:
    """The first ones for the seed 1234567, as the reference code of Vigna prints them."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert drawn(1234567, np.arange(5)).tolist() == expected


def test_keys_are_about_what_they_are_about() -> None:
    assert len({key_of(seed, origin, about) for seed in (1, 12) for origin in (23, 3) for about in "ab"}) == 8


@given(st.integers(0, 2**64 - 1), st.integers(1, 10_000))
def test_bounds_hold(key: int, bound: int) -> None:
    found = below(key, np.arange(300), bound)
    assert found.min() >= 0
    assert found.max() < bound


def test_each_of_a_few_choices_comes_up_about_as_often() -> None:
    counts = np.bincount(below(3, np.arange(60_000), 6))
    assert counts.min() > 9_500
    assert counts.max() < 10_500


@given(st.integers(0, 10**8), st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60), st.integers(0, 3))
def test_parts_add_up(total: int, weights: list[float], least: int) -> None:
    if total < least * len(weights):
        with pytest.raises(ValueError, match="not enough"):
            shared(total, weights, least=least)
        return
    parts = shared(total, weights, least=least)
    assert (sum(parts), len(parts)) == (total, len(weights))
    assert min(parts) >= least


@given(st.integers(), st.integers(1, 50), st.integers(1, 100_000), st.integers(1, 10_000))
def test_uneven_parts_add_up_under_their_most(seed: int, count: int, total: int, most: int) -> None:
    if total < count or total > most * count:
        with pytest.raises(ValueError, match="not"):
            uneven(random.Random(seed), total, count, most=most)
        return
    parts = uneven(random.Random(seed), total, count, most=most)
    assert (sum(parts), len(parts)) == (total, count)
    assert min(parts) >= 1
    assert max(parts) <= most
