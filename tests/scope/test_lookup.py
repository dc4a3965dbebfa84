from __future__ import annotations

from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope.lookup import Lookup4

LAST = 0xFFFFFFFF
corners = st.sampled_from([0, 0x0A000000, 0x0A0000FF, 0x0A00FFFF, 0x0A010000, 0xC6120000, 0xFFFF0000, LAST])
addresses = st.builds(lambda corner, step: min(max(corner + step, 0), LAST), corners, st.integers(-300, 300))
starts = st.sets(addresses, max_size=40).map(lambda found: sorted({0, *found}))


def expected(starts: list[int], numbers: list[int], asked: list[int]) -> list[int]:
    return [numbers[bisect_right(starts, address) - 1] for address in asked]


def near(starts: list[int]) -> list[int]:
    return [
        address for start in starts for address in (start - 1, start, start + 1, start ^ 0xFF) if 0 <= address <= LAST
    ]


@given(starts, st.data())
def test_each_address_has_the_rule_of_its_interval(starts: list[int], data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 5), min_size=len(starts), max_size=len(starts)))
    asked = near(starts)
    found = Lookup4(starts, numbers, 6).at(np.array(asked, dtype=np.uint32))
    assert found.tolist() == expected(starts, numbers, asked)


@pytest.mark.parametrize(("rules", "kind"), [(1, np.uint8), (256, np.uint8), (257, np.uint16), (70_000, np.uint32)])
def test_numbers_take_as_few_bytes_as_they_need(rules: int, kind: type) -> None:
    starts, numbers = [0, 5, 0x0A000000, 0x0A000001], [0, rules - 1, rules // 2, 0]
    found = Lookup4(starts, numbers, rules).at(np.array(near(starts), dtype=np.uint32))
    assert found.dtype == kind
    assert found.tolist() == expected(starts, numbers, near(starts))


def test_every_address_of_its_own_network() -> None:
    """A /16 in which each address is an interval, between two that are whole."""
    starts = [0, *range(0x0A000000, 0x0A010001)]
    numbers = [0, *(index % 7 for index in range(0x10001))]
    asked = np.arange(0x09FFFFF0, 0x0A010010, dtype=np.uint32)
    assert Lookup4(starts, numbers, 7).at(asked).tolist() == expected(starts, numbers, asked.tolist())


def test_a_small_table_is_small() -> None:
    lookup = Lookup4([0, 0xC6120000, 0xC6120100], [0, 1, 0], 2)
    assert lookup._top.nbytes + lookup._middle.nbytes + lookup._bottom.nbytes < 300_000
    assert lookup.at(np.array([], dtype=np.uint32)).tolist() == []
