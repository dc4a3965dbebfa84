"""Held against the reader of MaxMind, network by network."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
from importlib import resources
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

import pytest

from leadapron.scope.mmdb import Database, NotADatabase
from leadapron.scope.mmdb_tree import spans_of
from leadapron.scope.policy import span
from leadapron.scope.spans import merged
from mmdb_files import write_mmdb

BUILT = dt.date(2026, 11, 20)

Spans = dict[int, list[tuple[int, int]]]


def walked(path: Path, country: str) -> Spans:
    with contextlib.closing(Database.open(path)) as database:
        found = spans_of(path, database, lambda address: database.country(address) == country)
    return {version: merged(sorted(spans)) for version, spans in found.items()}


def read(path: Path, country: str) -> Spans:
    """As the reader of MaxMind goes through them."""
    found: Spans = {4: [], 6: []}
    with contextlib.closing(Database.open(path)) as database:
        for network, _ in database.reader:
            if database.country(network.network_address) == country:
                found[network.version].append(span(network))
    return {version: merged(sorted(spans)) for version, spans in found.items()}


def made_up(seed: int, *, ip_version: int = 6) -> dict[str, Any]:
    """Networks that neither overlap nor touch special ones: some of IPv4, some of IPv6."""
    choose = random.Random(seed)
    networks: dict[str, Any] = {}
    for place in choose.sample(range(200), 60):
        length = choose.randint(12, 32)
        first = (20 + place) << 24 | choose.getrandbits(24) >> 32 - length << 32 - length
        networks[str(ip_network((first, length)))] = {"country": {"iso_code": choose.choice(("DE", "FR", "IT"))}}
    for place in range(40 if ip_version == 6 else 0):
        length = choose.randint(24, 128)
        low = choose.getrandbits(112) >> 128 - length << 128 - length if length > 16 else 0
        networks[str(ip_network(((0x2A00 + place) << 112 | low, length)))] = {
            "country_code": choose.choice(("DE", "FR"))
        }
    return networks


@pytest.mark.parametrize("ip_version", [4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_the_reader_finds(tmp_path: Path, seed: int, ip_version: int) -> None:
    networks = made_up(seed, ip_version=ip_version)
    path = write_mmdb(tmp_path / "c.mmdb", networks, ip_version=ip_version)
    for country in ("DE", "FR", "IT"):
        found = walked(path, country)
        assert found == read(path, country)
        named = [ip_network(text) for text, record in networks.items() if country in str(record)]
        assert found == {v: merged(sorted(span(each) for each in named if each.version == v)) for v in (4, 6)}
    assert walked(path, "CH") == {4: [], 6: []}


def test_the_database_that_ships_is_read_whole() -> None:
    """24 bits a record, a million networks. One country is enough: the reader takes its time for each."""
    with resources.as_file(resources.files("leadapron.attribute") / "data" / "country.mmdb") as path:
        found = walked(path, "LI")
        with contextlib.closing(Database.open(path)) as database:
            for version in (4, 6):
                assert found[version]
                for first, last in found[version]:
                    for value in (first, last):
                        assert database.country(_address(version, value)) == "LI"
                    for value in (first - 1, last + 1):
                        assert database.country(_address(version, value)) != "LI"


def _address(version: int, value: int) -> IPv4Address | IPv6Address:
    return IPv4Address(value) if version == 4 else IPv6Address(value)


class Made:
    """A database whose tree is given, in place of one that a writer would make."""

    def __init__(self, nodes: list[tuple[int, int]], *, size: int, ip_version: int = 4) -> None:
        self.nodes, self.size, self.ip_version = nodes, size, ip_version

    def write(self, path: Path) -> Database:
        data = b"".join(self._node(*node) for node in self.nodes)
        path.write_bytes(data)
        about = type(
            "About", (), {"node_count": len(self.nodes), "record_size": self.size, "ip_version": self.ip_version}
        )
        reader = type("Reader", (), {"metadata": staticmethod(lambda: about)})
        return Database(name="made", built=BUILT, reader=reader)  # type: ignore[arg-type]

    def _node(self, left: int, right: int) -> bytes:
        if self.size == 28:
            middle = (left >> 24) << 4 | right >> 24
            return (left & 0xFFFFFF).to_bytes(3) + bytes([middle]) + (right & 0xFFFFFF).to_bytes(3)
        return left.to_bytes(self.size // 8) + right.to_bytes(self.size // 8)


@pytest.mark.parametrize("size", [24, 28, 32])
def test_each_size_of_record(tmp_path: Path, size: int) -> None:
    """0.0.0.0/1 has a record, 128.0.0.0/2 is empty, 192.0.0.0/2 has one far behind."""
    far = (1 << size) - 1
    database = Made([(17, 1), (2, far)], size=size).write(tmp_path / "t")
    seen: list[str] = []
    found = spans_of(tmp_path / "t", database, lambda address: not seen.append(str(address)))
    assert found == {4: [(0, (1 << 31) - 1), (3 << 30, (1 << 32) - 1)], 6: []}
    assert seen == ["0.0.0.0", "192.0.0.0"]


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ([(0, 0)], "leads back into itself"),
        ([(1, 1), (2, 2)], "leads back into itself"),
        ([(1, 2), (0, 2)], "leads back into itself"),
        ([*((number + 1, 40) for number in range(39)), (40, 40)], "too deep"),
    ],
)
def test_a_tree_that_is_none_is_left_in_bounded_time(
    tmp_path: Path, nodes: list[tuple[int, int]], problem: str
) -> None:
    database = Made(nodes, size=24).write(tmp_path / "t")
    with pytest.raises(NotADatabase, match=problem):
        spans_of(tmp_path / "t", database, lambda _: True)


def test_a_tree_that_shares_its_branches_does_not_take_for_ever(tmp_path: Path) -> None:
    """2^32 ways through 32 nodes, none of which leads anywhere: the reader would walk them all."""
    database = Made([(number + 1, number + 1) for number in range(32)], size=24).write(tmp_path / "t")
    with pytest.raises(NotADatabase, match="leads back into itself"):
        spans_of(tmp_path / "t", database, lambda _: True)


def test_a_file_that_is_shorter_than_its_tree_is_none(tmp_path: Path) -> None:
    database = Made([(17, 1), (2, 17)], size=24).write(tmp_path / "t")
    (tmp_path / "t").write_bytes(b"\0" * 11)
    with pytest.raises(NotADatabase, match="is not an MMDB file"):
        spans_of(tmp_path / "t", database, lambda _: True)
