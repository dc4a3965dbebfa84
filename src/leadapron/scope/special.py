"""Special-purpose address blocks (RFC 6890), as the IANA registries list them.

Blocks inside a listed block are left out. A grant reaches into a block only by networks that lie wholly inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from leadapron.model import Address

SPECIAL4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), title)
    for network, title in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private use"),
        ("100.64.0.0/10", "shared address space"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link local"),
        ("172.16.0.0/12", "private use"),
        ("192.0.0.0/24", "IETF protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "automatic multicast tunneling"),
        ("192.88.99.0/24", "6to4 relay anycast"),
        ("192.168.0.0/16", "private use"),
        ("192.175.48.0/24", "AS112 delegation"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

SPECIAL6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), title)
    for network, title in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "IPv4 translation"),
        ("64:ff9b:1::/48", "IPv4 translation"),
        ("100::/64", "discard only"),
        ("100:0:0:1::/64", "dummy prefix"),
        ("2001::/23", "IETF protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112 delegation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link local"),
        ("fec0::/10", "site local"),
        ("ff00::/8", "multicast"),
    )
)

_MAPPED = 0xFFFF


class Embedding(NamedTuple):
    """Addresses of IPv6 that lead to one of IPv4 each: it stands in `base` at `shift`, and any bits may follow."""

    base: int
    shift: int

    def of(self, first: int, last: int) -> tuple[int, int]:
        """The span of IPv6 that leads to a span of IPv4."""
        return self.base | first << self.shift, self.base | (last + 1 << self.shift) - 1


EMBEDDINGS = (
    Embedding(int(IPv6Address("64:ff9b::")), 0),  # NAT64 (RFC 6052)
    Embedding(0x2002 << 112, 80),  # 6to4 (RFC 3056)
)


def unmapped(address: Address) -> Address:
    """The IPv4 address behind an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2); any other address as it is."""
    if isinstance(address, IPv6Address) and int(address) >> 32 == _MAPPED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def behind(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 address that an IPv6 one leads to: see `EMBEDDINGS`."""
    if isinstance(address, IPv6Address):
        for base, shift in EMBEDDINGS:
            if int(address) >> shift + 32 == base >> shift + 32:
                yield IPv4Address(int(address) >> shift & 0xFFFFFFFF)


def is_special(address: Address) -> bool:
    """Whether an address lies in one of the blocks: it stands for no place on the public internet."""
    blocks = SPECIAL4 if isinstance(address, IPv4Address) else SPECIAL6
    return any(address in block for block, _ in blocks)
