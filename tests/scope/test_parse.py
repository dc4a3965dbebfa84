from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.scope import parse

octets = st.integers(0, 260).map(str) | st.sampled_from(["01", "00", "", "+1", "٣", "1e1", "0x1"])
dotted = st.lists(octets, min_size=3, max_size=5).map(".".join)
slashes = st.sampled_from(["", "/", "/-1", "/08", "/٣", "/33", "/255.255.255.0", "/ 8"]) | st.integers(0, 33).map(
    lambda length: f"/{length}"
)
networks = st.builds(lambda value, length: str(IPv4Network((value, length), strict=False)), *[st.integers(0, 32)] * 2)


def outcome(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except parse.Mistake as mistake:
        return str(mistake)


@given(st.builds(str.__add__, dotted, slashes) | networks | st.text())
def test_the_common_form_is_read_as_any_other(text: str) -> None:
    assert outcome(parse.network, text) == outcome(parse._any_network, text.strip())


@pytest.mark.parametrize("text", ["198.18.0.0/24", "0.0.0.0/0", "255.255.255.255", "198.18.0.7/32"])
def test_the_common_form_is_known(text: str) -> None:
    assert parse._plain_network(text) == IPv4Network(text)


@pytest.mark.parametrize("text", ["198.18.0.1/24", "198.18.0.0/33", "198.18.0.256", "198.18.00.1", "2a00::/32"])
def test_what_needs_a_closer_look_is_left_to_it(text: str) -> None:
    assert parse._plain_network(text) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_the_fast_reading_of_a_network_is_the_slow_one(number: int, length: int) -> None:
    text = str(ip_network((number >> 32 - length << 32 - length if length else 0, length)))
    assert parse.network(text) == ip_network(text)
