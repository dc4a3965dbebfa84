"""Intervals of numbers with everything in between left out: the k-th number of them, and which number is the k-th."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]

FEW = 6
"""Borders among which a plain binary search is the faster one."""
SPREAD = 4
"""Entries of the guide for each border."""


class Steps:
    """Which step of a staircase a number stands on: `numpy.searchsorted(ends, numbers, side="right")`, by a guide table
    (Chen and Asau, 1974), which takes a few nanoseconds where a binary search takes tens."""

    def __init__(self, ends: Sequence[int] | Numbers) -> None:
        """`ends`: ascending; a number below `ends[0]` stands on step 0."""
        self._ends = np.asarray(ends, dtype=np.uint64)
        self._guide: Places | None = None
        if len(self._ends) > FEW:
            top = int(self._ends[-1])
            self._shift = np.uint64(max((top // (SPREAD * len(self._ends))).bit_length(), 0))
            borders = np.arange((top >> int(self._shift)) + 1, dtype=np.uint64) << self._shift
            self._guide = np.searchsorted(self._ends, borders, side="right").astype(np.intp)

    def of(self, numbers: Numbers) -> Places:
        """None of them may be `ends[-1]` or above."""
        if self._guide is None:
            return np.searchsorted(self._ends, numbers, side="right").astype(np.intp)
        steps = self._guide.take((numbers >> self._shift).astype(np.intp))
        while (behind := self._ends.take(steps) <= numbers).any():
            steps += behind
        return steps


class Ranks:
    """The numbers of sorted, disjoint intervals (first, last), both included: below 2^63, and as many."""

    def __init__(self, firsts: Numbers, lasts: Numbers) -> None:
        self.firsts, self.lasts = firsts, lasts
        self.ends = np.cumsum(lasts - firsts + np.uint64(1), dtype=np.uint64)
        self._before = np.concatenate([np.zeros(1, dtype=np.uint64), self.ends])
        self._shifts = firsts - self._before[:-1]
        self._steps = Steps(self.ends)

    def __len__(self) -> int:
        return int(self._before[-1])

    def at(self, ranks: Numbers) -> Numbers:
        """The numbers of these ranks, all below `len`."""
        return np.asarray(ranks + self._shifts.take(self._steps.of(ranks)))

    def of(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """The ranks of these numbers; -1 for those that lie in no interval."""
        if not len(self.firsts):
            return np.full(len(numbers), -1, dtype=np.int64)
        which = np.searchsorted(self.firsts, numbers, side="right").astype(np.intp) - 1
        at = np.maximum(which, 0)
        is_inside = (which >= 0) & (numbers <= self.lasts[at])
        return np.where(is_inside, (numbers - self._shifts[at]).astype(np.int64), -1)
