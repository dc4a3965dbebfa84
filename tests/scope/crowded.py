"""Scopes in which much overlaps, and the gate asked in every way."""

from __future__ import annotations

import datetime as dt
import random
from ipaddress import IPv4Address, ip_address

import numpy as np
from scope_samples import TODAY, grant, scope, zone

from leadapron.model import Address, Depth
from leadapron.scope.decision import REASONS, Denial, Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Grant, Ports, Scope
from leadapron.scope.parse import bucket
from leadapron.scope.window import Window

PORTS = (104, 443, 11112)
ASKED = (104, 443, 9000)
LENGTHS = [16, 22, 24, 24, 25, 28, 30, 32, 32, 32]
"""lengths of prefixes"""


def network(chance: random.Random) -> str:
    """One of a few /16 and a special-purpose block, so that many meet; one in eight of IPv6."""
    length = chance.choice(LENGTHS)
    if not chance.randrange(8):
        value = int(ip_address("2002:1401::")) + (chance.randrange(1 << 10) << 80)
        length += 16
        return f"{ip_address(value >> 128 - length << 128 - length)}/{length}"
    base = chance.choice(["20.1.0.0", "20.1.0.0", "20.2.0.0", "198.18.0.0"])
    value = int(ip_address(base)) + chance.randrange(1 << 10)
    return f"{ip_address(value >> 32 - length << 32 - length)}/{length}"


def crowded(seed: int, size: int) -> Scope:
    """About `size` networks in grants, as many exclusions, half as many zones and buckets."""
    chance = random.Random(seed)
    grants = [_grant(chance, index, size) for index in range(4)]
    if chance.randrange(2):
        grants.append(grant("0.0.0.0/0", id="all", wide=True, depth=Depth.CONNECT))
    windows = [None, None, Window.parse("11:00-13:00 UTC"), Window.parse("22:00-05:00 UTC")]
    zones = tuple(
        zone(
            *(network(chance) for _ in range(1 + chance.randrange(3))),
            name=f"z{index}",
            max_depth=chance.choice([None, *Depth]),
            window=chance.choice(windows),
            gap_seconds=float(chance.randrange(3)),
        )
        for index in range(size // 2)
    )
    ours = ((network(chance).partition("/")[0], 104), ("20.1.0.7", 5432))
    return scope(*grants, zones=zones, ports=Ports.of(dicom=PORTS), infrastructure=ours, sha256=f"{seed:064}")


def _grant(chance: random.Random, index: int, size: int) -> Grant:
    places = [network(chance).partition("/")[0] for _ in range(size // 8)]
    hosts = [f"[{place}]" if ":" in place else place for place in places]
    return grant(
        *(network(chance) for _ in range(size // 4)),
        id=f"g{index}",
        exclude=[network(chance) for _ in range(size // 4)],
        buckets=tuple(bucket(f"s3://scans@http://{host}:{chance.choice(ASKED)}") for host in hosts),
        depth=chance.choice(list(Depth)),
        valid_from=TODAY + dt.timedelta(chance.choice([-9, -9, -9, 1])),
        valid_until=TODAY + dt.timedelta(chance.choice([9, 9, 9, -1])),
        cleartext_census=bool(chance.randrange(2)),
    )


def borders(subject: Scope) -> list[Address]:
    """The first and last address of each network, those beside them, and the addresses of buckets."""
    found = [
        (network.version, int(end) + step)
        for networks in (
            *((*one.networks, *one.exclude) for one in subject.grants),
            *(z.networks for z in subject.zones),
        )
        for network in networks
        for end in (network.network_address, network.broadcast_address)
        for step in (-1, 0, 1)
    ]
    found += [(address.version, int(address)) for each in subject.buckets if (address := ip_address(each.origin.host))]
    return [
        IPv4Address(value) if version == 4 else ip_address(value)
        for version, value in dict.fromkeys(found)
        if 0 <= value < 1 << (32 if version == 4 else 128) and (version == 4 or value >> 32)
    ]


def ask_in_every_way(gate: Gate, addresses: list[Address], ports: tuple[int, ...] = ASKED) -> None:
    """They agree with `decide`."""
    asked = [(address, port) for address in addresses for port in ports]
    decided = [gate.decide(address, port) for address, port in asked]
    expected = [each.reason if isinstance(each, Denial) else None for each in decided]
    assert [gate.denied_at(address, port) for address, port in asked] == expected
    for (address, port), why in zip(asked, expected, strict=True):
        dialled = gate.dial_allowed(str(address), port)
        assert dialled is why or (dialled is None and (address.version, int(address), port) in gate._endpoints)
    four = [place for place, (address, _) in enumerate(asked) if address.version == 4]
    numbers = np.array([int(asked[place][0]) for place in four], dtype=np.uint32)
    their_ports = np.array([asked[place][1] for place in four], dtype=np.uint16)
    denials = gate.denials4(numbers, their_ports)
    assert denials.dtype == np.uint8
    assert [REASONS[each] for each in denials] == [expected[place] for place in four]
    permits = gate.permits4(numbers, their_ports)
    assert permits.dtype == np.bool_
    assert permits.tolist() == [expected[place] is None for place in four]
    assert gate.filter4(numbers).tolist() == [gate.depth_now(asked[place][0]) for place in four]


def reason_of(gates: list[Gate], address: Address, port: int) -> Denied | None:
    """What readings say that each have a gate of their own."""
    why = [gate.denied_at(address, port) for gate in gates]
    return why[0] or (Denied.NARROWED if any(why) else None)
