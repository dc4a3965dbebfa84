from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from leadapron.assess.catalogue import catalogue
from leadapron.assess.severity import STEPS, VOLUME, rate
from leadapron.model import (
    Access,
    Census,
    Count,
    CountKind,
    Counts,
    CountSource,
    Endpoint,
    Genuineness,
    Observation,
    Owner,
    Service,
    Severity,
    VantageKind,
    Verdict,
)

PAGE = (Path(__file__).parents[2] / "docs" / "severity.md").read_text("utf-8")


def seen(listed: Verdict = Verdict.PROVEN, **counts: Count) -> Observation:
    service = Service(endpoint=Endpoint(address=ip_address("127.0.0.1"), port=104), protocol="dicom")
    return Observation(service=service, access=Access(list=listed), counts=Counts(**counts), owner=Owner(grant="g"))


def test_the_page_has_the_bases_and_steps_of_the_catalogue() -> None:
    rows = {
        cells[0]: cells[1:]
        for line in PAGE.splitlines()
        if line.startswith("| LA-") and (cells := [cell.strip() for cell in line.strip("|").split("|")])
    }
    written = {
        control.id: [
            *(control.base[kind].value if kind in control.base else "–" for kind in VantageKind),
            ", ".join(control.raised_by) or "–",
        ]
        for control in catalogue().values()
    }
    assert rows == written


def test_the_page_has_every_step_and_threshold() -> None:
    steps = re.findall(r"^\| (list|volume|identified) \| ", PAGE, re.MULTILINE)
    assert steps == list(STEPS)
    names = {"worklist": "worklist entries"}
    for name, least in VOLUME.items():
        assert f"{least:,} {names.get(name, name)}" in PAGE


@pytest.mark.parametrize(
    ("control", "vantage", "observation", "expected"),
    [
        ("LA-11", "internet", seen(studies=Count.exact(4210)), "critical"),
        ("LA-11", "internet", seen(studies=Count.exact(999)), "high"),
        ("LA-11", "internet", seen(), "high"),
        ("LA-11", "clinical", seen(studies=Count.exact(1000)), "high"),
        ("LA-11", "office", seen(worklist=Count.at_least(1000)), "high"),
        ("LA-11", "office", seen(images=Count.exact(99_999)), "medium"),
        ("LA-15", "clinical", seen(images=Count.exact(100_000)), "low"),
        ("LA-01", "internet", seen(Verdict.REFUSED), "medium"),
        ("LA-01", "internet", seen(), "high"),
        ("LA-13", "internet", seen(Verdict.UNKNOWN), "medium"),
        ("LA-13", "internet", seen(studies=Count.exact(10**9)), "high"),
        ("LA-07", "clinical", seen(studies=Count.exact(10**9)), "info"),
    ],
)
def test_severity_by_vantage_access_and_volume(
    control: str, vantage: str, observation: Observation, expected: str
) -> None:
    assert rate(catalogue()[control], observation, VantageKind(vantage)) is Severity(expected)


def test_names_raise_and_records_of_nobody_lower() -> None:
    named = replace(seen(), census=Census(sampled=25, present={"PatientName": 13}))
    assert rate(catalogue()["LA-11"], named, VantageKind.OFFICE) is Severity.HIGH
    few = replace(seen(), census=Census(sampled=25, present={"PatientName": 12}))
    assert rate(catalogue()["LA-11"], few, VantageKind.OFFICE) is Severity.MEDIUM
    large = replace(named, counts=Counts(studies=Count.exact(10**6)))
    for verdict, expected in {
        "patients": "critical",
        "unknown": "critical",
        "deidentified": "medium",
        "test": "low",
        "public-sample": "low",
        "honeypot": "low",
    }.items():
        judged = replace(large, genuineness=Genuineness(verdict=verdict, score=1.0))
        assert rate(catalogue()["LA-11"], judged, VantageKind.INTERNET) is Severity(expected)
        assert rate(catalogue()["LA-07"], judged, VantageKind.INTERNET) is Severity.MEDIUM


def test_a_guess_never_raises() -> None:
    guess = Count(value=5000, low=200, high=9000, kind=CountKind.ESTIMATE, source=CountSource.SAMPLED)
    assert rate(catalogue()["LA-11"], seen(studies=guess), VantageKind.INTERNET) is Severity.HIGH


def test_a_control_without_a_base_is_not_judged_from_there() -> None:
    assert rate(catalogue()["LA-01"], seen(), VantageKind.CLINICAL) is None
