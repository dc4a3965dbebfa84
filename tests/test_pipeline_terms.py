"""Whose a service is, and where it stands."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from leadapron.attribute.place import Attribution, opened
from leadapron.model import Endpoint, Owner
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import _new
from leadapron.pipeline_terms import ScopeTerms
from leadapron.scope.gate import Gate
from leadapron.scope.grant import AttributionFiles, load_scope
from mmdb_files import CITIES, COUNTRIES, SYSTEMS, write_mmdb
from scope_file import write_scope

NETWORKS = ["8.8.8.8/32", "2a00::1/128", "192.168.1.1/32", "11.0.0.1/32"]
"""One that the databases know whole, one of IPv6, one that they know and that is private, one that they do not know."""


def owners(tmp_path: Path, attribution: Attribution) -> list[Owner]:
    """Of each of `NETWORKS`, and of the first IPv4-mapped, by a grant of the country DE."""
    scope = load_scope(write_scope(tmp_path / "scope.toml", networks=NETWORKS, ports=[104]))
    terms = ScopeTerms(scope, Gate(scope), _new(scope, Options()), Options(), attribution)
    addresses = [network.partition("/")[0] for network in NETWORKS]
    return [terms.at(Endpoint(address=ip_address(text), port=104)).owner for text in [*addresses, "::ffff:8.8.8.8"]]


def test_public_addresses_have_the_place_of_the_databases_and_others_the_country_of_the_grant(tmp_path: Path) -> None:
    files = AttributionFiles(
        country=write_mmdb(tmp_path / "country.mmdb", COUNTRIES),
        city=write_mmdb(tmp_path / "city.mmdb", CITIES),
        asn=write_mmdb(tmp_path / "asn.mmdb", SYSTEMS),
    )
    with opened(files) as attribution:
        assert owners(tmp_path, attribution) == [
            Owner(grant="g", country="CH", city="Zürich", as_number=64500, as_name="Example b Net /b"),
            Owner(grant="g", country="IT", as_number=64501, as_name="Esempio S.p.A."),
            Owner(grant="g", country="DE"),
            Owner(grant="g"),
            Owner(grant="g", country="CH", city="Zürich", as_number=64500, as_name="Example b Net /b"),
        ]


def test_without_databases_only_the_grant_speaks(tmp_path: Path) -> None:
    assert [owner.country for owner in owners(tmp_path, Attribution())] == ["", "", "DE", "", ""]
