from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import pytest

from leadapron.scope.special import EMBEDDINGS, Embedding, behind, is_special


@pytest.mark.parametrize(
    "text",
    ["10.1.2.3", "100.64.0.1", "127.0.0.1", "192.0.2.1", "192.168.255.255", "198.19.255.255", "224.0.0.1",
     "255.255.255.255", "::", "::1", "fe80::1", "fd00::1", "2001:db8::1", "2002:808:808::1", "ff02::1"],
)  # fmt: skip
def test_special_purpose_addresses(text: str) -> None:
    assert is_special(ip_address(text))


@pytest.mark.parametrize("text", ["8.8.8.8", "9.255.255.255", "11.0.0.0", "198.17.255.255", "2a00::1", "2001:200::1"])
def test_any_other_address(text: str) -> None:
    assert not is_special(ip_address(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64:ff9b::a00:7", ["10.0.0.7"]),
        ("2002:a00:7::1", ["10.0.0.7"]),
        ("2002:a00:7:ffff:ffff:ffff:ffff:ffff", ["10.0.0.7"]),
        ("64:ff9b:0:0:0:1:a00:7", []),
        ("64:ff9b:1::a00:7", []),
        ("2003:a00:7::1", []),
        ("10.0.0.7", []),
    ],
)
def test_an_address_of_ipv6_that_leads_to_one_of_ipv4(text: str, expected: list[str]) -> None:
    assert [str(each) for each in behind(ip_address(text))] == expected


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_the_span_that_leads_to_a_span(embedding: Embedding) -> None:
    first, last = embedding.of(0x0A000007, 0x0A000008)
    inside = [str(each) for end in (first, last) for each in behind(IPv6Address(end))]
    assert inside == ["10.0.0.7", "10.0.0.8"]
    assert [str(each) for each in behind(IPv6Address(first - 1))] == ["10.0.0.6"]
    assert [str(each) for each in behind(IPv6Address(last + 1))] == ["10.0.0.9"]
    assert embedding.of(0, 0xFFFFFFFF)[1] > last
