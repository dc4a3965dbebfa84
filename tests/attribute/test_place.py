from __future__ import annotations

import hashlib
import re
import tomllib
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import leadapron.attribute
from leadapron.attribute.place import NOWHERE, Attribution, Place, opened, shipped
from leadapron.errors import InputError
from leadapron.scope.grant import AttributionFiles
from leadapron.scope.special import is_special, unmapped
from mmdb_files import CITIES, COUNTRIES, SYSTEMS, write_mmdb

DATA = Path(leadapron.attribute.__file__).parent / "data"
ABOUT = tomllib.loads((DATA / "country.toml").read_text())


@pytest.fixture
def files(tmp_path: Path) -> AttributionFiles:
    return AttributionFiles(
        country=write_mmdb(tmp_path / "country.mmdb", COUNTRIES),
        city=write_mmdb(tmp_path / "city.mmdb", CITIES, name="Test-City"),
        asn=write_mmdb(tmp_path / "asn.mmdb", SYSTEMS, name="Test-ASN"),
    )


def place(files: AttributionFiles, address: str) -> Place:
    with opened(files) as attribution:
        return attribution.at(ip_address(address))


def test_the_files_of_the_operator(files: AttributionFiles) -> None:
    swiss = Place(country="CH", city="Zürich", as_number=64500, as_name="Example b Net /b")
    assert place(files, "8.8.8.8") == swiss
    assert place(files, "::ffff:8.8.8.8") == swiss
    assert place(files, "2a00::1") == Place(country="IT", as_number=64501, as_name="Esempio S.p.A.")
    assert place(files, "8.8.4.4") == NOWHERE


def test_a_special_purpose_address_is_nowhere_whatever_a_file_says(files: AttributionFiles) -> None:
    assert place(files, "192.168.1.1") == place(files, "::ffff:192.168.1.1") == NOWHERE


def test_a_city_of_another_country_is_left_out(files: AttributionFiles) -> None:
    with opened(files) as attribution:
        assert attribution.cities is not None
        assert attribution.cities.city(ip_address("9.9.9.9")) == "Lyon"
        assert attribution.at(ip_address("9.9.9.9")) == NOWHERE


def test_sources_have_their_days(files: AttributionFiles) -> None:
    with opened(files) as attribution:
        assert attribution.sources == {
            "country": "Test-Country, 2026-11-20",
            "city": "Test-City, 2026-11-20",
            "asn": "Test-ASN, 2026-11-20",
        }


def test_a_file_of_cities_alone_says_the_countries_too(files: AttributionFiles) -> None:
    cities = AttributionFiles(city=files.city)
    assert place(cities, "9.9.9.9") == Place(country="FR", city="Lyon")
    with opened(cities) as attribution:
        assert attribution.sources == {"country": "Test-City, 2026-11-20", "city": "Test-City, 2026-11-20"}


def test_without_files_the_one_that_ships_tells_the_country_and_its_own_age() -> None:
    with opened(AttributionFiles()) as attribution, shipped() as database:
        assert attribution.sources == {"country": f"{ABOUT['name']} {ABOUT['version']}, {database.built}"}
        assert attribution.at(ip_address("193.0.6.139")) == Place(country="NL")  # the RIPE NCC


def test_autonomous_systems_come_beside_the_country_that_ships(files: AttributionFiles) -> None:
    with opened(AttributionFiles(asn=files.asn)) as attribution:
        assert attribution.at(ip_address("8.8.8.8")) == Place(country="US", as_number=64500, as_name="Example b Net /b")
        assert list(attribution.sources) == ["asn", "country"]


def test_without_databases_every_place_is_empty() -> None:
    assert Attribution().at(ip_address("8.8.8.8")) == NOWHERE


@pytest.mark.parametrize(("content", "problem"), [(None, "No such file"), (b"text", "is not an MMDB file")])
def test_a_file_that_went_bad_after_the_scope_was_read_is_one_line(
    tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "x.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.mmdb.*{problem}.*\[attribution\]"), opened(AttributionFiles(asn=path)):
        pass


def test_the_database_that_ships_is_the_one_that_is_recorded() -> None:
    assert hashlib.sha256((DATA / "country.mmdb").read_bytes()).hexdigest() == ABOUT["sha256"]
    with shipped() as database:
        assert f"{database.built:%Y%m%d}" in ABOUT["version"]
    assert "CC BY 4.0" in (DATA / "README.md").read_text()


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("193.0.6.139", "NL"),  # RIPE NCC
        ("2001:67c:2e8::1", "NL"),
        ("133.243.0.1", "JP"),  # NICT
        ("130.133.1.1", "DE"),  # Freie Universität Berlin
        ("192.0.2.1", ""),  # RFC 5737, three networks for documentation
        ("198.51.100.1", ""),
        ("203.0.113.1", ""),
        ("2001:db8::1", ""),  # RFC 3849
        ("192.168.1.1", ""),  # RFC 1918
        ("172.16.0.1", ""),
        ("100.64.0.1", ""),
        ("127.0.0.1", ""),
    ],
)
def test_places_that_the_database_that_ships_has_to_know(address: str, country: str) -> None:
    assert place(AttributionFiles(), address) == Place(country=country)


@given(st.ip_addresses())
def test_any_address_has_a_place(address: object) -> None:
    with opened(AttributionFiles()) as attribution:
        found = attribution.at(address)  # type: ignore[arg-type]
    assert re.fullmatch("([A-Z]{2})?", found.country)
    assert (found.city, found.as_number, found.as_name) == ("", None, "")
    assert not (found.country and is_special(unmapped(address)))  # type: ignore[arg-type]
