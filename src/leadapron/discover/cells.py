"""Networks of a target space, as cells of some size each that are visited in turn: one target of every cell, then the
next of every cell, until the smaller ones are through.

Cells are in order of falling size, so that those which still have targets in round r are the first K(r). Rounds of the
same K make a stretch; within one, each round visits its cells in the same keyed order. So between two visits to a cell
lie exactly K - 1 others, whatever the cell: a sweep of r targets a second puts r / K on each network, never more.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from leadapron.discover.permutation import Permutation, stride
from leadapron.discover.ranks import Numbers

KEPT = 64
"""Permutations of stretches that are kept; making one takes some microseconds."""


class Turns:
    """In which order cells of these sizes are visited. Cells are known by rank: 0 is a largest one."""

    def __init__(self, sizes: Numbers, counts: Numbers, key: bytes) -> None:
        """`counts[i]` cells of `sizes[i]` targets, ascending and different, above 0."""
        total = int(counts.sum())
        self._key = key
        self._widths, self._first_rounds, self._offsets = [], [0], [0]
        before = 0
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            width = total - before
            self._widths.append(width)
            self._offsets.append(self._offsets[-1] + (size - self._first_rounds[-1]) * width)
            self._first_rounds.append(size)
            before += count
        self._permutation = lru_cache(KEPT)(self._made)

    def __len__(self) -> int:
        return self._offsets[-1]

    def _made(self, width: int) -> Permutation:
        return Permutation(width, self._key)

    def stretch(self, index: int) -> tuple[int, int]:
        """Where the stretch of an index ends, and how many cells it visits in turn."""
        at = bisect_right(self._offsets, index) - 1
        return self._offsets[at + 1], self._widths[at]

    def visits(self, start: int, stop: int) -> Iterator[tuple[npt.NDArray[np.uint32], Numbers]]:
        """Ranks of cells and rounds of the indices [start, stop), stretch by stretch."""
        while start < stop:
            at = bisect_right(self._offsets, start) - 1
            end, width = min(stop, self._offsets[at + 1]), np.uint64(self._widths[at])
            places = np.arange(start - self._offsets[at], end - self._offsets[at], dtype=np.uint64)
            turns = places // width
            slots = (places - turns * width).astype(np.uint32)
            yield self._permutation(int(width)).at(slots), turns + np.uint64(self._first_rounds[at])
            start = end

    def index(self, ranks: npt.NDArray[np.uint32], rounds: Numbers) -> npt.NDArray[np.int64]:
        """The inverse of `visits`. Each rank has to have its round."""
        found = np.empty(len(ranks), dtype=np.int64)
        stretches = np.searchsorted(np.array(self._first_rounds, dtype=np.uint64), rounds, side="right") - 1
        for at in np.unique(stretches).tolist():
            here = stretches == at
            slots = self._permutation(self._widths[at]).back(ranks[here]).astype(np.int64)
            turns = (rounds[here] - np.uint64(self._first_rounds[at])).astype(np.int64)
            found[here] = self._offsets[at] + turns * self._widths[at] + slots
        return found


class Strides:
    """Which target of a cell each round visits: multiples of a number that its size shares no divisor with, from a start
    of its own."""

    def __init__(self, sizes: Numbers, starts: Numbers, key: bytes) -> None:
        """Of cells of these sizes; `starts[i]` below `sizes[i]`."""
        self._sizes, self._starts = sizes, starts
        distinct, which = np.unique(sizes, return_inverse=True)
        steps = [stride(size, key) for size in distinct.tolist()]
        backs = [pow(step, -1, size) if size > 1 else 0 for step, size in zip(steps, distinct.tolist(), strict=True)]
        self._steps = np.array(steps, dtype=np.uint64)[which]
        self._backs = np.array(backs, dtype=np.uint64)[which]

    def at(self, cells: npt.NDArray[np.intp], rounds: Numbers) -> Numbers:
        """The place in each cell."""
        return np.asarray((self._steps[cells] * rounds + self._starts[cells]) % self._sizes[cells])

    def back(self, cells: npt.NDArray[np.intp], places: Numbers) -> Numbers:
        """The rounds of these places. Of cells of up to 2^32."""
        sizes = self._sizes[cells]
        return np.asarray(self._backs[cells] * ((places + sizes - self._starts[cells]) % sizes) % sizes)


class EvenStrides:
    """The same for any number of cells of one size up to 2^32, whose starts come of a hash of their numbers."""

    def __init__(self, size: int, key: bytes) -> None:
        digest = hashlib.blake2b(digest_size=12, key=key, person=b"even strides").digest()
        first, offset, second = (int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8))
        self._factor, self._offset, self._second = np.uint32(first | 1), np.uint32(offset), np.uint32(second | 1)
        self._size, self._step = np.uint64(size), np.uint64(stride(size, key))
        self._back = np.uint64(pow(int(self._step), -1, size) if size > 1 else 0)

    def at(self, numbers: npt.NDArray[np.uint32], rounds: Numbers) -> Numbers:
        places = self._step * rounds % self._size
        places += self._starts(numbers)
        places -= self._size * (places >= self._size)
        return places

    def back(self, numbers: npt.NDArray[np.uint32], places: Numbers) -> Numbers:
        return np.asarray(self._back * ((places + self._size - self._starts(numbers)) % self._size) % self._size)

    def _starts(self, numbers: npt.NDArray[np.uint32]) -> Numbers:
        mixed = numbers * self._factor
        mixed += self._offset
        mixed ^= mixed >> np.uint32(15)
        mixed *= self._second
        mixed ^= mixed >> np.uint32(16)
        return np.asarray((mixed.astype(np.uint64) * self._size) >> np.uint64(32))
