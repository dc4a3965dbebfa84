"""What only several services together say."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from leadapron.assess.compare import compared
from leadapron.model import Access, Count, Counts, Endpoint, Observation, Owner, Service


def seen(
    address: str,
    port: int = 104,
    *,
    facts: Mapping[str, int | bool] | None = None,
    tls: Mapping[str, int | bool | str] | None = None,
    counts: Counts | None = None,
) -> Observation:
    return Observation(
        service=Service(endpoint=Endpoint(address=ip_address(address), port=port), protocol="dicom"),
        access=Access(),
        owner=Owner(grant="g"),
        counts=counts or Counts(),
        facts=facts or {"clear": tls is None},
        tls=tls,
    )


def facts(observations: list[Observation], name: str) -> list[int | bool | None]:
    return [each.facts.get(name) for each in compared(observations)]


def test_a_key_is_counted_by_address_not_by_port() -> None:
    shared, own = {"spki_sha256": "aa"}, {"spki_sha256": "bb"}
    found = [seen("10.0.0.1", 104, tls=shared), seen("10.0.0.1", 2762, tls=shared), seen("10.0.0.2", tls=shared)]
    found += [seen("10.0.0.3", tls=own), seen("10.0.0.4", tls={}), seen("10.0.0.5")]

    assert facts(found, "tls.key_hosts") == [2, 2, 2, 1, None, None]


def test_a_key_is_not_alone_where_somebody_who_had_it_is_silent() -> None:
    found = [seen("10.0.0.1", tls={"spki_sha256": "aa"}), seen("10.0.0.3", tls={"spki_sha256": "bb"})]
    here, gone = ip_address("10.0.0.1"), ip_address("10.0.0.2")

    def hosts(*holders: str) -> list[int | bool | None]:
        held = {"aa": frozenset(map(ip_address, holders))}
        return [each.facts.get("tls.key_hosts") for each in compared(found, held)]

    assert hosts(str(here), str(gone)) == [None, 1]
    assert hosts(str(here), "10.0.0.3") == hosts(str(here)) == [1, 1]
    found.append(seen("10.0.0.4", tls={"spki_sha256": "aa"}))
    assert hosts(str(here), str(gone)) == [2, 1, 2]


def test_a_twin_in_clear_is_one_on_the_same_host() -> None:
    found = [seen("10.0.0.1", 2762, tls={}), seen("10.0.0.1", 104), seen("10.0.0.2", 2762, tls={}), seen("10.0.0.3")]

    assert facts(found, "tls.clear_twin") == [True, None, None, None]
    assert facts(found, "tls.beside") == [None, True, None, None]


def test_the_same_content_of_the_same_product_is_counted_by_address() -> None:
    some = Counts(studies=Count.exact(7), images=Count.exact(70))
    other = Counts(studies=Count.exact(7), images=Count.exact(71))
    bound = Counts(studies=Count.at_least(7), images=Count.exact(70))
    found = [seen(f"10.0.0.{number}", counts=each) for number, each in enumerate([some, some, other, bound, Counts()])]

    assert facts(found, "twins") == [2, 2, 1, None, None]
