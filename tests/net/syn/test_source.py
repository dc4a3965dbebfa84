from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import pytest
from net_pairs import ANSWERER, SWEEPER, must, pair

from leadapron.errors import InputError
from leadapron.net.syn import source
from leadapron.net.syn.source import Sources, check_ports

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t000012C6\t00000000\t0001\t0\t0\t0\t0000FEFF\t0\t0\t0
eth1\t000000E0\t00000000\t0001\t0\t0\t0\t000000E0\t0\t0\t0
"""


def number(text: str) -> int:
    return int(IPv4Address(text))


@pytest.fixture
def sysctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(source, "_SYSCTL", tmp_path)
    (tmp_path / "ip_local_port_range").write_text("32768\t60999\n")
    (tmp_path / "ip_local_reserved_ports").write_text("\n")
    return tmp_path


@pytest.mark.parametrize("ports", [range(61000, 65536), range(1024, 32768), range(61000, 61001)])
def test_ports_beside_those_of_the_kernel_are_free(sysctl: Path, ports: range) -> None:
    check_ports(ports)


@pytest.mark.parametrize("ports", [range(60999, 65536), range(32768, 32769), range(1024, 65536)])
def test_ports_that_the_kernel_gives_away_are_refused_with_what_to_do(sysctl: Path, ports: range) -> None:
    with pytest.raises(InputError, match=r"32768 60999\); choose others, or narrow that range with sysctl"):
        check_ports(ports)


def test_ports_that_are_reserved_are_free(sysctl: Path) -> None:
    (sysctl / "ip_local_reserved_ports").write_text("22,50000-50100,104\n")
    check_ports(range(50000, 50101))
    with pytest.raises(InputError):
        check_ports(range(50000, 50102))


def test_a_source_that_was_given_is_that_of_every_target() -> None:
    sources = Sources(IPv4Address("192.0.2.9"))
    addresses, ports = np.array([1, 2**32 - 1], dtype=np.uint32), np.array([104, 104], dtype=np.uint16)
    assert set(sources.of(addresses, ports).tolist()) == {number("192.0.2.9")}
    assert sources.are_of(addresses, np.full(2, number("192.0.2.9"), dtype=np.uint32)).all()
    assert not sources.are_of(addresses, np.full(2, number("192.0.2.8"), dtype=np.uint32)).any()


def test_a_stretch_ends_where_a_route_does() -> None:
    starts = source._boundaries(ROUTES)
    assert [str(IPv4Address(int(start))) for start in starts] == [
        "0.0.0.0",
        "127.0.0.0",
        "128.0.0.0",
        "198.18.0.0",
        "198.20.0.0",
        "224.0.0.0",
    ]


@pytest.mark.peer
def test_each_target_is_asked_from_the_address_that_its_route_says_and_nothing_is_sent() -> None:
    def sources() -> tuple[list[int], list[int], list[bool]]:
        ours = Sources()
        addresses = np.array([number("198.18.0.1"), number("198.19.0.1"), number("10.0.0.1")] * 2, dtype=np.uint32)
        ports = np.full(6, 104, dtype=np.uint16)
        unknown = ours.are_of(addresses, np.zeros(6, dtype=np.uint32)).tolist()
        return ours.of(addresses, ports).tolist(), ours.of(addresses, ports).tolist(), unknown

    with pair() as both:
        must(both.sweeper, "ip", "address", "add", "192.0.2.77/32", "dev", "cable")
        must(both.sweeper, "ip", "route", "add", "198.19.0.0/16", "via", ANSWERER, "src", "192.0.2.77")
        first, second, unknown = both.sweeping(sources)
        assert first == second == [number(SWEEPER), number("192.0.2.77"), 0] * 2
        assert unknown == [False] * 6
        assert must(both.answerer, "cat", "/proc/net/snmp").split("\nTcp:")[0].split("Ip:")[2].split()[2] == "0"


@pytest.mark.peer
def test_a_way_that_appears_later_is_taken() -> None:
    with pair() as both:
        must(both.sweeper, "ip", "route", "del", "198.18.0.0/15")
        ours: list[Sources] = []
        addresses, ports = np.array([number("198.18.0.1")], dtype=np.uint32), np.array([104], dtype=np.uint16)

        def ask() -> int:
            ours[:] = ours or [Sources()]
            return int(ours[0].of(addresses, ports)[0])

        assert both.sweeping(ask) == 0
        must(both.sweeper, "ip", "route", "add", "198.18.0.0/15", "via", ANSWERER)
        assert both.sweeping(ask) == number(SWEEPER)
