from __future__ import annotations

import datetime as dt
import itertools
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
import reference
from crowded import borders, crowded
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import addresses_near, pins, scopes, texts_of
from scope_samples import NOON, Clock, grant, scope, zone

from leadapron.model import Depth
from leadapron.scope.decision import Denial
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope
from leadapron.scope.parse import bucket
from leadapron.scope.pieces import value_at
from leadapron.scope.policy import SIZE, Standing, compile_policy, names_by_address, nowhere, shut_out
from leadapron.scope.spans import merged
from leadapron.scope.special import SPECIAL4, SPECIAL6


def standing(subject: Scope, address: str, **pinned: str) -> Standing:
    known = {name: (ip_address(text),) for name, text in pinned.items()}
    return compile_policy(subject, known).rule(ip_address(address)).standing


def test_any_exclusion_wins() -> None:
    subject = scope(grant("10.0.0.0/16", id="a"), grant("10.0.1.0/24", id="b", exclude=["10.0.0.0/23"]))
    assert standing(subject, "10.0.0.1") is Standing.EXCLUDED
    assert standing(subject, "10.0.1.1") is Standing.EXCLUDED
    assert standing(subject, "10.0.2.1") is Standing.GRANTED


def test_an_exclusion_holds_for_ipv6_addresses_that_lead_to_it() -> None:
    subject = scope(grant("64:ff9b::/112", "2002::/16", "10.0.0.0/8", exclude=["0.0.0.7", "10.0.0.0/24"]))
    assert standing(subject, "64:ff9b::7") is Standing.EXCLUDED
    assert standing(subject, "64:ff9b::8") is Standing.GRANTED
    assert standing(subject, "2002:a00:7::1") is Standing.EXCLUDED
    assert standing(subject, "2002:a00:100::1") is Standing.GRANTED


def test_an_exclusion_holds_for_a_bucket_at_an_address_of_ipv6_that_leads_to_it() -> None:
    shops = tuple(bucket(f"s3://scans@http://[2002:a00:{last}::1]:9000") for last in (7, 8))
    policy = compile_policy(scope(grant(id="b", buckets=shops, exclude=["10.0.0.7"])))
    seven, eight = (policy.spot(ip_address(f"2002:a00:{last}::1"), 9000) for last in (7, 8))
    assert seven is not None and seven.standing is Standing.EXCLUDED
    assert eight is not None and eight.standing is Standing.GRANTED


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([8, 40, 120]), st.integers(-48, 48))
def test_where_much_overlaps_the_plain_rules_hold(seed: int, size: int, hours: int) -> None:
    subject, now = crowded(seed, size), NOON + dt.timedelta(hours=hours)
    gate = Gate(subject, clock=Clock(now))
    spots = gate.policy.spots
    for address in borders(subject):
        if (address.version, int(address), 104) not in spots and (str(address), 104) not in subject.infrastructure:
            decision, (expected, gap) = gate.decide(address, 104), reference.decide(subject, {}, now, address, 104)
            if isinstance(decision, Denial):
                assert decision.reason is expected
            else:
                assert (decision.depth, decision.gap_seconds) == (expected, gap)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([8, 40, 120]))
def test_what_is_swept_is_what_is_granted(seed: int, size: int) -> None:
    subject = crowded(seed, size)
    policy = compile_policy(subject)
    swept = policy.swept(4)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(swept))
    pieces = [(first, last, True) for first, last in swept]
    for address in borders(subject):
        if address.version == 4:
            is_granted = policy.rule(address).standing is Standing.GRANTED
            assert is_granted is (value_at(pieces, int(address)) is not None)


def test_all_of_ipv4_is_swept_without_what_is_special_or_excluded() -> None:
    subject = scope(grant("0.0.0.0/0", wide=True, exclude=["8.8.8.0/24", "8.8.8.8", "10.0.0.0/8"]))
    size = sum(last - first + 1 for first, last in compile_policy(subject).swept(4))
    assert size == (1 << 32) - sum(block.num_addresses for block, _ in SPECIAL4) - 256


