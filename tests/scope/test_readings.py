from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from random import Random

import numpy as np
import pytest
from crowded import ASKED, PORTS, ask_in_every_way, borders, crowded, network, reason_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scope_samples import NOON, Clock, grant, scope, zone

from leadapron.model import Depth
from leadapron.scope.decision import Denied, Permit
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Grant, Ports, Scope
from leadapron.scope.layer import Layer
from leadapron.scope.parse import bucket
from leadapron.scope.readings import implies
from leadapron.scope.window import Window

Edit = Callable[[Scope, Random], Scope]


def with_grant(subject: Scope, chance: Random, **changes: object) -> Scope:
    """One of the grants is changed."""
    index = chance.randrange(len(subject.grants))
    grants = list(subject.grants)
    grants[index] = replace(grants[index], **changes)  # type: ignore[arg-type]
    return replace(subject, grants=tuple(grants))


def more_excluded(subject: Scope, chance: Random) -> Scope:
    added = tuple(ip_network(network(chance)) for _ in range(3))
    return with_grant(subject, chance, exclude=(*chance.choice(subject.grants).exclude, *added))


def one_exclusion_more(subject: Scope, chance: Random) -> Scope:
    grants = list(subject.grants)
    grants[0] = replace(grants[0], exclude=(*grants[0].exclude, ip_network(network(chance))))
    return replace(subject, grants=tuple(grants))


def nothing_excluded(subject: Scope, chance: Random) -> Scope:
    return with_grant(subject, chance, exclude=())


