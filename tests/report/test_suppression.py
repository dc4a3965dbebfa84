"""No number from 1 to 4 is shown, and none can be computed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.report.suppression import SMALL, Hidden, Number, is_small, partition, shown

NUMBERS = st.integers(0, 12) | st.integers(0, 10_000)
TABLES = st.dictionaries(st.text(max_size=3), NUMBERS, max_size=8)


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (1, "<5"), (4, "<5"), (5, 5), (12_345, 12_345)])
def test_a_small_number_is_its_mark(number: int, expected: Number) -> None:
    assert shown(number) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, {}),
        ({"DE": 7}, {"DE": 7}),
        ({"DE": 7, "IT": 0}, {"DE": 7, "IT": 0}),
        ({"DE": 30, "IT": 7, "MT": 2}, {"DE": 30, "IT": "withheld", "MT": "withheld"}),
        ({"DE": 30, "IT": 4, "MT": 2}, {"DE": 30, "IT": "<5", "MT": "<5"}),
        ({"clear": 3600, "tls": 3}, {"clear": "withheld", "tls": "withheld"}),
        ({"clear": 3600, "tls": 0}, {"clear": 3600, "tls": 0}),
        # 1 + 5: whoever sees that one is small knows both, so that a third one is hidden.
        ({"DE": 30, "IT": 5, "MT": 1}, {"DE": "withheld", "IT": "withheld", "MT": "withheld"}),
        # 1 + 1, and 4 + 4 + 4: what is left of the total has one solution.
        ({"DE": 30, "IT": 1, "MT": 1}, {"DE": "withheld", "IT": "withheld", "MT": "withheld"}),
        ({"DE": 30, "IT": 4, "MT": 4, "SM": 4}, dict.fromkeys(("DE", "IT", "MT", "SM"), "withheld")),
        # 1 + 2 is a small number itself.
        ({"DE": 30, "IT": 9, "MT": 1, "SM": 2}, {"DE": 30, "IT": "withheld", "MT": "withheld", "SM": "withheld"}),
        ({"IT": 1, "MT": 1, "SM": 1, "VA": 1, "LI": 1}, None),
        ({"MT": 4}, None),
    ],
)
def test_cells_that_add_up_to_a_known_total(cells: Mapping[str, int], expected: Mapping[str, Number] | None) -> None:
    assert partition(cells) == expected


@given(cells=TABLES)
def test_no_small_number_is_shown_or_left_of_the_total(cells: dict[str, int]) -> None:
    found = partition(cells)
    if found is None:
        return
    assert list(found) == list(cells)
    hidden = [name for name, number in found.items() if isinstance(number, Hidden)]
    assert all(found[name] == cells[name] and not is_small(cells[name]) for name in cells if name not in hidden)
    assert bool(hidden) is any(map(is_small, cells.values()))
    rest = sum(cells.values()) - sum(number for number in found.values() if not isinstance(number, Hidden))
    assert not hidden or (len(hidden) > 1 and rest >= SMALL)
    assert len({found[name] for name in hidden}) <= 1
    assert all(is_small(cells[name]) for name in hidden if found[name] is Hidden.FEW)


@given(cells=TABLES)
def test_who_knows_which_are_small_finds_two_values_for_each(cells: dict[str, int]) -> None:
    """One of two changes leaves the total and what is shown as they are: one up and another down, or the reverse."""
    found = partition(cells)
    hidden = [name for name in cells if found is not None and isinstance(found[name], Hidden)]
    most = min((cells[name] for name in cells if name not in hidden and cells[name]), default=None)

    def may_be(name: str, number: int) -> bool:
        if is_small(cells[name]):
            return is_small(number)
        return number >= SMALL and (most is None or number <= most)

    for name in filter(lambda name: is_small(cells[name]), hidden):
        assert any(
            may_be(name, cells[name] + step) and may_be(other, cells[other] - step)
            for step in (1, -1)
            for other in hidden
            if other != name
        )


def tables(cells: int, most: int) -> Iterator[tuple[int, ...]]:
    return (table for table in itertools.product(range(most + 1), repeat=cells) if sum(table) <= most)


@pytest.mark.parametrize(("cells", "most"), [(2, 40), (3, 24), (4, 16)])
def test_who_knows_the_rule_and_the_total_finds_two_values_for_each(cells: int, most: int) -> None:
    """Of all tables of that size, those that look alike leave each small cell open."""
    alike = defaultdict(list)
    for table in tables(cells, most):
        if (found := partition({str(number): value for number, value in enumerate(table)})) is not None:
            alike[sum(table), tuple(found.values())].append(table)
    known = [
        (look, number)
        for (_, look), group in alike.items()
        for number, value in enumerate(look)
        if isinstance(value, Hidden)
        if len(values := {table[number] for table in group}) < 2 and all(map(is_small, values))
    ]
    assert known == []
