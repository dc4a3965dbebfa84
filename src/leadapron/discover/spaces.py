"""Target spaces one after the other, in one row of indices: each may be swept in a way of its own."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from leadapron.discover.space import Batch, TargetSpace


class Spaces:
    """A row of spaces. Where one begins is `starts`, in their order."""

    def __init__(self, *spaces: TargetSpace) -> None:
        self._spaces = spaces
        self._ends = list(accumulate(len(space) for space in spaces))
        self.starts = [end - len(space) for space, end in zip(spaces, self._ends, strict=True)]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def batch(self, start: int, count: int) -> Batch:
        """As of one space: the targets at the indices start … start + count - 1, fewer at the end."""
        stop = min(start + count, len(self))
        return Batch.joined(
            [
                space.batch(max(start - first, 0), min(stop, end) - max(start, first))
                for space, first, end in zip(self._spaces, self.starts, self._ends, strict=True)
                if start >= 0 and max(start, first) < min(stop, end)
            ]
        )

    def of(self, index: int) -> int:
        """Which of the spaces an index lies in."""
        return bisect_right(self._ends, index)

    def stretch(self, index: int) -> tuple[int, int]:
        """See `TargetSpace.stretch`."""
        at = self.of(index)
        end, networks = self._spaces[at].stretch(index - self.starts[at])
        return self.starts[at] + end, networks