def other_networks(subject: Scope, chance: Random) -> Scope:
    one = chance.choice(subject.grants)
    return with_grant(subject, chance, networks=one.networks[: len(one.networks) // 2])


def a_grant_less(subject: Scope, chance: Random) -> Scope:
    return replace(subject, grants=subject.grants[:-1] if len(subject.grants) > 2 else subject.grants)


def other_depth(subject: Scope, chance: Random) -> Scope:
    return with_grant(subject, chance, depth=chance.choice(list(Depth)))


def other_days(subject: Scope, chance: Random) -> Scope:
    return with_grant(subject, chance, valid_until=NOON.date() + dt.timedelta(chance.randrange(3)))


def other_zones(subject: Scope, chance: Random) -> Scope:
    return replace(subject, zones=subject.zones[chance.randrange(2) :])


def other_ports(subject: Scope, chance: Random) -> Scope:
    return replace(subject, ports=Ports.of(dicom=tuple(chance.sample(PORTS, 2))))


def other_buckets(subject: Scope, chance: Random) -> Scope:
    return with_grant(subject, chance, buckets=chance.choice(subject.grants).buckets[1:])


def the_same(subject: Scope, chance: Random) -> Scope:
    return subject


EDITS = [
    one_exclusion_more, one_exclusion_more, one_exclusion_more, more_excluded, nothing_excluded, other_networks,
    a_grant_less, other_depth, other_days, other_zones, other_ports, other_buckets, the_same,
]  # fmt: skip


def readings_of(seed: int, edits: list[Edit], size: int) -> list[Scope]:
    """A file, and what it became; now and then it becomes again what it was."""
    chance = Random(seed)
    found = [crowded(seed, size)]
    for edit in edits:
        found.append(edit(chance.choice([found[-1], found[-1], found[-1], found[0]]), chance))
    return [replace(one, sha256=f"{index:064}") for index, one in enumerate(found)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.lists(st.sampled_from(EDITS), min_size=1, max_size=8), st.integers(0, 60))
def test_a_gate_says_what_all_readings_say_together(seed: int, edits: list[Edit], hours: int) -> None:
    """The plain way to narrow: a gate for each reading, and all are asked."""
    scopes, clock = readings_of(seed, edits, 16), Clock()
    gate, naive = Gate(scopes[0], clock=clock), [Gate(one, clock=clock) for one in scopes]
    for one in scopes[1:]:
        gate.narrow(one)
    addresses = list(dict.fromkeys(address for one in (scopes[0], scopes[-1]) for address in borders(one)))
    for moment in (NOON, NOON + dt.timedelta(hours=hours)):
        clock.now = moment
        ask_in_every_way(gate, addresses)
        for address in addresses:
            for port in ASKED:
                assert gate.denied_at(address, port) is reason_of(naive, address, port)
                if isinstance(permit := gate.decide(address, port), Permit):
                    assert_is_least(gate, permit, [one.decide(address, port) for one in naive])
                    assert gate.allows_clear_census(address, port) == all(
                        one.allows_clear_census(address, port) for one in naive
                    )
                    gaps = [one.gap_at(address.version, int(address))[1] for one in naive]
                    assert gate.gap_at(address.version, int(address))[1] == max(gaps)
                    assert gate.zones_at(address) == frozenset().union(*(one.zones_at(address) for one in naive))


def assert_is_least(gate: Gate, permit: Permit, each: list[object]) -> None:
    permits = [one for one in each if isinstance(one, Permit)]
    assert len(permits) == len(each)
    assert permit.grant == permits[0].grant
    assert permit.depth == min(one.depth for one in permits)
    assert permit.expires == min(one.expires for one in permits)
    assert permit.gap_seconds == max(one.gap_seconds for one in permits)
    beside = gate.decide(permit.address, 20_000, beside=permit.port)
    if isinstance(beside, Permit):
        assert (beside.depth, beside.port) == (permit.depth, 20_000)


def complaints(count: int) -> list[Scope]:
    """A scope, and what it becomes: each time with one exclusion more."""
    base = grant("20.0.0.0/16", "2002:1400::/112")
    networks = [IPv4Network((0x14000000 + (index << 8) + 7, 32)) for index in range(count)]
    return [
        scope(replace(base, exclude=tuple(networks[:number])), sha256=f"{number:064}") for number in range(count + 1)
    ]


def test_a_hundred_complaints_cost_as_much_as_one() -> None:
    scopes = complaints(100)
    gate = Gate(scopes[0], clock=Clock())
    for one in scopes[1:]:
        gate.narrow(one)
    assert [len(gate._readings.layers), len(gate._readings.binding)] == [2, 1]
    asked = np.array([0x14000007 + (index << 8) for index in range(101)], dtype=np.uint32)
    ports = np.full(101, 104, dtype=np.uint16)
    assert gate.permits4(asked, ports).tolist() == [False] * 100 + [True]
    assert gate.denied_at(IPv4Address("20.0.0.7"), 104) is Denied.NARROWED
    assert gate.dial_allowed("20.0.0.7", 104) is Denied.NARROWED
    assert gate.dial_allowed("20.0.0.8", 104) is None


def test_a_complaint_to_a_survey_of_a_hundred_thousand_networks_acts_in_time() -> None:
    """Within five seconds of its being written, of which the file is read for two."""
    chance = Random(7)
    lengths = [(chance.randrange(1 << 24, 223 << 24), chance.randrange(16, 33)) for _ in range(200_000)]
    networks = [IPv4Network((value >> 32 - length << 32 - length, length)) for value, length in lengths]
    before = scope(grant(id="g", wide=True, exclude=networks[100_000:]))
    before = replace(before, grants=(replace(before.grants[0], networks=tuple(networks[:100_000])),))
    after = with_grant(before, chance, exclude=(*before.grants[0].exclude, IPv4Network("20.0.0.0/9")))
    gate = Gate(before, clock=Clock())
    asked = np.random.default_rng(7).integers(0, 1 << 32, 1 << 16, dtype=np.uint32)
    ports = np.full(len(asked), 104, dtype=np.uint16)
    was = gate.permits4(asked, ports)

    begun = time.process_time()
    gate.narrow(replace(after, sha256="1" * 64))
    permitted = gate.permits4(asked, ports)
    taken = time.process_time() - begun

    assert taken < 3
    assert permitted.tolist() == (was & (asked >> np.uint32(23) != 0x14000000 >> 23)).tolist()
    assert was.sum() > permitted.sum() > 1_000
    for address, is_permitted in list(zip(asked.tolist(), permitted.tolist(), strict=True))[:2_000]:
        assert (gate.denied_at(IPv4Address(address), 104) is None) is is_permitted


def test_what_was_excluded_stays_so_when_its_line_is_removed() -> None:
    scopes = complaints(3)
    gate = Gate(scopes[0], clock=Clock())
    for number in (3, 1, 0, 2):
        gate.narrow(replace(scopes[number], sha256=f"{number + 10:064}"))
    assert len(gate._readings.layers) == 2
    assert gate.denied_at(IPv4Address("20.0.2.7"), 104) is Denied.NARROWED


def test_complaints_while_the_file_goes_back_and_forth() -> None:
    """Two forms of a file that do not imply each other: each is kept once, with the exclusions of its last reading."""
    gate = Gate(complaints(0)[0], clock=Clock())
    for number, one in enumerate(complaints(40)):
        gate.narrow(
            replace(one, ports=Ports.of(dicom=((104, 4242), (104, 5678))[number % 2]), sha256=f"{number + 99:064}")
        )
    assert len(gate._readings.layers) == 3
    assert [gate.denied_at(IPv4Address(f"20.0.{place}.7"), 104) for place in (0, 38, 39, 40)] == [
        Denied.NARROWED, Denied.NARROWED, Denied.NARROWED, None,
    ]  # fmt: skip


def test_a_reading_that_fails_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be compiled is not taken for known."""
    first, then = complaints(1)
    gate = Gate(first, clock=Clock())
    with monkeypatch.context() as patch:
        patch.setattr("leadapron.scope.layer.compile_policy", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            gate.narrow(then)
    gate.narrow(then)
    assert gate.denied_at(IPv4Address("20.0.0.7"), 104) is Denied.NARROWED


def test_a_reading_that_is_known_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first, then = complaints(1)
    gate = Gate(first, clock=Clock())
    gate.narrow(then)
    monkeypatch.setattr("leadapron.scope.layer.compile_policy", lambda *_: pytest.fail("compiled"))
    for one in (first, then):
        gate.narrow(one)


BASE = grant("20.0.0.0/16", id="g", depth=Depth.COUNT)


def layer(*grants: Grant, **values: object) -> Layer:
    return Layer(scope(*(grants or (BASE,)), **values), {})  # type: ignore[arg-type]


def test_what_takes_away_implies_what_was() -> None:
    wide = layer()
    for narrow in (
        layer(),
        layer(replace(BASE, exclude=(IPv4Network("20.0.1.0/24"),))),
        layer(replace(BASE, networks=(IPv4Network("20.0.0.0/17"), IPv4Network("20.0.192.0/18")))),
        layer(infrastructure=(("20.0.0.9", 104),)),
    ):
        assert implies(narrow, wide)


@pytest.mark.parametrize(
    "other",
    [
        layer(replace(BASE, networks=(IPv4Network("20.0.0.0/15"),))),
        layer(BASE, grant("2a00::/120", id="h")),
        layer(replace(BASE, depth=Depth.TALK)),
        layer(replace(BASE, valid_until=dt.date(2027, 1, 1))),
        layer(replace(BASE, valid_from=dt.date(2026, 10, 1))),
        layer(replace(BASE, cleartext_census=True)),
        layer(replace(BASE, id="other")),
        layer(BASE, replace(BASE, id="same", valid_until=dt.date(2026, 11, 30))),
        layer(zones=(zone("20.0.0.0/24", gap_seconds=1.0),)),
        layer(zones=(zone("20.0.0.0/24", window=Window.parse("11:00-13:00 UTC")),)),
        layer(ports=Ports.of(dicom=(104,))),
        layer(replace(BASE, buckets=(bucket("s3://scans@http://10.0.0.5:9000"),))),
    ],
)
def test_what_has_other_terms_is_asked_as_well(other: Layer) -> None:
    wide = layer()
    assert not implies(other, wide)
    assert not (implies(wide, other) and implies(other, wide))


def test_a_bucket_in_a_network_that_is_gone_has_terms_of_its_own() -> None:
    """Where the network opened the port, it decided; now the bucket does, and goes deeper."""
    shop = grant(id="b", buckets=(bucket("s3://scans@http://20.0.0.5:104"),), depth=Depth.CENSUS)
    both, alone = layer(BASE, shop), layer(replace(BASE, networks=(IPv4Network("20.0.128.0/17"),)), shop)
    assert not implies(alone, both)
    gate = Gate(both.scope, clock=Clock())
    gate.narrow(replace(alone.scope, sha256="1" * 64))
    permit = gate.decide(ip_address("20.0.0.5"), 104)
    assert isinstance(permit, Permit)
    assert permit.depth is Depth.COUNT


def test_a_bucket_that_went_is_remembered_beside_other_connections() -> None:
    """A spot that was denied keeps a second connection from its port."""
    late = grant(
        id="b", buckets=(bucket("s3://scans@http://20.0.0.5:20000"),), valid_until=NOON.date() - dt.timedelta(1)
    )
    scopes = [layer().scope, layer(BASE, late).scope, layer(replace(BASE, exclude=(IPv4Network("20.0.9.9/32"),))).scope]
    gate = Gate(scopes[0], clock=Clock())
    for number, one in enumerate(scopes[1:], 1):
        gate.narrow(replace(one, sha256=f"{number:064}"))
    with gate.beside(ip_address("20.0.0.5"), 20_000), gate.beside(ip_address("20.0.0.6"), 20_000):
        assert gate.dial_allowed("20.0.0.6", 20_000) is None
        assert gate.dial_allowed("20.0.0.5", 20_000) is Denied.NARROWED
