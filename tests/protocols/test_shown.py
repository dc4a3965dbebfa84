from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.shown import NOT_CLAIMED, packed, unpacked

claims = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), st.integers(NOT_CLAIMED, 2**31 - 1)))


@given(claims)
def test_of_each_study_the_largest_claim_is_kept(shown: list[tuple[int, int]]) -> None:
    raw = packed(
        np.array([study for study, _ in shown], dtype=np.int64), np.array([claim for _, claim in shown], dtype=np.int32)
    )
    largest: dict[int, int] = {}
    for study, claim in shown:
        largest[study] = max(claim, largest.get(study, NOT_CLAIMED))
    assert unpacked(raw).tolist() == sorted(largest.items())


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        unpacked(b"thirteen byte")
