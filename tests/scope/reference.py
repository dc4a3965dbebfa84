"""The decision rules in their plainest form: every network is looked at for every address. The gate has to agree."""

from __future__ import annotations

import datetime as dt
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import strategies as st
from scope_samples import TODAY, Pins, grant, scope, zone

from leadapron.model import Address, Depth
from leadapron.scope.decision import Denied
from leadapron.scope.grant import Grant, Ports, Scope, Zone
from leadapron.scope.special import SPECIAL4, SPECIAL6
from leadapron.scope.window import Window

PORTS = (104, 11112)


def unmap(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def embedded(address: Address) -> list[Address]:
    """An IPv4 address that an IPv6 one leads to."""
    if address in IPv6Network("64:ff9b::/96"):
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in IPv6Network("2002::/16"):
        return [IPv4Address(int(address) >> 80 & 0xFFFFFFFF)]
    return []


def decide(scope: Scope, pins: Pins, now: dt.datetime, address: Address, port: int) -> tuple[Denied | Depth, float]:
    """A reason, or the depth and the gap."""
    address = unmap(address)
    holding: list[tuple[int, bool, Grant]] = []
    for one in scope.grants:
        holding += [
            (network.prefixlen, inside_special(network, address), one) for network in one.networks if address in network
        ]
        pinned = [unmap(found) for name in one.names for found in pins.get(name, ())]
        holding += [(address.max_prefixlen, True, one) for found in pinned if found == address]
    if not holding:
        return Denied.NO_GRANT, 0.0
    meant = [address, *embedded(address)]
    if any(found in network for one in scope.grants for network in one.exclude for found in meant):
        return Denied.EXCLUDED, 0.0
    for host, number in scope.infrastructure:
        if number in scope.ports.by_door["dicom"] and unmap(ip_address(host)) == address:
            return Denied.EXCLUDED, 0.0
    longest = max(prefix for prefix, _, _ in holding)
    deciding = [(named, one) for prefix, named, one in holding if prefix == longest]
    if not deciding[0][0]:
        return Denied.SPECIAL, 0.0
    today = now.date()
    valid = [one for _, one in deciding if one.valid_from <= today <= one.valid_until]
    if not valid:
        return (Denied.NOT_YET if any(today < one.valid_from for _, one in deciding) else Denied.EXPIRED), 0.0
    zones = zones_of(scope, address)
    if any(one.window is not None and not one.window.closes(now) for one in zones):
        return Denied.WINDOW, 0.0
    depth = min([*(one.depth for one in valid), *(one.max_depth for one in zones if one.max_depth)])
    return (depth if port in scope.ports.by_door["dicom"] else Denied.PORT), max(
        [0.0, *(one.gap_seconds for one in zones)]
    )


def inside_special(network: object, address: Address) -> bool:
    """Whether a network is named as far as `address` goes: no special block around it, or the network inside it."""
    for block, _ in (*SPECIAL4, *SPECIAL6):
        if address in block:
            return network.subnet_of(block)  # type: ignore[attr-defined]
    return True


def zones_of(scope: Scope, address: Address) -> list[Zone]:
    return [one for one in scope.zones if any(address in network for network in one.networks)]


bases4 = st.sampled_from(
    ["8.8.8.0", "9.255.255.0", "10.0.0.0", "10.0.1.0", "198.18.0.0", "198.17.255.128", "198.20.0.1"]
)
bases6 = st.sampled_from(
    ["2a00::", "2a00::ffff", "2001:db8::", "64:ff9b::a00:0", "2002:a00::", "fd00::1", "::1", "1::"]
)


@st.composite
def networks(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 3)):
        prefix = draw(st.sampled_from([0, 4, 7, 8, 15, 16, 22, 24, 25, 30, 31, 32]))
        number = int(ip_address(draw(bases4))) + draw(st.integers(0, 300))
    else:
        prefix = draw(st.sampled_from([0, 3, 16, 32, 64, 104, 112, 120, 126, 128]))
        number = int(IPv6Address(draw(bases6))) + draw(st.integers(0, 300))
        return str(ip_network((number >> (128 - prefix) << (128 - prefix), prefix)))
    return str(ip_network((IPv4Address(number >> (32 - prefix) << (32 - prefix)), prefix)))


def addresses_near(texts: list[str]) -> st.SearchStrategy[Address]:
    """The borders of networks, and what lies next to them."""
    edges: list[Address] = []
    for text in texts:
        network = ip_network(text)
        for number in (int(network.network_address), int(network.broadcast_address)):
            for near in (number - 1, number, number + 1):
                if 0 <= near < 1 << network.max_prefixlen:
                    edges.append(IPv4Address(near) if network.version == 4 else IPv6Address(near))
                    if network.version == 4:
                        edges.append(IPv6Address(0xFFFF << 32 | near))
                        edges.append(IPv6Address(int(IPv6Address("64:ff9b::")) | near))
                        edges.append(IPv6Address(0x2002 << 112 | near << 80 | 5))
    return st.sampled_from(edges)


lists = st.lists(networks(), max_size=3)
days = st.integers(-2, 2).map(lambda days: TODAY + dt.timedelta(days))
windows = st.sampled_from([None, Window.parse("22:00-05:00 Europe/Berlin"), Window.parse("11:00-13:00 UTC")])
depths = st.sampled_from(Depth)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    grants = []
    for index in range(draw(st.integers(1, 4))):
        first, last = sorted([draw(days), draw(days)])
        grants.append(
            grant(
                *draw(st.lists(networks(), min_size=1, max_size=4)),
                id=f"g{index}",
                exclude=draw(lists),
                names=draw(st.sampled_from([(), ("pacs.example",)])),
                depth=draw(depths),
                valid_from=first if draw(st.booleans()) else TODAY,
                valid_until=last if draw(st.booleans()) else TODAY + dt.timedelta(9),
            )
        )
    zones = [
        zone(
            *draw(st.lists(networks(), min_size=1, max_size=3)),
            name=f"z{index}",
            max_depth=draw(st.none() | depths),
            window=draw(windows),
            gap_seconds=float(draw(st.integers(0, 2))),
        )
        for index in range(draw(st.integers(0, 3)))
    ]
    ours = draw(st.sampled_from([(), (("10.0.0.3", 104),), (("10.0.0.3", 5432), ("2a00::5", 104))]))
    sha256 = f"{draw(st.integers(0, 1 << 62)):064x}"
    return scope(*grants, zones=tuple(zones), ports=Ports.of(dicom=PORTS), infrastructure=ours, sha256=sha256)


pinned = st.sampled_from(["10.0.0.9", "198.18.0.2", "2a00::7", "::ffff:8.8.8.8", "127.0.0.1"])
pins = st.lists(pinned, max_size=3).map(lambda texts: {"pacs.example": tuple(map(ip_address, texts))})
times = st.integers(-72, 72).map(
    lambda hours: dt.datetime.combine(TODAY, dt.time(12), dt.UTC) + dt.timedelta(hours=hours)
)


def texts_of(scope: Scope) -> list[str]:
    own = [network for one in scope.grants for network in (*one.networks, *one.exclude)]
    return [str(network) for network in (*own, *(network for one in scope.zones for network in one.networks))] + [
        "10.0.0.3/32",
        "10.0.0.9/32",
        "2a00::7/128",
        "2a00::5/128",
        "127.0.0.1/32",
        "10.0.0.0/8",
    ]
