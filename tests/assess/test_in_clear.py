"""LA-43: where a list that anyone gets crosses the network in clear; not where nothing is handed out."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from leadapron.assess.judge import judge, refuted
from leadapron.model import Access, Endpoint, Observation, Owner, Service, Severity, VantageKind, Verdict

HERE = Endpoint(address=ip_address("198.18.0.1"), port=80)
LISTED = {"list": Verdict.PROVEN}
STUDIES = {"list": Verdict.PROVEN, "read": Verdict.OFFERED}


def seen(protocol: str, access: dict[str, Verdict], **facts: int | bool) -> Observation:
    named = {name.replace("__", "."): fact for name, fact in facts.items()}
    answering = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, **access)
    service = Service(endpoint=HERE, protocol=protocol, resource="/")
    return Observation(service=service, access=answering, owner=Owner(grant="g"), facts=named)


@pytest.mark.parametrize(
    ("observation", "is_broken", "is_refuted"),
    [
        (seen("dicomweb", STUDIES, clear=True), True, False),
        (seen("dicomweb", STUDIES, clear=False), False, True),
        (seen("dicomweb", {"list": Verdict.REFUSED}, clear=True), False, True),
        (seen("dicomweb", {"list": Verdict.UNKNOWN}, clear=True), False, False),
        (seen("dicomweb", STUDIES), False, False),
        (seen("listing", LISTED, clear=True, files__imaging=3), True, False),
        (seen("listing", LISTED, clear=True, files__imaging=0), False, False),
        (seen("ftp", LISTED, clear=True, files__imaging=3), True, False),
        (seen("ftp", LISTED, clear=False, files__imaging=3), False, True),
        (seen("smb", LISTED, clear=True, files__imaging=1), True, False),
        (seen("dicom", STUDIES, clear=True), False, False),
        (seen("http", {}, clear=True), False, False),
    ],
)
def test_what_is_handed_out_in_clear(observation: Observation, is_broken: bool, is_refuted: bool) -> None:
    found = [each for each in judge(observation, VantageKind.INTERNET) if each.control == "LA-43"]
    assert [each.severity for each in found] == ([Severity.HIGH] if is_broken else [])
    assert refuted("LA-43", observation) is is_refuted
