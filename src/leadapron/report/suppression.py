"""Small numbers that a publication hides, so that nobody can compute them from what it shows. Pure.

A reader is assumed to know the total of a table, and beside it this code, or which of its hidden cells are the small ones.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

SMALL = 5
"""The smallest number that is shown, beside none at all."""


class Hidden(enum.StrEnum):
    """What stands in place of a number."""

    FEW = "<5"
    WITHHELD = "withheld"
    """it may be `SMALL` or more, and is hidden because another number follows from it"""


Number = int | Hidden


def shown(number: int) -> Number:
    """`number`, or that it is small."""
    return Hidden.FEW if is_small(number) else number


def is_small(number: int) -> bool:
    return 0 < number < SMALL


def partition(cells: Mapping[str, int]) -> dict[str, Number] | None:
    """The cells of a table that add up to a total which is known. None where hiding cells hides nothing.

    Beside small cells the next smallest ones are hidden until each small one may have at least two values, and all hidden
    ones together are not small. Hidden cells look all alike where one of them is not small.
    """
    small = {name for name, number in cells.items() if is_small(number)}
    if not small:
        return dict(cells)
    hidden, rest = set(small), sorted(set(cells) - small, key=lambda name: (cells[name], name))
    rest = [name for name in rest if cells[name]]
    while not _is_safe([cells[name] for name in hidden], cells[rest[0]] if rest else None):
        if not rest:
            return None
        hidden.add(rest.pop(0))
    mark = Hidden.FEW if hidden == small else Hidden.WITHHELD
    return {name: mark if name in hidden else number for name, number in cells.items()}


def _is_safe(hidden: Sequence[int], most: int | None) -> bool:
    """Whether their sum leaves each small one open. `most`: the smallest number that is shown; None where none is."""
    total = sum(hidden)
    if len(hidden) < 2 or total < SMALL:
        return False
    lows = [1 if is_small(number) else SMALL for number in hidden]
    highs = [SMALL - 1 if is_small(number) else total if most is None else most for number in hidden]
    return all(
        max(low, total - (sum(highs) - high)) < min(high, total - (sum(lows) - low))
        for number, low, high in zip(hidden, lows, highs, strict=True)
        if is_small(number)
    )
