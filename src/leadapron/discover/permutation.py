"""Keyed bijections of small whole numbers, in numpy batches, each with its inverse. They spread load and hide nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

MAX_SIZE = 1 << 32
_ROUNDS = 3


class Permutation:
    """A keyed bijection of 0 … size - 1, up to 2^32.

    Over the next power of two: fold the upper half of the bits into the lower, multiply by an odd number, add; three
    times, and fold. What comes out outside is sent through again until it falls inside (cycle walking, under two passes
    on average). The same key and size give the same bijection on every machine. `key` has at most 64 bytes.
    """

    def __init__(self, size: int, key: bytes) -> None:
        if not 0 < size <= MAX_SIZE:
            raise ValueError(f"no permutation of {size}")
        self._bits = max((size - 1).bit_length(), 1)
        self._last = np.uint32(size - 1)
        self._mask, self._fold = np.uint32((1 << self._bits) - 1), np.uint32((self._bits + 1) // 2)
        digest = hashlib.blake2b(
            size.to_bytes(8, "big"), digest_size=8 * _ROUNDS, key=key, person=b"permutation"
        ).digest()
        words = [int.from_bytes(digest[at : at + 4], "big") for at in range(0, len(digest), 4)]
        self._rounds = [(np.uint32(words[at] | 1), np.uint32(words[at + 1])) for at in range(0, len(words), 2)]
        self._back = [(np.uint32(pow(int(factor), -1, 1 << 32)), offset) for factor, offset in reversed(self._rounds)]

    def at(self, words: Words) -> Words:
        """Where each goes. `words` is left as it is."""
        return self._walk(words, self._pass)

    def back(self, words: Words) -> Words:
        """The inverse of `at`."""
        return self._walk(words, self._pass_back)

    def _walk(self, words: Words, through: Callable[[Words], Words]) -> Words:
        words = through(words)
        outside = np.flatnonzero(words > self._last)
        while len(outside):
            again = through(words[outside])
            words[outside] = again
            outside = outside[again > self._last]
        return words

    def _pass(self, words: Words) -> Words:
        """One trip. All wraps modulo 2^32, and the mask makes that modulo 2^bits: low bits depend on low bits only."""
        words = words ^ (words >> self._fold)
        for factor, offset in self._rounds:
            words *= factor
            words += offset
            words &= self._mask
            words ^= words >> self._fold
        return words

    def _pass_back(self, words: Words) -> Words:
        """Folding half of the bits or more is its own inverse."""
        words = words ^ (words >> self._fold)
        for factor, offset in self._back:
            words -= offset
            words *= factor
            words &= self._mask
            words ^= words >> self._fold
        return words


def stride(size: int, key: bytes) -> int:
    """A keyed number that has no divisor in common with `size`, so that its multiples modulo `size` come by everything.
    From the middle half of the range, and below 2^16 where a product would not fit into 64 bits."""
    if size <= 2:
        return 1
    low, high = (size // 4 + 1, 3 * size // 4 + 1) if size <= MAX_SIZE else (1 << 15, 1 << 16)
    digest = hashlib.blake2b(size.to_bytes(8, "big"), digest_size=8, key=key, person=b"stride").digest()
    wanted = low + int.from_bytes(digest, "big") % max(high - low, 1)
    return next(step for step in range(wanted, wanted + size) if math.gcd(step, size) == 1)
