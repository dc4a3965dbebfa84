"""The target space: a keyed permutation of (address, port) that any worker can enter at any index.

Index -> permuted index -> (rank of the address, port) -> address. The permutation is a balanced Feistel network over
the smallest even number of bits that holds the space, walked until it falls inside (cycle walking): fewer than four
steps on average, vectorised. Nothing is kept in memory but the intervals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

ROUNDS = 6
MAX_SIZE = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Targets of consecutive indices. `addresses4` and `ports4` belong together; so do the pairs of `targets6`."""

    addresses4: U32
    ports4: npt.NDArray[np.uint16]
    targets6: tuple[tuple[int, int], ...]


class TargetSpace:
    """All (address, port) of the intervals (both ends included) and ports, each exactly once, in the order of `key`."""

    def __init__(
        self,
        intervals4: Sequence[tuple[int, int]],
        intervals6: Sequence[tuple[int, int]],
        ports: Sequence[int],
        key: bytes,
    ) -> None:
        self._starts = [start for start, _ in (*intervals4, *intervals6)]
        sizes = [stop - start + 1 for start, stop in (*intervals4, *intervals6)]
        self._count4 = len(intervals4)
        self._edges: U64 = np.cumsum([0, *sizes], dtype=np.uint64)
        self._starts4: U64 = np.array(self._starts[: self._count4], dtype=np.uint64)
        self._ports: npt.NDArray[np.uint16] = np.array(ports, dtype=np.uint16)
        self._addresses = sum(sizes)
        self._size = self._addresses * len(ports)
        if self._size > MAX_SIZE:
            raise ValueError("the target space is larger than 2^62")
        self._half_bits = max(1, ((self._size - 1).bit_length() + 1) // 2)
        digest = hashlib.blake2b(key, digest_size=8 * ROUNDS, person=b"leadapron-space").digest()
        self._keys = [np.uint64(int.from_bytes(digest[8 * i : 8 * i + 8], "little") | 1) for i in range(ROUNDS)]

    def __len__(self) -> int:
        return self._size

    def shard(self, number: int, of: int) -> tuple[int, int]:
        """The index range [start, stop) of shard `number` (0-based) of `of`."""
        return self._size * number // of, self._size * (number + 1) // of

    def batch(self, start: int, count: int) -> Batch:
        """The targets of the indices [start, start + count)."""
        permuted = self._permute(np.arange(start, min(start + count, self._size), dtype=np.uint64))
        ranks, ports = permuted // np.uint64(len(self._ports)), permuted % np.uint64(len(self._ports))
        places = np.searchsorted(self._edges, ranks, "right") - 1
        offsets = ranks - self._edges[places]
        is4 = places < self._count4
        addresses4 = (self._starts4[places[is4]] + offsets[is4]).astype(np.uint32)
        targets6 = tuple(
            (self._starts[place] + offset, port)
            for place, offset, port in zip(
                places[~is4].tolist(), offsets[~is4].tolist(), self._ports[ports[~is4]].tolist(), strict=True
            )
        )
        return Batch(addresses4=addresses4, ports4=self._ports[ports[is4]], targets6=targets6)

    def _permute(self, indices: U64) -> U64:
        values = self._encipher(indices)
        outside = np.flatnonzero(values >= self._size)
        while len(outside):
            values[outside] = self._encipher(values[outside])
            outside = outside[values[outside] >= self._size]
        return values

    def _encipher(self, values: U64) -> U64:
        """One pass of the Feistel network: a bijection of 2 * half_bits bits."""
        bits = np.uint64(self._half_bits)
        mask = np.uint64((1 << self._half_bits) - 1)
        left, right = values >> bits, values & mask
        for key in self._keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
            mixed *= key
            mixed ^= mixed >> np.uint64(32)
            left, right = right, left ^ (mixed & mask)
        return (left << bits) | right
