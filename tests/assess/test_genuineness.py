"""The verdict on genuineness, on a labelled set: no real service is called nobody's, and the page has the table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from labelled import Labelled, services

from leadapron.assess.genuineness import DECIDED, ORDER, SIGNALS, weigh
from leadapron.model import Access, Observation, Product, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "genuineness.md").read_text("utf-8")
SET = list(services())
VERDICTS = ("patients", "deidentified", "test", "public-sample", "honeypot", "unknown")


def verdict(observation: Observation) -> str:
    judged = weigh(observation)
    assert judged is not None
    assert 0 <= judged.score <= 1
    return judged.verdict


def confusion() -> Counter[tuple[str, str]]:
    return Counter((each.label, verdict(each.observation)) for each in SET)


def test_the_set_is_large_enough() -> None:
    assert len(SET) >= 300
    assert {each.label for each in SET} == set(VERDICTS) - {"unknown"}


def test_no_service_that_shows_patients_is_called_nobodys() -> None:
    wrong = [each.kind for each in SET if each.label == "patients" and verdict(each.observation) in ORDER]
    assert wrong == []


def test_at_most_two_in_a_hundred_of_nobodys_are_called_patients() -> None:
    nobodys = [each for each in SET if each.label != "patients"]
    missed = [each.kind for each in nobodys if verdict(each.observation) == "patients"]
    assert len(missed) <= 0.02 * len(nobodys), Counter(missed)


def test_the_page_has_the_table_of_the_set() -> None:
    counted = confusion()
    for label in VERDICTS[:-1]:
        row = " | ".join(str(counted[label, each]) for each in VERDICTS)
        assert f"| {label} | {row} |" in PAGE, f"| {label} | {row} |"


def test_the_page_has_every_signal_with_its_weights() -> None:
    for name, signal in SIGNALS.items():
        weights = ", ".join(f"{kind} {weight:g}" for kind, weight in signal.kinds.items())
        assert re.search(rf"^\| `{name}` \| .+ \| {re.escape(weights)} \|$", PAGE, re.MULTILINE), f"{name}: {weights}"
    assert f"{DECIDED:g}" in PAGE


def of(kind: str) -> Labelled:
    return next(each for each in SET if each.kind == kind)


def test_a_decoy_is_never_told_by_its_stack_alone() -> None:
    judged = weigh(of("real, on go-netdicom").observation)
    assert judged is not None
    assert judged.verdict == "patients"
    assert {"decoy_product", "any_sop_class"} <= set(judged.signals)
    copied = replace(of("hospital").observation, product=Product(name="DICOMHawk"))
    assert verdict(copied) == "patients"


def test_the_heavier_of_two_kinds_is_the_verdict() -> None:
    """Phantoms without birth dates, counted up: signs of research, and stronger ones of a test."""
    records = {"sign.records": 25, "sign.named": 25, "sign.names": 25, "sign.shapes": 1, "sign.births": 0}
    seen = of("phantom").observation
    assert verdict(replace(seen, facts={**records, "sign.phantom": 25})) == "test"
    assert verdict(replace(seen, facts={**records, "sign.phantom": 0})) == "deidentified"


def test_without_a_census_nothing_is_known() -> None:
    seen = of("hospital").observation
    assert verdict(replace(seen, facts={}, census=None)) == "unknown"


@pytest.mark.parametrize("listed", [Verdict.REFUSED, Verdict.UNKNOWN, Verdict.NOT_ASKED])
def test_what_shows_nothing_is_not_judged(listed: Verdict) -> None:
    assert weigh(replace(of("phantom").observation, access=Access(list=listed))) is None
