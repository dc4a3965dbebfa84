"""What servers answer, as numbers: any bytes give a result or the one error, and no value comes out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_archive import data_set

from leadapron.errors import WireError
from leadapron.protocols.dicomweb.documents import (
    Row,
    Totals,
    archive_titles,
    is_dicom_json,
    orthanc_records,
    orthanc_studies,
    orthanc_version,
    parsed,
    records,
    statistics,
    studies,
    total,
)
from seeds import seeds

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
READERS = [studies, orthanc_studies, records, orthanc_records, parsed]
LOOKS = [total, statistics, orthanc_version, is_dicom_json, lambda body: archive_titles(body, 4)]


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@seeds(
    [
        (json.dumps([data_set(1), data_set(2, None)]).encode(),),
        (b'[{"0020000D": {"vr": "UI"}}, {"0020000D": {"vr": "UI", "Value": [null]}}]',),
        (b'{"CountStudies": -1, "CountInstances": 1e400}',),
        (b"[" * 100_000,),
        (b"<html><div id=root></div></html>",),
    ]
)
def test_any_bytes_give_a_result_or_the_one_error(body: bytes) -> None:
    for reader in READERS:
        try:
            reader(body)
        except WireError:
            continue
    for look in LOOKS:
        look(body)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000])
def test_nesting_without_end_is_no_json(deep: bytes) -> None:
    for reader in READERS:
        with pytest.raises(WireError):
            reader(deep)
    assert not is_dicom_json(deep)


def test_studies_of_qido() -> None:
    body = json.dumps([data_set(1), data_set(2, None), {"00100010": {"vr": "PN"}}]).encode()
    assert studies(body) == ([Row(b"2.25.11.1", 2, -1), Row(b"2.25.11.2", -1, -1)], 1)
    assert is_dicom_json(body)


@pytest.mark.parametrize(
    ("claim", "read"),
    [
        (3, 3),
        ("3", 3),
        (" 12 ", 12),
        (-1, -1),
        (True, -1),
        (1e3, -1),
        ("x", -1),
        ("9" * 30, -1),
        (10**9, -1),
        (None, -1),
    ],
)
def test_what_a_server_claims_is_checked(claim: object, read: int) -> None:
    row = {**data_set(1), "00201208": {"vr": "IS", "Value": [claim]}}
    assert studies(json.dumps([row]).encode()) == ([Row(b"2.25.11.1", read, -1)], 0)


@pytest.mark.parametrize("uid", ["", "a.b", "1.2\n", "1" * 65, 12, None, ["1.2"]])
def test_what_is_no_uid_is_no_study(uid: object) -> None:
    body = json.dumps([{"0020000D": {"vr": "UI", "Value": [uid]}}]).encode()
    found, bad = studies(body)
    assert (len(found), bad) in ((0, 1), (1, 0))
    assert all(row.uid == b"1.2" for row in found)


def test_studies_of_orthanc() -> None:
    rows = [
        {"ID": "x", "MainDicomTags": {"StudyInstanceUID": "1.2.3"}, "Series": ["a", "b"]},
        {"MainDicomTags": {"StudyInstanceUID": "1.2.4"}, "RequestedTags": {"NumberOfStudyRelatedInstances": "7"}},
        "an identifier of its own",
    ]
    assert orthanc_studies(json.dumps(rows).encode()) == ([Row(b"1.2.3", -1, 2), Row(b"1.2.4", 7, -1)], 1)


def test_what_orthanc_says_of_itself() -> None:
    system = {"ApiVersion": 18, "DicomAet": "ORTHANC", "Version": "1.12.4", "Name": "MUSTERMANN^MAX"}
    assert orthanc_version(json.dumps(system).encode()) == "1.12.4"
    for name in ("MUSTERMANN^MAX", "MUSTERMANN-MAX.1970", "MUSTERMANN"):
        assert orthanc_version(json.dumps({**system, "Version": name}).encode()) == ""
    assert orthanc_version(json.dumps({"ApiVersion": 18}).encode()) is None
    numbers = {"CountPatients": 1, "CountStudies": 2, "CountSeries": 3, "CountInstances": 4}
    assert statistics(json.dumps(numbers).encode()) == Totals(1, 2, 3, 4)
    assert statistics(json.dumps({**numbers, "CountStudies": -2}).encode()) is None
    assert statistics(json.dumps({**numbers, "CountStudies": "2"}).encode()) is None


def test_titles_are_those_of_systems() -> None:
    rows = [
        {"dicomAETitle": title} for title in ("DCM4CHEE", "MUSTERMANN^MAX", "lower", 3, "DCM4CHEE", "B", "C", "D", "E")
    ]
    assert archive_titles(json.dumps(rows).encode(), 4) == ("DCM4CHEE", "B", "C", "D")
    assert archive_titles(b"[]", 4) is None
    assert archive_titles(b'[{"a": 1}]', 4) is None


def test_a_page_is_no_archive() -> None:
    assert not is_dicom_json(b"<html></html>")
    assert not is_dicom_json(b'{"error": "x"}')
    assert not is_dicom_json(b'["f2e5-1", "f2e5-2"]')
    assert not is_dicom_json(b'[{"id": {"vr": "x"}}]')
    assert is_dicom_json(b"[]")


def test_values_are_read_by_tag_or_by_keyword() -> None:
    (row,) = records(json.dumps([data_set(7)]).encode())
    assert row(0x00100010, "PatientName") == b"SYNTHETIC^7"
    assert row(0x00100030, "PatientBirthDate") == b""
    own = {"MainDicomTags": {"StudyDate": "20200101"}, "PatientMainDicomTags": {"PatientID": "SYNTHETIC-1"}}
    (row,) = orthanc_records(json.dumps([own]).encode())
    assert row(0x00080020, "StudyDate") == b"20200101"
    assert row(0x00100020, "PatientID") == b"SYNTHETIC-1"
    assert row(0x00100010, "PatientName") == b""
