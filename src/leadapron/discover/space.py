"""The target space: every (address, port) of a scope, in a keyed random order that can be entered anywhere.

A sweep walks the indices 0 … len(space) - 1. Index i stands for the target at position `permutation(i)` of the plain
order (addresses ascending, IPv4 first, each with all ports). Nothing is stored: an index is computed into its target,
so a worker can start at any index, a shard is a range of them, and progress is a set of intervals. Neighbours in time
are strangers in space: no network sees a burst.

The permutation is an unbalanced Feistel network over ceil(log2(n)) bits; results outside the space are sent through it
again until they fall inside (cycle walking, under two passes on average). It spreads load and hides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_SIZE = 1 << 48
"""Targets: all of IPv4 on all ports."""

Words = npt.NDArray[np.uint64]
Intervals = Sequence[tuple[int, int]]
"""(first, last) addresses as numbers, both included."""

_ROUNDS = 6
_BLOCK = 1 << 14
"""Indices that go through the permutation at once, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The targets of consecutive indices; within it, IPv4 before IPv6."""

    addresses4: npt.NDArray[np.uint32]
    ports4: npt.NDArray[np.uint16]
    """as long as `addresses4`"""
    targets6: list[tuple[int, int]]
    """(address, port)"""

    def __len__(self) -> int:
        return len(self.addresses4) + len(self.targets6)


class TargetSpace:
    """Every (address, port) of the intervals exactly once. Overlapping intervals are merged.

    The same intervals, ports and key give the same order on every machine. `key` has at most 64 bytes. Raises
    ValueError for more than `MAX_SIZE` targets.
    """

    def __init__(
        self,
        intervals4: Intervals,
        intervals6: Intervals,
        ports: Sequence[int],
        key: bytes,
        spots: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        """`spots`: single targets besides, as IP version, address and port. The caller leaves out those that are in the
        intervals."""
        merged4, self._intervals6 = _merge(intervals4), _merge(intervals6)
        self._ports = np.array(list(dict.fromkeys(ports)), dtype=np.uint16)
        self._starts4 = np.array([first for first, _ in merged4], dtype=np.uint32)
        self._ends4 = _running_sizes(merged4)
        self._befores4 = np.concatenate([np.zeros(1, dtype=np.uint64), self._ends4])
        self._ends6 = _running_sizes(self._intervals6)
        self._addresses4 = int(self._ends4[-1]) if merged4 else 0
        addresses = self._addresses4 + (int(self._ends6[-1]) if self._intervals6 else 0)
        self._product = addresses * len(self._ports)
        self._spots = list(dict.fromkeys(spots))
        self._size = self._product + len(self._spots)
        if self._size > MAX_SIZE:
            raise ValueError(f"more than {MAX_SIZE} targets")
        self._permutation = _Permutation(self._size, key)

    def __len__(self) -> int:
        return self._size

    def shard(self, number: int, shards: int) -> range:
        """The indices of shard `number` (from 0) of `shards`. Sizes differ by at most one."""
        if not 0 <= number < shards:
            raise ValueError(f"no shard {number} of {shards}")
        return range(self._size * number // shards, self._size * (number + 1) // shards)

    def batch(self, start: int, count: int) -> Batch:
        """The targets at the indices start … start + count - 1, fewer at the end of the space."""
        stop = min(start + count, self._size)
        if start < 0 or stop <= start:
            return self._batch(np.empty(0, dtype=np.uint64))
        blocks = [
            self._permutation.at(np.arange(first, min(first + _BLOCK, stop), dtype=np.uint64))
            for first in range(start, stop, _BLOCK)
        ]
        return self._batch(np.concatenate(blocks))

    def _batch(self, positions: Words) -> Batch:
        if not self._spots:
            return self._of_product(positions)
        is_spot = positions >= np.uint64(self._product)
        return _with_spots(
            self._of_product(positions[~is_spot]),
            [self._spots[place - self._product] for place in positions[is_spot].tolist()],
        )

    def _of_product(self, positions: Words) -> Batch:
        ranks, columns = np.divmod(positions, np.uint64(max(len(self._ports), 1)))
        ports = self._ports[columns.astype(np.intp)]
        is4 = ranks < np.uint64(self._addresses4)
        if is4.all():
            return Batch(addresses4=self._addresses(ranks), ports4=ports, targets6=[])
        rest = ranks[~is4] - np.uint64(self._addresses4)
        return Batch(
            addresses4=self._addresses(ranks[is4]),
            ports4=ports[is4],
            targets6=list(zip(self._addresses6(rest), ports[~is4].tolist(), strict=True)),
        )

    def _addresses(self, ranks: Words) -> npt.NDArray[np.uint32]:
        if not len(ranks):
            return np.empty(0, dtype=np.uint32)
        which = np.searchsorted(self._ends4, ranks, side="right")
        return np.asarray(self._starts4[which] + (ranks - self._befores4[which]).astype(np.uint32))

    def _addresses6(self, ranks: Words) -> list[int]:
        """Numbers of 128 bits, so one by one; IPv6 is swept up to /112, which keeps them few."""
        which = np.searchsorted(self._ends6, ranks, side="right").tolist()
        ends = [0, *self._ends6.tolist()]
        return [
            self._intervals6[interval][0] + rank - ends[interval]
            for interval, rank in zip(which, ranks.tolist(), strict=True)
        ]


def _with_spots(batch: Batch, spots: Sequence[tuple[int, int, int]]) -> Batch:
    four = [(value, port) for version, value, port in spots if version == 4]
    addresses = np.array([value for value, _ in four], dtype=np.uint32)
    ports = np.array([port for _, port in four], dtype=np.uint16)
    return Batch(
        addresses4=np.concatenate([batch.addresses4, addresses]),
        ports4=np.concatenate([batch.ports4, ports]),
        targets6=[*batch.targets6, *((value, port) for version, value, port in spots if version == 6)],
    )


class _Permutation:
    """A keyed bijection of 0 … size - 1."""

    def __init__(self, size: int, key: bytes) -> None:
        self._size = np.uint64(size)
        bits = max((size - 1).bit_length(), 2)
        self._halves = bits - bits // 2, bits // 2
        self._is_exact = size == 1 << bits
        self._rounds = [_round_keys(key, number) for number in range(_ROUNDS)]

    def at(self, words: Words) -> Words:
        words = self._pass(words)
        if self._is_exact:
            return words
        outside = np.flatnonzero(words >= self._size)
        while len(outside):
            again = self._pass(words[outside])
            words[outside] = again
            outside = outside[again >= self._size]
        return words

    def _pass(self, words: Words) -> Words:
        """One trip through the Feistel network. The halves keep their widths, and take turns in changing."""
        high_bits, low_bits = self._halves
        high, low = words >> np.uint64(low_bits), words & np.uint64((1 << low_bits) - 1)
        for number, keys in enumerate(self._rounds):
            if number % 2:
                low ^= _mix(high, keys, low_bits)
            else:
                high ^= _mix(low, keys, high_bits)
        high <<= np.uint64(low_bits)
        high |= low
        return high


def _mix(half: Words, keys: tuple[np.uint64, np.uint64, np.uint64], bits: int) -> Words:
    """The round function: multiply, fold, multiply; the best mixed `bits` are the uppermost. Wraps modulo 2^64."""
    factor, offset, second = keys
    mixed = half * factor
    mixed += offset
    mixed ^= mixed >> np.uint64(32)
    mixed *= second
    mixed >>= np.uint64(64 - bits)
    return mixed


def _round_keys(key: bytes, number: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    digest = hashlib.blake2b(number.to_bytes(2, "big"), digest_size=24, key=key, person=b"target space").digest()
    factor, offset, second = (int.from_bytes(digest[at : at + 8], "big") for at in (0, 8, 16))
    return np.uint64(factor | 1), np.uint64(offset), np.uint64(second | 1)


def _merge(intervals: Intervals) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if last < first:
            raise ValueError("an interval ends before it begins")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def _running_sizes(intervals: Intervals) -> Words:
    """How many addresses the intervals up to and including each one hold. Raises ValueError over `MAX_SIZE`."""
    ends, total = [], 0
    for first, last in intervals:
        total += last - first + 1
        if total > MAX_SIZE:
            raise ValueError(f"more than {MAX_SIZE} targets")
        ends.append(total)
    return np.array(ends, dtype=np.uint64)
