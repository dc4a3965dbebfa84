from __future__ import annotations

from ipaddress import ip_address

import pytest

from leadapron.scope.special import is_special


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