def test_the_longest_prefix_wins_then_the_lower_depth() -> None:
    wide, same = grant("10.0.0.0/16", id="wide"), grant("10.0.1.0/24", id="same", depth=Depth.TALK)
    policy = compile_policy(scope(wide, grant("10.0.1.0/24", id="deep"), same))
    assert [found.id for found in policy.rule(ip_address("10.0.1.9")).grants] == ["same", "deep"]
    assert [found.id for found in policy.rule(ip_address("10.0.2.9")).grants] == ["wide"]


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("198.18.0.0/24", "198.18.0.1", Standing.GRANTED),  # inside benchmarking
        ("198.18.0.0/15", "198.19.0.1", Standing.GRANTED),  # equal to it
        ("198.16.0.0/14", "198.18.0.1", Standing.SPECIAL),
        ("198.16.0.0/14", "198.17.0.1", Standing.GRANTED),
        ("127.0.0.0/8", "127.0.0.1", Standing.GRANTED),
        ("0.0.0.0/0", "127.0.0.1", Standing.SPECIAL),
        ("0.0.0.0/0", "224.0.0.1", Standing.SPECIAL),
        ("0.0.0.0/0", "255.255.255.255", Standing.SPECIAL),
        ("0.0.0.0/0", "10.1.2.3", Standing.SPECIAL),
        ("0.0.0.0/0", "8.8.8.8", Standing.GRANTED),
        ("::/0", "::1", Standing.SPECIAL),
        ("::/0", "fe80::1", Standing.SPECIAL),
        ("::/0", "::ffff:8.8.8.8", Standing.OUTSIDE),  # that is IPv4
        ("::/0", "2a00::1", Standing.GRANTED),
        ("2001:db8::/112", "2001:db8::1", Standing.GRANTED),
        ("8.8.8.0/24", "::ffff:8.8.8.8", Standing.GRANTED),
        ("8.8.8.0/24", "10.0.0.1", Standing.OUTSIDE),
    ],
)
def test_special_blocks_are_subtracted_unless_named(network: str, address: str, expected: Standing) -> None:
    assert standing(scope(grant(network)), address) is expected


def test_a_named_network_inside_a_subtracted_block_is_granted() -> None:
    subject = scope(grant("0.0.0.0/0", id="all"), grant("10.1.0.0/16", id="ours"))
    assert standing(subject, "10.1.0.1") is Standing.GRANTED
    assert standing(subject, "10.2.0.1") is Standing.SPECIAL


def test_names_authorise_their_pins_minus_exclusions() -> None:
    subject = scope(grant(names=("pacs",), exclude=["10.0.0.2"]))
    assert standing(subject, "10.0.0.1", pacs="10.0.0.1") is Standing.GRANTED
    assert standing(subject, "10.0.0.2", pacs="10.0.0.2") is Standing.EXCLUDED
    assert standing(subject, "10.0.0.3", pacs="::ffff:10.0.0.3") is Standing.GRANTED
    assert standing(subject, "10.0.0.1", other="10.0.0.1") is Standing.OUTSIDE


def test_the_first_granted_name_of_an_address_is_its_name() -> None:
    subject = scope(grant(names=("b", "a")), grant(names=("c",), id="c"), infrastructure=(("0db", 104),))
    one, two = ip_address("10.0.0.1"), ip_address("2001:db8::1")
    pins = {"b": (one,), "a": (ip_address("::ffff:10.0.0.1"),), "c": (one, two), "0db": (one, two)}
    assert names_by_address(subject, pins) == {one: "a", two: "c"}


def test_a_name_is_shut_out_where_all_its_addresses_are_excluded() -> None:
    subject = scope(grant(names=("all", "half", "none", "gone"), exclude=["10.0.0.0/30", "2001:db8::/64"]))
    excluded, open_ = (ip_address("10.0.0.2"), ip_address("2001:db8::2")), ip_address("10.0.0.8")
    pins = {"all": excluded, "half": (*excluded, open_), "none": (open_,)}
    assert shut_out(subject, pins, compile_policy(subject, pins)) == ("all",)


def test_infrastructure_on_a_port_of_targets_is_no_target() -> None:
    subject = scope(grant("10.0.0.0/24"), infrastructure=(("10.0.0.5", 104), ("10.0.0.6", 5432)))
    assert standing(subject, "10.0.0.5") is Standing.EXCLUDED
    assert standing(subject, "10.0.0.6") is Standing.GRANTED


