"""Keyed bijections of small whole numbers, in numpy batches, each with its inverse. They spread load and hide nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

MAX_SIZE = 1 << 32
_ROUNDS = 3

EVEN = 5
"""Partial quotients up to this make an even stride. Zaremba's conjecture: each size has one."""
_TRIES = 1 << 14
"""Numbers among which one is looked for; of sizes near 2^32 one in 1,400 is even."""


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
    """A keyed number below `size` that has no divisor in common with it, so that its multiples modulo `size` come by
    everything; and such that they come by every stretch of it evenly, so that no part is through long before another (see
    `largest_quotient`). Beyond a size of 2^32 it is below 2^16, where a product would not fit into 64 bits, and only the
    divisors count."""
    if size <= 2:
        return 1
    digest = hashlib.blake2b(size.to_bytes(8, "big"), digest_size=8, key=key, person=b"stride").digest()
    wanted = int.from_bytes(digest, "big")
    if size > MAX_SIZE:
        wanted = (1 << 15) + wanted % (1 << 15)
        return next(step for step in range(wanted, wanted + size) if math.gcd(step, size) == 1)
    best, least = 1, size
    for step in _apart(size - 1, wanted):
        if least <= EVEN:
            break
        if math.gcd(step, size) == 1 and (worst := largest_quotient(step, size, least)) < least:
            best, least = step, worst
    return best


def _apart(size: int, first: int) -> Iterator[int]:
    """Numbers from 1 to `size`, each at most once, neighbours far apart (by the golden ratio): uneven strides lie side by
    side."""
    leap = next(leap for leap in range(max(size * 610 // 987, 1), 2 * size + 1) if math.gcd(leap, size) == 1)
    return (1 + (first + leap * number) % size for number in range(min(size, _TRIES)))


def largest_quotient(step: int, size: int, enough: int) -> int:
    """The largest partial quotient of the continued fraction of step / size, or one of `enough` at least. Where none is
    larger than A, b places in a row are not left alone for more than about (A + 2) * size / b multiples of the step."""
    numerator, denominator, largest = size, step % size, 0
    while denominator and largest < enough:
        quotient, rest = divmod(numerator, denominator)
        numerator, denominator, largest = denominator, rest, max(largest, quotient)
    return largest
