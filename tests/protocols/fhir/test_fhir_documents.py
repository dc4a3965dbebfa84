"""FHIR's answers as numbers: whole, cut anywhere, hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.fhir.documents import Kind, Software, Tally, resource, servers, software, tally
from seeds import seeds

STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "software": {"name": "HAPI FHIR Server", "version": "7.4.0"},
}
SECRET = "SYNTHETIC^PATIENT"


def as_bytes(content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CapabilityStatement", Kind.CAPABILITY),
        ("Conformance", Kind.CAPABILITY),
        ("Bundle", Kind.BUNDLE),
        ("OperationOutcome", Kind.OUTCOME),
    ],
)
def test_a_resource_is_told_by_its_type(name: str, kind: Kind) -> None:
    assert resource(as_bytes({"resourceType": name})).kind is kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"Bundle"',
        b"{}",
        b'{"resourceType": 1}',
        b'{"resourceType": ["Bundle"]}',
        b'{"resourceType": {"a": 1}}',
        b'{"resourceType": "Patient"}',
        b'<Bundle xmlns="http://hl7.org/fhir"/>',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"resourceType": "Bundle", "total": ' + b"9" * 100_000 + b"}",
        b"\xff\xfe\0",
    ],
)
def test_anything_else_is_the_one_error(body: bytes) -> None:
    with pytest.raises(WireError):
        resource(body)


def test_a_resource_that_is_cut_anywhere_is_the_one_error() -> None:
    body = as_bytes({"resourceType": "Bundle", "total": 12})
    for length in range(len(body)):
        with pytest.raises(WireError):
            resource(body[:length])


@pytest.mark.parametrize(
    ("stated", "release"),
    [
        ("0.5.0", 2),
        ("1.0.2", 2),
        ("3.0.2", 3),
        ("4.0.1", 4),
        ("4.3.0", 4),
        ("5.0.0", 5),
        ("5.0.0-ballot", 5),
        ("6.0.0", 0),
        (SECRET, 0),
        ("4", 0),
        (4.0, 0),
        (None, 0),
    ],
)
def test_the_release_is_one_that_we_know(stated: object, release: int) -> None:
    assert software({"fhirVersion": stated}).release == release


def test_the_software_is_told_by_the_table_alone() -> None:
    assert software(STATEMENT) == Software(4, "HAPI FHIR", "7.4.0")
    for name in (SECRET, "", None, ["HAPI FHIR Server"], {"HAPI FHIR Server": 1}):
        assert software({**STATEMENT, "software": {"name": name, "version": "7.4.0"}}) == Software(4)
    for version in (SECRET, "MUSTERMANN-MAX.1970", "7.4.0\n", "7" * 40, None, 7):
        found = software({**STATEMENT, "software": {"name": "HAPI FHIR Server", "version": version}})
        assert found == Software(4, "HAPI FHIR")


def test_every_name_of_the_table_says_whose_source_it_is_from() -> None:
    assert servers()
    assert all(name and product for name, product in servers().items())


@pytest.mark.parametrize(
    ("bundle", "found"),
    [
        ({"total": 12}, Tally(12, 0)),
        ({"total": 0, "entry": []}, Tally(0, 0)),
        ({"total": -1}, Tally(-1, 0)),
        ({"total": True}, Tally(-1, 0)),
        ({"total": 1.5}, Tally(-1, 0)),
        ({"total": "12"}, Tally(-1, 0)),
        ({"total": 1 << 40}, Tally(-1, 0)),
        ({"entry": [{"resource": {"resourceType": "Patient"}}] * 3}, Tally(-1, 3)),
        ({"entry": [{"resource": {"resourceType": "OperationOutcome"}}]}, Tally(-1, 0)),
        ({"entry": [{"resource": {}, "search": {"mode": "include"}}]}, Tally(-1, 0)),
        ({"entry": [{"resource": {}, "search": {"mode": "match"}}]}, Tally(-1, 1)),
        ({"entry": [1, None, {}, {"resource": 1}, {"resource": {}, "search": 1}]}, Tally(-1, 1)),
        ({"entry": {"resource": {}}}, Tally(-1, 0)),
    ],
)
def test_a_bundle_is_counted(bundle: dict[str, Any], found: Tally) -> None:
    assert tally(bundle) == found


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("total", "entry", "fhirVersion", "software", "name", "version")
resources = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6)


@given(st.sampled_from(["Bundle", "CapabilityStatement", "OperationOutcome"]), resources)
def test_any_resource_gives_numbers_in_their_bounds(name: str, content: dict[str, Any]) -> None:
    found = resource(as_bytes({**content, "resourceType": name}))
    said, counted = software(found.content), tally(found.content)

    assert said.release in (0, 2, 3, 4, 5)
    assert said.product in ("", *servers().values())
    assert -1 <= counted.total < 1 << 40
    assert counted.entries >= 0


@given(st.binary(max_size=300))
@seeds(
    [
        (b'{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "software": {"name": "HAPI FHIR Server"}}',),
        (b'{"resourceType": "Bundle", "total": -5}',),
        (b'{"resourceType": "Bundle", "entry": ' + b"[" * 100_000,),
        (b'{"resourceType": ["Bundle"]}',),
    ]
)
def test_any_bytes_are_a_resource_or_the_one_error(body: bytes) -> None:
    try:
        resource(body)
    except WireError:
        return
