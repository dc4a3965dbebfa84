from __future__ import annotations

import dataclasses
from ipaddress import ip_address

from leadapron.assess.keys import finding_key
from leadapron.model import Endpoint, Service, VantageKind

ENDPOINT = Endpoint(address=ip_address("198.18.0.12"), port=104, name="pacs.example")
SERVICE = Service(endpoint=ENDPOINT, protocol="dicom", resource="PACS")


def test_a_key_never_changes_between_versions() -> None:
    """Stored findings are found again by it: a change here needs a new KEY_VERSION and a migration."""
    assert finding_key(VantageKind.INTERNET, SERVICE, "LA-11") == "e42ba600c6ac7916"
    assert finding_key(VantageKind.INTERNET, SERVICE, "LA-01") == "14b4da6c36994e6d"


def test_each_part_of_the_identity_makes_another_key() -> None:
    def at(**changes: object) -> Service:
        return dataclasses.replace(SERVICE, endpoint=dataclasses.replace(ENDPOINT, **changes))  # type: ignore[arg-type]

    keys = [
        finding_key(VantageKind.INTERNET, SERVICE, "LA-11"),
        finding_key(VantageKind.OFFICE, SERVICE, "LA-11"),
        finding_key(VantageKind.INTERNET, SERVICE, "LA-13"),
        finding_key(VantageKind.INTERNET, dataclasses.replace(SERVICE, resource="PACS2"), "LA-11"),
        finding_key(VantageKind.INTERNET, dataclasses.replace(SERVICE, protocol="dicomweb"), "LA-11"),
        finding_key(VantageKind.INTERNET, at(port=4242), "LA-11"),
        finding_key(VantageKind.INTERNET, at(address=ip_address("2001:db8::12")), "LA-11"),
    ]
    assert len(set(keys)) == len(keys)


def test_what_is_about_an_endpoint_has_one_key_whatever_title_opened_it() -> None:
    untitled = dataclasses.replace(SERVICE, resource="")
    keys = {finding_key(VantageKind.INTERNET, service, "LA-01") for service in (SERVICE, untitled)}

    assert len(keys) == 1
    assert finding_key(VantageKind.INTERNET, untitled, "LA-11") != finding_key(VantageKind.INTERNET, SERVICE, "LA-11")


def test_the_name_that_led_there_is_no_part_of_the_key() -> None:
    unnamed = dataclasses.replace(SERVICE, endpoint=dataclasses.replace(ENDPOINT, name=""))
    assert finding_key(VantageKind.INTERNET, unnamed, "LA-11") == finding_key(VantageKind.INTERNET, SERVICE, "LA-11")
