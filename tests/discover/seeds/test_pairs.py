from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import found, shown

from leadapron.discover.seeds import pairs
from leadapron.discover.seeds.pairs import Found, Kind, Seeds, Skipped
from leadapron.errors import InputError


def seeds(made: Found) -> Seeds:
    return made.seeds(Kind.LIST, "00")


def test_an_address_without_a_port_is_meant_with_each_of_the_scope() -> None:
    made = found((104, 11112, 104))
    made.add("198.18.0.2", None)
    made.add("2001:db8::2", None)
    made.add("198.18.0.1", 4242)
    assert shown(seeds(made)) == [
        "198.18.0.1:4242",
        "198.18.0.2:104",
        "198.18.0.2:11112",
        "[2001:db8::2]:104",
        "[2001:db8::2]:11112",
    ]
    with pytest.raises(InputError, match="has no port"):
        found(()).add("198.18.0.2", None)


def test_a_pair_stands_once_and_its_repetitions_are_counted() -> None:
    made = found()
    for address in ("198.18.0.2", "::ffff:198.18.0.2", "2001:db8::2", "2001:DB8:0::2", "198.18.0.2"):
        made.add(address, 104)
    both = seeds(made)
    assert shown(both) == ["198.18.0.2:104", "[2001:db8::2]:104"]
    assert len(both) == 2
    assert both.skipped == {Skipped.DUPLICATE: 3}


def test_the_arrays_have_six_bytes_a_pair() -> None:
    made = found()
    made.add("255.255.255.255", 65_535)
    made.add("0.0.0.0", 1)
    both = seeds(made)
    assert (both.addresses4.dtype, both.ports4.dtype) == (np.uint32, np.uint16)
    assert (both.addresses4.tolist(), both.ports4.tolist()) == ([0, 0xFFFFFFFF], [1, 65_535])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "198.18.0",
        "198.18.0.256",
        "198.18.0.01",
        "0x7f.1",
        "198.18.0.1/24",
        "fe80::1%eth0",
        "pacs.example",
        "1\0",
        "é",
    ],
)
def test_what_is_no_address_is_a_line_that_does_not_repeat_it(address: str) -> None:
    made = found()
    made.at = 7
    with pytest.raises(InputError) as caught:
        made.add(address, 104)
    assert str(caught.value) == "scan: line 7: has no IP address; names and networks belong in the scope"


@pytest.mark.parametrize("port", [0, -1, 65_536, 10**30])
@pytest.mark.parametrize("address", ["198.18.0.1", "2001:db8::1"])
def test_what_is_no_port_is_a_line(address: str, port: int) -> None:
    with pytest.raises(InputError, match="no port from 1 to 65535"):
        found().add(address, port)


def test_nothing_found_is_not_silence() -> None:
    with pytest.raises(InputError, match=r"^scan: names no open TCP port"):
        seeds(found())


def test_more_than_the_bound_is_refused_and_duplicates_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_SLACK", 2)
    made = found(most=3)
    for number in (1, 2, 3, 3, 2, 1, 2, 3, 1, 1, 1):
        made.add(f"198.18.0.{number}", 104)
    assert len(seeds(made)) == 3
    assert made.skipped == {Skipped.DUPLICATE: 8}
    for number in (4, 5):
        made.add(f"198.18.0.{number}", 104)
    with pytest.raises(InputError, match="more than 3 pairs"):
        made.add("198.18.0.6", 104)
    little_more = found(most=3)
    for number in range(4):
        little_more.add(f"198.18.0.{number}", 104)
    with pytest.raises(InputError, match="more than 3 pairs"):
        seeds(little_more)


def test_ipv6_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MAX_PAIRS6", 2)
    made = found()
    for number in (1, 2, 1, 2):
        made.add(f"2001:db8::{number}", 104)
    with pytest.raises(InputError, match="more than 2 pairs of IPv6"):
        made.add("2001:db8::3", 104)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3))), st.sampled_from([1, 2, 3, 7]))
def test_sorting_in_blocks_is_sorting(pairs_: list[tuple[int, int]], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_BLOCK", block)
        made = found()
        made.add("10.0.0.1", 9)
        for address, port in pairs_:
            made.add(f"198.18.0.{address}", port)
        both = seeds(made)
    expected = ["10.0.0.1:9", *(f"198.18.0.{address}:{port}" for address, port in sorted(set(pairs_)))]
    assert shown(both) == expected
    assert both.skipped.get(Skipped.DUPLICATE, 0) == len(pairs_) + 1 - len(expected)
