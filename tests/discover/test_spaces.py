"""Spaces in a row are one space: the same targets, in the order in which they stand."""

from __future__ import annotations

from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.discover.space import Batch, TargetSpace
from leadapron.discover.spaces import Spaces

FIRST4, FIRST6 = int(IPv4Address("198.18.0.0")), 1 << 100
KEY = b"key"


def networks(*intervals: tuple[int, int], ports: tuple[int, ...] = (104,)) -> TargetSpace:
    return TargetSpace([(FIRST4 + first, FIRST4 + last) for first, last in intervals], [], ports, KEY)


def few(count: int) -> TargetSpace:
    """IPv6, and a single place of IPv4."""
    return TargetSpace([], [(FIRST6, FIRST6 + count - 1)], (104,), KEY, [(4, FIRST4 + 1_000_000, 9000)])


def targets(batch: Batch) -> list[tuple[int, int]]:
    pairs = zip(batch.addresses4.tolist(), batch.ports4.tolist(), strict=True)
    return [*pairs, *batch.targets6]


def each(space: TargetSpace) -> list[tuple[int, int]]:
    return [target for index in range(len(space)) for target in targets(space.batch(index, 1))]


EMPTY = TargetSpace([], [], (104,), KEY)
PARTS = [networks((0, 299)), EMPTY, few(5), networks((512, 600), (1024, 1100), ports=(104, 11112))]
ROW = [target for part in PARTS for target in each(part)]
SPACES = Spaces(*PARTS)


def test_a_row_is_as_long_as_its_parts_and_has_their_targets_one_after_the_other() -> None:
    assert len(SPACES) == len(ROW) == 300 + 6 + 2 * (89 + 77)
    assert SPACES.starts == [0, 300, 300, 306]
    assert [target for index in range(len(SPACES)) for target in targets(SPACES.batch(index, 1))] == ROW


@given(start=st.integers(0, len(ROW) + 5), count=st.integers(0, len(ROW) + 5))
def test_a_batch_is_what_lies_there_ipv4_first(start: int, count: int) -> None:
    there = ROW[start : start + count]

    batch = SPACES.batch(start, count)

    assert targets(batch) == sorted(there, key=lambda target: target[0] >= FIRST6)
    assert (batch.addresses4.dtype, batch.ports4.dtype) == (np.uint32, np.uint16)
    assert len(batch.addresses4) == len(batch.ports4)


def test_before_the_beginning_and_without_any_there_is_nothing() -> None:
    assert len(SPACES.batch(-1, 10)) == 0
    assert (len(Spaces()), len(Spaces().batch(0, 10)), len(Spaces(EMPTY).batch(0, 1))) == (0, 0, 0)


@given(index=st.integers(0, len(ROW) - 1))
def test_a_stretch_is_that_of_the_part(index: int) -> None:
    number = max(at for at, start in enumerate(SPACES.starts) if start <= index)
    start = SPACES.starts[number]

    end, visited = SPACES.stretch(index)

    assert (end - start, visited) == PARTS[number].stretch(index - start)
    assert index < end <= start + len(PARTS[number])


def test_a_stretch_says_how_many_networks_are_visited_in_turn() -> None:
    row = Spaces(few(1), networks((0, 255), (256, 511), (512, 515)))
    end, visited = row.stretch(2)
    assert visited == 3
    within = row.batch(2, end - 2)
    assert set(np.unique(within.addresses4 >> 8, return_counts=True)[1].tolist()) == {len(within) // 3}
    assert row.stretch(len(row) - 1) == (len(row), 2)


def test_there_is_no_stretch_beyond_the_end() -> None:
    with pytest.raises(IndexError):
        SPACES.stretch(len(ROW))
