from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, summarize_address_range

from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope.spans import Span, common, networks4, networks6, size_of, without


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Sorted and disjoint, with gaps of none to a few."""
    at, found = draw(st.integers(0, 5)), []
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=8)):
        found.append((at + gap, at + gap + length - 1))
        at += gap + length
    return found


def members(found: list[Span]) -> set[int]:
    return {value for first, last in found for value in range(first, last + 1)}


@given(spans(), spans())
def test_what_is_common_and_what_is_left_are_those_of_sets(one: list[Span], other: list[Span]) -> None:
    both, left = list(common(one, other)), list(without(one, other))
    assert members(both) == members(one) & members(other)
    assert members(left) == members(one) - members(other)
    assert both == sorted(both)
    assert left == sorted(left)
    assert size_of(left) + size_of(both) == size_of(one)


@given(spans())
def test_networks_are_the_fewest_that_hold_the_same(found: list[Span]) -> None:
    expected = [
        network for first, last in found for network in summarize_address_range(ip_address(first), ip_address(last))
    ]
    assert list(networks4(found)) == expected
    assert [int(network.network_address) for network in networks6(found)] == [
        int(network.network_address) for network in expected
    ]


def test_all_of_an_address_space_is_one_network() -> None:
    assert list(networks4([(0, (1 << 32) - 1)])) == [IPv4Network("0.0.0.0/0")]
    assert list(networks6([(0, (1 << 128) - 1)])) == [IPv6Network("::/0")]
    assert list(networks4([(1, (1 << 32) - 1)]))[-1] == IPv4Network("128.0.0.0/1")
