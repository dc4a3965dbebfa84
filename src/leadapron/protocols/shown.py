"""The studies that a server listed, as what may be kept of them: a keyed hash and a number of images each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RECORD = np.dtype([("study", "<i8"), ("images", "<i4")])
"""`study`: see `leadapron.protocols.digests`. `images`: as the server claims, -1 where it does not."""
NOT_CLAIMED = -1

Records = npt.NDArray[np.void]


def packed(studies: npt.NDArray[np.int64], images: npt.NDArray[np.int32]) -> bytes:
    """One record for each study, sorted; of several claims about one the largest."""
    order = np.lexsort((images, studies))  # two to three times as fast as the sort of a structured array
    studies, images = studies[order], images[order]
    is_last = np.append(studies[1:] != studies[:-1], True)[: len(studies)]
    records = np.empty(np.count_nonzero(is_last), dtype=RECORD)
    records["study"], records["images"] = studies[is_last], images[is_last]
    return bytes(records.tobytes())


def unpacked(raw: bytes) -> Records:
    """The inverse of `packed`. Raises ValueError for what is none."""
    return np.frombuffer(raw, dtype=RECORD)
