"""The target space: every (address, port) of a scope, in a keyed order that can be entered anywhere.

A sweep walks the indices 0 … len(space) - 1. Nothing is stored of a target: an index is computed into it, and it into its
index, so a worker can start anywhere, a shard is a range of indices, progress is a set of intervals, and an answer finds
the question that it belongs to.

The order spreads load by construction: the networks (a /24 of IPv4, a /48 of IPv6) are visited in turn, see
`leadapron.discover.cells`. It hides nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.discover.cells import EvenStrides, Strides, Turns
from leadapron.discover.networks import Networks4, Networks6, Pairs4, Pairs6
from leadapron.discover.ranks import Numbers
from leadapron.scope.spans import merged

MAX_SIZE = 1 << 48
"""Targets: all of IPv4 on all ports."""

_ORDER = "2."
"""Before each key: the way in which it gives an order. A run keeps the one that it began with."""

Intervals = Sequence[tuple[int, int]]
"""(first, last) addresses as numbers, both included."""
Addresses = npt.NDArray[np.uint32]
PortNumbers = npt.NDArray[np.uint16]

_BLOCK = 1 << 14
"""Indices that are computed at once, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The targets of consecutive indices; within it, IPv4 before IPv6."""

    addresses4: Addresses
    ports4: PortNumbers
    """as long as `addresses4`"""
    targets6: list[tuple[int, int]]
    """(address, port)"""

    def __len__(self) -> int:
        return len(self.addresses4) + len(self.targets6)

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """One after the other; maybe none."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            addresses4=np.concatenate([np.empty(0, dtype=np.uint32), *(part.addresses4 for part in parts)]),
            ports4=np.concatenate([np.empty(0, dtype=np.uint16), *(part.ports4 for part in parts)]),
            targets6=[target for part in parts for target in part.targets6],
        )


