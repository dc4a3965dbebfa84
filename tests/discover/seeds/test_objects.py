from __future__ import annotations

import json

import pytest
from scans import HOSTS, OPEN, PLATFORM_HITS, banner, found, host, shown

from leadapron.discover.seeds.objects import read_objects
from leadapron.discover.seeds.pairs import Kind, Skipped
from leadapron.errors import InputError


def masscan(address: str, **port: object) -> dict[str, object]:
    return {"ip": address, "timestamp": "1", "ports": [{"port": 104, "proto": "tcp", "status": "open", **port}]}


def zmap(address: str, **parts: object) -> dict[str, object]:
    return {"saddr": address, "sport": 104, "success": 1, "classification": "synack", **parts}


@pytest.mark.parametrize(
    ("records", "kind", "skipped"),
    [
        ([zmap("198.18.0.2"), zmap("198.18.0.4"), zmap("198.18.0.5", success=0)], Kind.ZMAP, {Skipped.NOT_OPEN: 1}),
        (
            [
                masscan("198.18.0.2"),
                masscan("198.18.0.4"),
                masscan("198.18.0.5", status="closed"),
                masscan("x", proto="udp"),
            ],
            Kind.MASSCAN,
            {Skipped.NOT_OPEN: 1, Skipped.NOT_TCP: 1},
        ),
        ([masscan("198.18.0.2"), masscan("198.18.0.4"), masscan("x", port=0)], Kind.MASSCAN, {Skipped.NO_PORT: 1}),
        (
            [banner("198.18.0.2"), banner("198.18.0.4"), banner("198.18.0.5", transport="udp")],
            Kind.SHODAN,
            {Skipped.NOT_TCP: 1},
        ),
        (HOSTS, Kind.CENSYS, {Skipped.NOT_TCP: 1, Skipped.NO_PORT: 1}),
        (PLATFORM_HITS, Kind.CENSYS, {Skipped.NOT_A_HOST: 1}),
        ([{"code": 200, "result": host("198.18.0.2", 104)}, host("198.18.0.4", 104)], Kind.CENSYS, {}),
        ([{"extensions": {}, "resource": host("198.18.0.2", 104)}, host("198.18.0.4", 104)], Kind.CENSYS, {}),
    ],
)
def test_the_open_ports_of_each_scanner(
    records: list[dict[str, object]], kind: Kind, skipped: dict[Skipped, int]
) -> None:
    made = found()
    assert read_objects(records, made) is kind
    assert shown(made.seeds(kind, "")) == OPEN
    assert made.skipped == skipped


def test_several_ports_of_one_host() -> None:
    made = found()
    read_objects([host("2001:db8::4", 104, 11112), host("198.18.0.2", 11112, 104)], made)
    assert shown(made.seeds(Kind.CENSYS, "")) == [
        "198.18.0.2:104",
        "198.18.0.2:11112",
        "[2001:db8::4]:104",
        "[2001:db8::4]:11112",
    ]


def test_shodan_has_three_ways_to_say_an_address() -> None:
    made = found()
    whole = banner("198.18.0.3")
    read_objects([whole | {"ip": 1}, banner(0xC6120002), banner("x", ipv6="2001:db8::4")], made)
    assert shown(made.seeds(Kind.SHODAN, "")) == ["198.18.0.2:104", "198.18.0.3:104", "[2001:db8::4]:104"]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({}, "is of no scanner that we know"),
        ({"PatientName": "SYNTHETIC^CANARY"}, "is of no scanner"),
        ({"port": 104}, "is of no scanner"),
        ({"ports": []}, "is of no scanner"),
        (zmap("SYNTHETIC^CANARY"), "has no IP address"),
        (zmap("198.18.0.2", sport="104"), "has no port"),
        (zmap("198.18.0.2", sport=None), "has no port"),
        ({"saddr": ["SYNTHETIC^CANARY"]}, "has no IP address"),
        (masscan("198.18.0.2", port="SYNTHETIC^CANARY"), "has no port"),
        (masscan("198.18.0.2", port=True), "has no port"),
        (masscan("198.18.0.2", port=104.0), "has no port"),
        (masscan("198.18.0.2", port=-1), "has no port from 1"),
        ({"ip": "198.18.0.2", "ports": {"port": 104}}, "has no list"),
        ({"ip": "198.18.0.2", "ports": [104]}, "has no list"),
        (banner("SYNTHETIC^CANARY"), "has no IP address"),
        (banner(-1), "has no IP address"),
        (banner(1 << 32), "has no IP address"),
        ({"ip_str": None, "port": 104}, "has no IP address"),
        ({"ip": {"SYNTHETIC^CANARY": 1}, "services": [{"port": 104}]}, "has no IP address"),
        ({"services": [{"port": 104}]}, "has no IP address"),
        ({"ip": "198.18.0.2", "services": ["SYNTHETIC^CANARY"]}, "has no list"),
        ({"ip": "198.18.0.2", "services": "SYNTHETIC^CANARY"}, "has no list"),
        ({"ip": "198.18.0.2", "services": [{"port": "104"}]}, "has no port"),
    ],
)
def test_a_record_that_is_not_as_it_should_be(record: dict[str, object], says: str) -> None:
    made = found()
    made.unit, made.at = "record", 3
    with pytest.raises(InputError, match=rf"^scan: record 3: {says}") as caught:
        read_objects([record], made)
    assert "CANARY" not in str(caught.value)


def test_records_of_two_scanners_are_no_result_of_one() -> None:
    with pytest.raises(InputError, match="is of another kind than those before"):
        read_objects([masscan("198.18.0.2"), banner("198.18.0.4")], found())


def test_no_record_is_not_silence() -> None:
    with pytest.raises(InputError, match="has no record"):
        read_objects([], found())


def test_the_samples_hold_what_must_not_survive() -> None:
    assert "CANARY" in json.dumps([HOSTS, PLATFORM_HITS, banner("x")])
