from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope.pieces import innermost, overlay, value_at, with_those_around

SIZE = 64
"""Of a space that is small enough to look at each address."""

Blocks = dict[tuple[int, int], frozenset[int]]


@st.composite
def blocks(draw: st.DrawFn) -> Blocks:
    """Nested or disjoint, as prefixes are."""
    found = draw(st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 6)), max_size=12))
    spans = ((first >> bits << bits, (first >> bits << bits) + (1 << bits) - 1) for first, bits in found)
    return {span: frozenset({index}) for index, span in enumerate(spans)}


def around(known: Blocks, address: int) -> list[frozenset[int]]:
    """What the blocks around an address hold, the smallest first."""
    holding = [(last - first, value) for (first, last), value in known.items() if first <= address <= last]
    return [value for _, value in sorted(holding, key=lambda each: each[0])]


@given(blocks())
def test_the_smallest_block_around_an_address_has_it(known: Blocks) -> None:
    pieces = innermost(known)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(pieces))
    for address in range(-1, SIZE + 1):
        assert value_at(pieces, address) == next(iter(around(known, address)), None)


@given(blocks())
def test_each_block_holds_what_those_around_it_hold(known: Blocks) -> None:
    pieces = innermost(with_those_around(known))
    for address in range(SIZE):
        assert (value_at(pieces, address) or frozenset()) == frozenset().union(*around(known, address))


@given(blocks(), blocks())
def test_an_overlay_is_the_pieces_with_what_lies_over_them(under: Blocks, over: Blocks) -> None:
    pieces, upper = innermost(under), innermost(over)
    cut = list(overlay(pieces, upper))
    assert all(before[1] < after[0] for before, after in itertools.pairwise(cut))
    flat = [(first, last, (value, above)) for first, last, value, above in cut]
    for address in range(SIZE):
        value = value_at(pieces, address)
        assert value_at(flat, address) == (None if value is None else (value, value_at(upper, address)))
