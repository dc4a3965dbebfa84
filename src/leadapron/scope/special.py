"""Special-purpose address blocks (RFC 6890), as the IANA registries list them.

Blocks inside a listed block are left out. A grant reaches into a block only by networks that lie wholly inside it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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
_TRANSLATED = int(IPv6Address("64:ff9b::"))
_SIX_TO_FOUR = 0x2002


def unmapped(address: Address) -> Address:
    """The IPv4 address behind an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2); any other address as it is."""
    if isinstance(address, IPv6Address) and int(address) >> 32 == _MAPPED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def embedding(network: IPv4Network) -> tuple[IPv6Network, IPv6Network]:
    """The IPv6 networks that lead to an IPv4 network: by NAT64 (RFC 6052) and by 6to4 (RFC 3056)."""
    first = int(network.network_address)
    return (
        IPv6Network((_TRANSLATED | first, 96 + network.prefixlen)),
        IPv6Network((_SIX_TO_FOUR << 112 | first << 80, 16 + network.prefixlen)),
    )


def is_special(address: Address) -> bool:
    """Whether an address lies in one of the blocks: it stands for no place on the public internet."""
    blocks = SPECIAL4 if isinstance(address, IPv4Address) else SPECIAL6
    return any(address in block for block, _ in blocks)
