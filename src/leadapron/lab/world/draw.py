"""Numbers from a seed: of one thing among millions without the others before it, and whole numbers that add up."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def drawn(key: int, indices: Indices) -> Words:
    """64 bits for each index: SplitMix64 (Steele, Lea and Flood, 2014), entered at any place. Wraps modulo 2^64."""
    mixed = (indices.astype(np.uint64) + np.uint64(1)) * _STEP + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def below(key: int, indices: Indices, bound: int) -> Indices:
    """From 0 to `bound` - 1 for each index."""
    return np.asarray((drawn(key, indices) >> np.uint64(11)) % np.uint64(bound)).astype(np.int64)


def key_of(*parts: object) -> int:
    """64 bits for what a number is about."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "little")


def shared(total: int, weights: Sequence[float], *, least: int = 1) -> list[int]:
    """`total` in whole parts of at least `least`, nearly in proportion to `weights`. Raises ValueError for too few."""
    free = total - least * len(weights)
    if free < 0:
        raise ValueError(f"{total} is not enough for {len(weights)} parts of {least}")
    whole = sum(weights)
    exact = [free * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    by_rest = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_rest[: free - sum(parts)]:
        parts[place] += 1
    return [least + part for part in parts]


def uneven(chance: random.Random, total: int, count: int, *, spread: float = 1.6, most: int | None = None) -> list[int]:
    """`total` in `count` parts of very different sizes, at least 1 and at most `most` each."""
    weights = [chance.lognormvariate(0.0, spread) for _ in range(count)]
    parts = shared(total, weights)
    if most is None:
        return parts
    if total > most * count:
        raise ValueError(f"{count} parts of at most {most} do not make {total}")
    excess = sum(max(0, part - most) for part in parts)
    parts = [min(part, most) for part in parts]
    for place in sorted(range(count), key=lambda each: -parts[each]):
        taken = min(excess, most - parts[place])
        parts[place] += taken
        excess -= taken
    return parts
