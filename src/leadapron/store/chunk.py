"""A piece of a sweep as it is stored: consecutive indices of the permutation, done whole or in part."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leadapron.errors import StoreError
from leadapron.model import Endpoint
from leadapron.store.codec import DAMAGED


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChunk:
    """The indices [start, stop): how those that are done ended, and what was reached."""

    start: int
    stop: int
    outcomes: Mapping[str, int]
    hits: Sequence[Endpoint] = ()
    """of what is done; not given back by the store, which keeps them as endpoints"""
    waiting: bytes = field(default=b"")
    """a byte per target in the order of the batch, 1 where it is still to be asked; empty when all are done"""

    def packed(self) -> bytes | None:
        """`waiting` as it is stored: a bit per target, compressed; None when all are done."""
        if not any(self.waiting):
            return None
        import numpy as np

        return zlib.compress(np.packbits(np.frombuffer(self.waiting, dtype=np.uint8)).tobytes(), 1)


def unpacked(packed: bytes, count: int) -> bytes:
    """The inverse of `SweepChunk.packed` for a chunk of `count` targets. Raises StoreError."""
    import numpy as np

    try:
        bits = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    except zlib.error:
        raise StoreError(f"a row of the store is not the chunk that was written; {DAMAGED}") from None
    return np.unpackbits(bits, count=count).tobytes()
