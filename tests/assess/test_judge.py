from __future__ import annotations

import dataclasses
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.assess.catalogue import catalogue
from leadapron.assess.judge import judge, refuted
from leadapron.assess.keys import finding_key
from leadapron.model import (
    Access,
    Count,
    Counts,
    Endpoint,
    FindingStatus,
    Observation,
    Owner,
    Product,
    Service,
    Severity,
    VantageKind,
    Verdict,
)

SERVICE = Service(endpoint=Endpoint(address=ip_address("198.18.0.12"), port=104), protocol="dicom", resource="PACS")
STORAGE = {f"context.{kind}_storage": False for kind in ("ct", "mr", "cr", "sc")}
REJECTED = {"associated": False, "rejected": True}


def seen(
    listed: Verdict = Verdict.NOT_ASKED,
    reach: Verdict = Verdict.PROVEN,
    talk: Verdict = Verdict.PROVEN,
    **facts: int | bool,
) -> Observation:
    named = {name.replace("__", "."): value for name, value in facts.items()}
    return Observation(
        service=SERVICE, access=Access(reach=reach, talk=talk, list=listed), owner=Owner(grant="g"), facts=named
    )


def says(toolkit: str, **parts: object) -> Observation:
    return dataclasses.replace(seen(), product=Product(toolkit=toolkit, **parts))  # type: ignore[arg-type]


def broken(observation: Observation, vantage: VantageKind = VantageKind.INTERNET) -> set[str]:
    return {finding.control for finding in judge(observation, vantage)}


@pytest.mark.parametrize(
    ("control", "breaks", "does_not"),
    [
        ("LA-01", seen(rejected=True), seen(associated=False, rejected=False)),
        ("LA-01", seen(associated=True), seen()),
        ("LA-07", seen(called_title_enforced=False), seen(called_title_enforced=True)),
        ("LA-07", seen(called_title_enforced=False), seen(rejected=True)),
        ("LA-08", seen(calling_title_enforced=False), seen(calling_title_enforced=True)),
        ("LA-10", seen(service_classes=2), seen(service_classes=1)),
        ("LA-11", seen(Verdict.PROVEN), seen(Verdict.UNKNOWN, find_answers=3)),
        ("LA-11", seen(Verdict.PROVEN), seen(Verdict.OFFERED)),
        ("LA-13", seen(context__study_get=True), seen(context__study_move=True)),
        ("LA-13", seen(context__patient_get=True), seen(context__study_get=False)),
        ("LA-14", seen(context__sc_storage=True), seen(context__sc_storage=False)),
        ("LA-15", seen(find_answers=500, find_capped=False), seen(find_answers=499, find_capped=False)),
        ("LA-15", seen(find_answers=500, find_capped=False), seen(find_answers=500, find_capped=True)),
        ("LA-15", seen(find_answers=500, find_capped=False), seen(find_answers=500)),
        ("LA-36", says("OFFIS DCMTK 3.6.7"), says("OFFIS DCMTK 3.7.1")),
        ("LA-36", says("OFFIS DCMTK 3.6.7"), says("OFFIS DCMTK")),
        ("LA-36", says("", name="Orthanc", version="1.5.7"), says("", candidates=("Orthanc",), version="1.5.7")),
    ],
)
def test_a_control_is_broken_by_positive_evidence_only(
    control: str, breaks: Observation, does_not: Observation
) -> None:
    assert control in broken(breaks)
    assert control not in broken(does_not)


@pytest.mark.parametrize("kind", [kind for kind in VantageKind if kind is not VantageKind.INTERNET])
def test_being_reachable_is_a_finding_from_the_internet_only(kind: VantageKind) -> None:
    assert broken(seen(associated=True), VantageKind.INTERNET) == {"LA-01"}
    assert broken(seen(associated=True), kind) == set()


@pytest.mark.parametrize(
    ("control", "observation", "expected"),
    [
        ("LA-01", seen(reach=Verdict.REFUSED), True),
        ("LA-01", seen(reach=Verdict.UNKNOWN), False),
        ("LA-07", seen(called_title_enforced=True), True),
        ("LA-07", seen(talk=Verdict.REFUSED, rejected=True), False),
        ("LA-07", seen(talk=Verdict.REFUSED, calling_title_enforced=True), True),
        ("LA-08", seen(calling_title_enforced=True), True),
        ("LA-08", seen(talk=Verdict.REFUSED, called_title_enforced=True), False),
        ("LA-10", seen(service_classes=1), True),
        ("LA-10", seen(talk=Verdict.REFUSED), True),
        ("LA-10", seen(talk=Verdict.UNKNOWN), False),
        ("LA-10", seen(), False),
        ("LA-11", seen(Verdict.REFUSED), True),
        ("LA-11", seen(Verdict.UNKNOWN), False),
        ("LA-13", seen(context__study_get=False, context__patient_get=False), True),
        ("LA-13", seen(context__study_get=False), False),
        ("LA-13", seen(talk=Verdict.REFUSED), True),
        ("LA-14", dataclasses.replace(seen(), facts=STORAGE), True),
        ("LA-14", seen(context__ct_storage=False), False),
        ("LA-14", seen(talk=Verdict.REFUSED), True),
        ("LA-15", seen(find_answers=100, find_capped=True), True),
        ("LA-15", seen(find_answers=100, find_capped=False), False),
        ("LA-15", seen(Verdict.REFUSED), True),
        ("LA-36", says("OFFIS DCMTK 3.7.1"), True),
        ("LA-36", says("OFFIS DCMTK"), False),
        ("LA-36", says("pynetdicom 3.0.1"), False),
        ("LA-36", seen(reach=Verdict.REFUSED), False),
        ("LA-99", seen(Verdict.REFUSED), False),
    ],
)
def test_refuted_needs_positive_evidence(control: str, observation: Observation, expected: bool) -> None:
    assert refuted(control, observation) is expected


