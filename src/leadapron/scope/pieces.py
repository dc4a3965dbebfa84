"""Pieces of an address space: nested blocks made disjoint, laid over each other, and found by an address.

A piece is (first, last, value). Blocks are spans of addresses that nest or are disjoint, as prefixes do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar

V = TypeVar("V")
W = TypeVar("W")

_FIRST = itemgetter(0)


def with_those_around(blocks: Mapping[tuple[int, int], frozenset[int]]) -> dict[tuple[int, int], frozenset[int]]:
    """Each block with what it holds and what every block around it holds."""
    whole: dict[tuple[int, int], frozenset[int]] = {}
    around: list[tuple[int, int]] = []
    for block in _outermost_first(blocks):
        while around and around[-1][1] < block[0]:
            around.pop()
        whole[block] = blocks[block] | (whole[around[-1]] if around else frozenset())
        around.append(block)
    return whole


def innermost(blocks: Mapping[tuple[int, int], V]) -> list[tuple[int, int, V]]:
    """Disjoint pieces in order, each with the value of the smallest block around it."""
    pieces: list[tuple[int, int, V]] = []
    around: list[tuple[int, V]] = []
    at = 0
    for block in _outermost_first(blocks):
        start, end = block
        while around and around[-1][0] < start:
            at = _close(pieces, around, at)
        if around and at < start:
            pieces.append((at, start - 1, around[-1][1]))
        around.append((end, blocks[block]))
        at = start
    while around:
        at = _close(pieces, around, at)
    return pieces


def _close(pieces: list[tuple[int, int, V]], around: list[tuple[int, V]], at: int) -> int:
    """End the innermost open block; where the next piece begins."""
    end, value = around.pop()
    if at <= end:
        pieces.append((at, end, value))
    return max(at, end + 1)


def _outermost_first(blocks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(blocks, key=lambda block: (block[0], -block[1]))


def overlay(
    pieces: Iterable[tuple[int, int, V]], over: Sequence[tuple[int, int, W]]
) -> Iterator[tuple[int, int, V, W | None]]:
    """`pieces` cut at the borders of `over`, each with the value that lies over it. Both are disjoint and in order."""
    index = 0
    for start, end, value in pieces:
        at = start
        while at <= end:
            while index < len(over) and over[index][1] < at:
                index += 1
            if index == len(over) or over[index][0] > end:
                yield at, end, value, None
                break
            first, last, upper = over[index]
            if at < first:
                yield at, first - 1, value, None
            yield max(at, first), min(end, last), value, upper
            at = min(end, last) + 1


def value_at(pieces: Sequence[tuple[int, int, V]], address: int) -> V | None:
    """Of the piece that holds an address, where one does."""
    before = bisect_right(pieces, address, key=_FIRST)
    return pieces[before - 1][2] if before and address <= pieces[before - 1][1] else None