class TargetSpace:
    """Every (address, port) of the intervals exactly once. Overlapping intervals are merged.

    The same intervals, ports, spots and key give the same order on every machine. `key` has at most 64 bytes. Raises
    ValueError for more than `MAX_SIZE` targets.
    """

    def __init__(
        self,
        intervals4: Intervals,
        intervals6: Intervals,
        ports: Sequence[int],
        key: bytes,
        spots: Sequence[tuple[int, int, int]] = (),
        pairs4: tuple[Addresses, PortNumbers] | None = None,
    ) -> None:
        """`spots`: single targets besides, as IP version, address and port; `pairs4`: the same of IPv4, in columns. Those
        that the intervals have already count once."""
        merged4, merged6 = _merge(intervals4), _merge(intervals6)
        chosen = list(dict.fromkeys(ports))
        _check_size(merged4, merged6, len(chosen))
        self._four, self._six = Networks4(merged4, chosen), Networks6(merged6, chosen)
        self._pairs4, self._pairs6 = Pairs4.of(spots, pairs4, self._four), Pairs6.of(spots, self._six)
        self._kinds: tuple[Networks4 | Pairs4 | Networks6 | Pairs6, ...]
        self._kinds = (self._four, self._pairs4, self._six, self._pairs6)
        self._arrange(key)
        if len(self) > MAX_SIZE:
            raise ValueError(f"more than {MAX_SIZE} targets")

    def _arrange(self, key: bytes) -> None:
        """The cells that are no whole /24, in order of falling size, with the whole ones in between."""
        sizes = np.concatenate([kind.sizes for kind in self._kinds])
        kinds = np.concatenate([np.full(len(kind.sizes), at) for at, kind in enumerate(self._kinds)])
        order = np.lexsort((np.arange(len(sizes)), np.uint64(MAX_SIZE) - sizes))
        self._sizes, self._of_kind = sizes[order], kinds[order]
        self._bases = np.concatenate([kind.bases for kind in self._kinds])[order]
        self._rank_of = np.empty(len(order), dtype=np.int64)
        self._rank_of[order] = np.arange(len(order))
        whole, count = self._four.whole_size, len(self._four.whole)
        self._larger = np.uint32(np.count_nonzero(self._sizes >= whole) if count else 0)
        self._whole = np.uint32(count)
        with_whole = np.concatenate([sizes, np.array([whole] if count else [], dtype=np.uint64)])
        distinct, which = np.unique(with_whole, return_inverse=True)
        counts = np.bincount(which[: len(sizes)], minlength=len(distinct)).astype(np.uint64)
        if count:
            counts[which[-1]] += np.uint64(count)
        self._turns = Turns(distinct, counts, key)
        self._even = EvenStrides(max(whole, 1), key)
        self._strides = Strides(self._sizes, _starts(self._sizes, key), key)

    def __len__(self) -> int:
        return len(self._turns)

    def shard(self, number: int, shards: int) -> range:
        """The indices of shard `number` (from 0) of `shards`. Sizes differ by at most one."""
        if not 0 <= number < shards:
            raise ValueError(f"no shard {number} of {shards}")
        return range(len(self) * number // shards, len(self) * (number + 1) // shards)

    def stretch(self, index: int) -> tuple[int, int]:
        """The end of the stretch of indices around one, and how many networks it visits in turn: who walks it at r targets
        a second puts r / networks on each."""
        return self._turns.stretch(index)

    def batch(self, start: int, count: int) -> Batch:
        """The targets at the indices start … start + count - 1, fewer at the end of the space."""
        stop = min(start + count, len(self))
        return Batch.joined(
            [
                self._batch(ranks, rounds)
                for first in (range(start, stop, _BLOCK) if start >= 0 else ())
                for ranks, rounds in self._turns.visits(first, min(first + _BLOCK, stop))
            ]
        )

    def _batch(self, ranks: npt.NDArray[np.uint32], rounds: Numbers) -> Batch:
        is_whole = (ranks - self._larger) < self._whole  # wraps where it is below
        if is_whole.all():
            addresses, ports = self._in_whole(ranks, rounds)
            return Batch(addresses4=addresses, ports4=ports, targets6=[])
        addresses, ports = np.empty(len(ranks), dtype=np.uint32), np.empty(len(ranks), dtype=np.uint16)
        addresses[is_whole], ports[is_whole] = self._in_whole(ranks[is_whole], rounds[is_whole])
        others = np.flatnonzero(~is_whole)
        cells = self._cells(ranks[others])
        members, kinds = self._bases[cells] + self._strides.at(cells, rounds[others]), self._of_kind[cells]
        targets6: dict[int, tuple[int, int]] = {}
        for number, kind in enumerate(self._kinds):
            here = np.flatnonzero(kinds == number)
            places = others[here]
            if isinstance(kind, Networks4 | Pairs4):
                addresses[places], ports[places] = kind.at(members[here])
            else:
                targets6.update(zip(places.tolist(), kind.at(members[here].tolist()), strict=True))
        is4 = np.ones(len(ranks), dtype=np.bool_)
        is4[list(targets6)] = False
        in_order = [targets6[place] for place in sorted(targets6)]
        return Batch(addresses4=addresses[is4], ports4=ports[is4], targets6=in_order)

    def _in_whole(self, ranks: npt.NDArray[np.uint32], rounds: Numbers) -> tuple[Addresses, PortNumbers]:
        numbers = self._four.whole.at((ranks - self._larger).astype(np.uint64)).astype(np.uint32)
        return self._four.in_whole(numbers, self._even.at(numbers, rounds))

    def _cells(self, ranks: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        return np.where(ranks < self._larger, ranks, ranks - self._whole).astype(np.intp)

    # -- the way back --------------------------------------------------------------------------------------------------

    def indices4(self, addresses: Addresses, ports: PortNumbers) -> npt.NDArray[np.int64]:
        """The index of each IPv4 target; -1 for those that are not in the space. The inverse of `batch`."""
        found = np.full(len(addresses), -1, dtype=np.int64)
        numbers, places = self._four.places_in_whole(addresses, ports)
        here = np.flatnonzero(places >= 0)
        if len(here):
            of_network = (addresses[here] >> np.uint32(8)).astype(np.uint32)
            rounds = self._even.back(of_network, places[here].astype(np.uint64))
            found[here] = self._turns.index(numbers[here].astype(np.uint32) + self._larger, rounds)
        before = 0
        for source in (self._four, self._pairs4):
            left = np.flatnonzero(found < 0)
            cells, members = source.cells_of(addresses[left], ports[left])
            inside = np.flatnonzero(cells >= 0)
            if len(inside):
                at = self._rank_of[cells[inside] + before].astype(np.intp)
                rounds = self._strides.back(at, members[inside].astype(np.uint64))
                ranks = np.where(at < int(self._larger), at, at + int(self._whole)).astype(np.uint32)
                found[left[inside]] = self._turns.index(ranks, rounds)
            before += len(source.sizes)
        return found


def new_key() -> str:
    """A random key as a run stores it."""
    return _ORDER + secrets.token_hex(16)


def key_of(stored: str) -> bytes:
    """Raises ValueError for a key that an earlier version made, which gave another order."""
    if not stored.startswith(_ORDER):
        raise ValueError("the key of an earlier version")
    return bytes.fromhex(stored.removeprefix(_ORDER))


def _starts(sizes: Numbers, key: bytes) -> Numbers:
    """Where in each cell the first round is: keyed, and of no other pattern."""
    if not len(sizes):
        return np.empty(0, dtype=np.uint64)
    digest = hashlib.blake2b(digest_size=16, key=key, person=b"starts").digest()
    factor, offset = (np.uint64(int.from_bytes(digest[at : at + 8], "big") | 1) for at in (0, 8))
    mixed = (np.arange(len(sizes), dtype=np.uint64) + offset) * factor
    mixed ^= mixed >> np.uint64(32)
    mixed *= factor
    mixed ^= mixed >> np.uint64(29)
    return mixed % sizes


def _check_size(merged4: Intervals, merged6: Intervals, ports: int) -> None:
    """Before anything is made of them. Raises ValueError."""
    addresses = sum(last - first + 1 for merged in (merged4, merged6) for first, last in merged)
    if addresses > MAX_SIZE or addresses * ports > MAX_SIZE:
        raise ValueError(f"more than {MAX_SIZE} targets")


def _merge(intervals: Intervals) -> list[tuple[int, int]]:
    if any(last < first for first, last in intervals):
        raise ValueError("an interval ends before it begins")
    return merged(sorted(intervals))
