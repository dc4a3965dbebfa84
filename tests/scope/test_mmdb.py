from __future__ import annotations

import contextlib
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadapron.scope.mmdb import MAX_TEXT, Database, Kind, NotADatabase, inert
from mmdb_files import BUILT, CITIES, COUNTRIES, SYSTEMS, write_mmdb

V4, V6 = ip_address("8.8.8.8"), ip_address("2a00::1")


@pytest.mark.parametrize(
    ("record", "country", "city", "system"),
    [
        ({"country": {"iso_code": "DE"}, "city": {"names": {"en": "Köln"}}}, "DE", "Köln", (None, "")),
        ({"country_code": "DE", "city": "Mainz"}, "DE", "Mainz", (None, "")),
        ({"country": "DE", "asn": "AS64500", "as_name": "Example"}, "DE", "", (64500, "Example")),
        (
            {"autonomous_system_number": 64500, "autonomous_system_organization": "A & B"},
            "",
            "",
            (64500, "A & B"),
        ),
        ({"registered_country": {"iso_code": "US"}}, "", "", (None, "")),
        ({"country_code": "EU"}, "", "", (None, "")),
        ({"country_code": "de"}, "", "", (None, "")),
        ({"country_code": 49, "city": 7, "asn": True}, "", "", (None, "")),
        ({"country": {"iso_code": ["DE"]}, "city": {"names": "Köln"}}, "", "", (None, "")),
        ({"as_name": "without a number", "asn": "AS99999999999"}, "", "", (None, "")),
        ({"autonomous_system_number": 1 << 32}, "", "", (None, "")),
        ("DE", "", "", (None, "")),
    ],
)
def test_what_makers_write(
    tmp_path: Path, record: Any, country: str, city: str, system: tuple[int | None, str]
) -> None:
    with contextlib.closing(Database.open(write_mmdb(tmp_path / "x.mmdb", {"8.8.8.0/24": record}))) as database:
        assert (database.country(V4), database.city(V4)) == (country, city)
        assert database.autonomous_system(V4) == system


def test_it_tells_its_name_and_its_day(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "x.mmdb", COUNTRIES, name="Test\x1b[31m-Country")
    with contextlib.closing(Database.open(path)) as database:
        assert (database.name, database.built) == ("Test 31m-Country", BUILT.date())


def test_both_versions_of_addresses(tmp_path: Path) -> None:
    with contextlib.closing(Database.open(write_mmdb(tmp_path / "x.mmdb", COUNTRIES))) as database:
        assert (database.country(V4), database.country(V6)) == ("CH", "IT")
        assert (database.country(ip_address("8.8.9.1")), database.country(ip_address("2b00::1"))) == ("", "")


def test_a_file_of_ipv4_only_says_nothing_of_ipv6(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "x.mmdb", {"8.8.8.0/24": COUNTRIES["8.8.8.0/24"]}, ip_version=4)
    with contextlib.closing(Database.open(path)) as database:
        assert (database.country(V4), database.country(V6)) == ("CH", "")


@pytest.mark.parametrize(
    ("networks", "kinds"),
    [
        (COUNTRIES, {Kind.COUNTRY}),
        (CITIES, {Kind.COUNTRY, Kind.CITY}),
        (SYSTEMS, {Kind.ASN}),
        ({"8.8.8.0/24": {"colour": "red"}, "8.8.9.0/24": "red"}, set()),
    ],
)
def test_what_kind_a_file_is(tmp_path: Path, networks: dict[str, Any], kinds: set[Kind]) -> None:
    with contextlib.closing(Database.open(write_mmdb(tmp_path / "x.mmdb", networks))) as database:
        assert {kind for kind in Kind if database.holds(kind)} == kinds


def sample(folder: Path) -> bytes:
    return write_mmdb(folder / "sample.mmdb", COUNTRIES | SYSTEMS).read_bytes()


@pytest.mark.parametrize("content", [b"", b"country\n", b"\0" * 4096, b"\xab\xcd\xefMaxMind.com", b"PK\x03\x04"])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.mmdb").write_bytes(content)
    with pytest.raises(NotADatabase):
        Database.open(tmp_path / "x.mmdb")


def test_a_beginning_is_no_database(tmp_path: Path) -> None:
    whole = sample(tmp_path)
    for size in range(0, len(whole) - 1, 7):
        (tmp_path / "x.mmdb").write_bytes(whole[:size])
        with pytest.raises(NotADatabase):
            Database.open(tmp_path / "x.mmdb")


@pytest.mark.parametrize("name", ["missing.mmdb", "."])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError):
        Database.open(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_gives_answers_of_the_closed_set_or_is_no_database(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(sample(tmp_path))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.mmdb"
    path.write_bytes(raw)
    try:
        database = Database.open(path)
    except NotADatabase:
        return
    with contextlib.closing(database):
        for address in (V4, V6, ip_address("0.0.0.0"), ip_address("ffff::")):
            assert re.fullmatch("([A-Z]{2})?", database.country(address))
            assert inert(database.city(address)) == database.city(address)
            number, name = database.autonomous_system(address)
            assert number is None or 0 < number < 1 << 32
            assert inert(name) == name
        assert all(database.holds(kind) in (True, False) for kind in Kind)


@given(st.text() | st.binary() | st.integers() | st.none())
def test_a_text_of_a_stranger_is_inert(value: object) -> None:
    text = inert(value)
    assert len(text) <= MAX_TEXT
    assert text == text.strip() == inert(text)
    assert all(character.isalnum() or character in " .,&'()/+-_" for character in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Société Générale, S.A. (FR)", "Société Générale, S.A. (FR)"),
        ("Zu\u0308rich", "Zürich"),
        ("\x1b[2J<script>", "2J script"),
        ("\u202egnp.exe", "gnp.exe"),
        ('=HYPERLINK("x")', "HYPERLINK( x )"),
        ("x" * 500, "x" * MAX_TEXT),
    ],
)
def test_names_are_kept_readable(text: str, shown: str) -> None:
    assert inert(text) == shown