def test_infrastructure_without_an_address_is_told() -> None:
    ours = (("db.example", 5432), ("pacsdb.example", 104), ("pacsdb.example", 11112), ("10.0.0.5", 104))
    subject = scope(grant("10.0.0.0/24"), infrastructure=ours)
    assert nowhere(subject, {}) == nowhere(subject, {"pacsdb.example": ()}) == ("pacsdb.example",)
    assert nowhere(subject, {"pacsdb.example": (ip_address("10.0.0.9"),)}) == ()
    assert standing(subject, "10.0.0.9", **{"pacsdb.example": "10.0.0.9"}) is Standing.EXCLUDED


def test_every_zone_around_an_address_holds() -> None:
    zones = (
        zone("10.0.0.0/24", name="around", max_depth=Depth.CONNECT),
        zone("10.0.0.128/25", name="deep", max_depth=Depth.COUNT),
        zone("10.0.0.128/25", name="fast", max_depth=Depth.TALK),
        zone("10.0.0.128/25", name="slow", max_depth=Depth.TALK, gap_seconds=1.0),
    )
    policy = compile_policy(scope(grant("10.0.0.0/16"), zones=zones))
    rules = [policy.rule(ip_address(text)) for text in ("10.0.0.1", "10.0.0.200", "10.0.1.1")]
    assert [[one.name for one in rule.zones] for rule in rules] == [["around"], ["slow", "around", "fast", "deep"], []]
    assert [rule.depth(rule.grants[0]) for rule in rules] == [Depth.CONNECT, Depth.CONNECT, Depth.CENSUS]
    assert [rule.gap for rule in rules] == [("around", 0.0), ("slow", 1.0), ("", 0.0)]


def test_only_small_ipv6_prefixes_and_pins_are_swept() -> None:
    subject = scope(grant("2001:db8::/64", "2001:db8:1::/112", "10.0.0.0/30", names=("pacs",)))
    policy = compile_policy(subject, {"pacs": (IPv6Address("2001:db8::9"), IPv4Address("10.0.0.4"))})
    base = int(IPv6Address("2001:db8:1::"))
    pin = int(IPv6Address("2001:db8::9"))
    assert policy.swept(6) == [(pin, pin), (base, base + 0xFFFF)]
    assert policy.swept(4) == [(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.0.0.4")))]
    assert policy.rule(IPv6Address("2001:db8::10")).standing is Standing.GRANTED


@settings(max_examples=30, deadline=None)
@given(scopes(), pins, st.data())
def test_a_table_is_a_partition_of_the_address_space(subject: Scope, known: dict, data: st.DataObject) -> None:
    policy = compile_policy(subject, known)
    for version, table in policy.tables.items():
        intervals = list(table.intervals())
        assert intervals[0][0] == 0
        assert intervals[-1][1] == SIZE[version] - 1
        assert all(
            before[1] + 1 == after[0] and before[2] != after[2] for before, after in itertools.pairwise(intervals)
        )
        swept = policy.swept(version)
        assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(swept))
    address = data.draw(addresses_near(texts_of(subject)))
    rule = policy.rule(address)
    if rule.swept:
        assert rule.standing is Standing.GRANTED


def test_tens_of_thousands_of_networks() -> None:
    base = int(IPv4Address("20.0.0.0"))
    many = [str(ip_network((base + (index << 8), 24))) for index in range(0, 60_000, 2)]
    policy = compile_policy(scope(grant(*many, exclude=[f"{text.removesuffix('0/24')}7" for text in many])))
    assert len(policy.swept(4)) == 60_000
    assert len(policy.rules) == 3


def test_merged_joins_what_touches() -> None:
    assert merged([(1, 2), (3, 4), (3, 3), (6, 9), (7, 8)]) == [(1, 4), (6, 9)]


def test_special_blocks_are_disjoint() -> None:
    for blocks in (SPECIAL4, SPECIAL6):
        spans = sorted((int(block.network_address), int(block.broadcast_address)) for block, _ in blocks)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