def test_a_middlebox_has_no_findings_and_refutes_nothing() -> None:
    middlebox = dataclasses.replace(seen(Verdict.PROVEN, associated=True, called_title_enforced=True), middlebox=True)
    assert judge(middlebox, VantageKind.INTERNET) == []
    assert not refuted("LA-07", middlebox)


def test_another_protocol_is_not_judged_by_dicom_controls() -> None:
    other = dataclasses.replace(SERVICE, protocol="ftp")
    observation = dataclasses.replace(seen(Verdict.PROVEN, called_title_enforced=True), service=other)
    assert judge(observation, VantageKind.INTERNET) == []
    assert not refuted("LA-07", observation)


def test_a_finding_carries_key_severity_evidence_and_remedy() -> None:
    observation = dataclasses.replace(
        seen(Verdict.PROVEN, find_answers=4210, queries=3),
        counts=Counts(studies=Count.exact(4210), images=Count.at_least(12_345)),
    )
    (finding,) = judge(observation, VantageKind.OFFICE)
    assert finding.control == "LA-11"
    assert finding.key == finding_key(VantageKind.OFFICE, SERVICE, "LA-11")
    assert finding.severity is Severity.HIGH
    assert finding.evidence == {
        "find_answers": 4210,
        "queries": 3,
        "studies.low": 4210,
        "images.low": 12_345,
    }
    assert finding.title == catalogue()["LA-11"].text("en").title
    assert finding.remedy.splitlines()
    assert finding.status is FindingStatus.NEW
    assert finding.first_seen is None


def test_a_finding_by_version_says_that_it_is_inferred_and_names_the_records() -> None:
    (finding,) = judge(says("OFFIS DCMTK 3.7.0"), VantageKind.INTERNET)
    assert finding.control == "LA-36"
    assert finding.severity is Severity.MEDIUM
    assert finding.evidence == {"version_inferred": True, "cves": "CVE-2026-50254, CVE-2026-35505"}
    assert finding.remedy.startswith("OFFIS DCMTK: ")


def test_a_remedy_begins_with_the_exact_steps_of_the_product() -> None:
    observation = dataclasses.replace(seen(called_title_enforced=False), product=Product(name="Orthanc"))
    (finding,) = judge(observation, VantageKind.INTERNET)
    first, *rest = finding.remedy.splitlines()
    assert first.startswith("Orthanc: Set DicomCheckCalledAet to true")
    assert rest == catalogue()["LA-07"].text("en").remedy.splitlines()


def test_findings_come_worst_first() -> None:
    facts = {"associated": True, "called_title_enforced": False, "context.ct_storage": True, "service_classes": 4}
    findings = judge(dataclasses.replace(seen(Verdict.PROVEN), facts=facts), VantageKind.INTERNET)
    order = [(-finding.severity.rank, finding.control) for finding in findings]
    assert order == sorted(order)
    assert len(order) == 5


FACTS = sorted(
    {"associated", "rejected", "called_title_enforced", "calling_title_enforced", "find_capped", *STORAGE}
    | {"context.study_get", "context.patient_get"}
)
OBSERVATIONS = st.builds(
    Observation,
    service=st.just(SERVICE),
    owner=st.just(Owner(grant="g")),
    access=st.builds(Access, **{name: st.sampled_from(Verdict) for name in ("reach", "talk", "list", "read", "write")}),
    counts=st.builds(Counts, studies=st.none() | st.integers(0, 10**12).map(Count.exact)),
    facts=st.builds(
        lambda flags, numbers: flags | numbers,
        st.dictionaries(st.sampled_from(FACTS), st.booleans()),
        st.dictionaries(st.sampled_from(["service_classes", "find_answers"]), st.integers(0, 10**12)),
    ),
    product=st.builds(
        Product, toolkit=st.sampled_from(["", "OFFIS DCMTK 3.6.7", "OFFIS DCMTK 3.7.1", "dcm4che 2 2.0.28"])
    ),
    middlebox=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(observation=OBSERVATIONS, kind=st.sampled_from(VantageKind))
def test_no_control_is_broken_and_refuted_at_once(observation: Observation, kind: VantageKind) -> None:
    findings = judge(observation, kind)
    assert findings == judge(observation, kind)
    assert not any(refuted(finding.control, observation) for finding in findings)
    for finding in findings:
        assert all(type(value) in (int, bool) for key, value in finding.evidence.items() if key != "cves")
        assert set(finding.evidence) <= set(catalogue()[finding.control].evidence)
