from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from leadapron.assess.catalogue import RSIT, Control, catalogue, catalogue_version, parse_control
from leadapron.assess.severity import STEPS
from leadapron.errors import InputError
from leadapron.model import VantageKind
from leadapron.report.messages import LANGUAGES, messages

CONTROLS = list(catalogue().values())
DOCS = Path(__file__).parents[2] / "docs" / "controls"
by_id = pytest.mark.parametrize("control", CONTROLS, ids=[control.id for control in CONTROLS])


def a_file(name: str = "LA-11") -> bytes:
    return (resources.files("leadapron.assess") / "controls" / f"{name}.toml").read_bytes()


def test_the_catalogue_has_the_controls_of_the_first_form() -> None:
    of_dicom = [
        "LA-01",
        "LA-04",
        "LA-07",
        "LA-08",
        "LA-09",
        "LA-10",
        "LA-11",
        "LA-13",
        "LA-14",
        "LA-15",
        "LA-17",
        "LA-19",
    ]
    of_dicom += ["LA-20", "LA-21", "LA-22", "LA-36"]
    of_all_doors = ["LA-02", "LA-03", "LA-18", "LA-23", "LA-30", "LA-41", "LA-42", "LA-43"]
    assert list(catalogue()) == sorted([*of_dicom, *of_all_doors])


@by_id
def test_a_control_is_complete(control: Control) -> None:
    assert set(control.texts) == set(LANGUAGES)
    assert set(control.raised_by) <= set(STEPS)
    assert control.id == "LA-01" or set(control.base) == set(VantageKind)
    assert control.anchors
    assert control.mappings.nist_csf
    for text in control.texts.values():
        assert not text.title.endswith(".")
        assert all(step.endswith(".") for step in text.remedy.splitlines())


@by_id
def test_evidence_has_words_in_every_language(control: Control) -> None:
    for language in LANGUAGES:
        assert [key for key in control.evidence if f"evidence.{key}" not in messages(language)] == []


@by_id
def test_a_control_has_a_page_that_says_the_same(control: Control) -> None:
    page = (DOCS / f"{control.id}.md").read_text("utf-8")
    text = control.text("en")
    assert page.startswith(f"# {control.id}: {text.title}\n")
    assert text.checked in page
    assert all(f"{number}. {step}\n" in page for number, step in enumerate(text.remedy.splitlines(), 1))
    assert all(anchor in page for anchor in control.anchors)
    assert all(f"`{key}`" in page for key in control.evidence)
    assert f"| RSIT, in feeds | {control.rsit} |\n" in page
    assert control.rsit in RSIT


def test_the_page_on_findings_says_what_each_is_about_and_how_deep_one_has_to_look() -> None:
    rows = re.findall(
        r"^\| (LA-\d\d) \| (\w+) \| (\w+) \| [^|]+ \|$", (DOCS.parent / "findings.md").read_text(), re.MULTILINE
    )
    about = {True: "endpoint", False: "service"}
    assert rows == [(control.id, about[control.about_endpoint], control.depth.name.lower()) for control in CONTROLS]


def test_no_page_without_a_control() -> None:
    assert sorted(page.stem for page in DOCS.glob("*.md")) == list(catalogue())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'id = "LA-11"', b'id = "LA-12"'),
        (b'id = "LA-11"', b'id = "eleven"'),
        (b'id = "LA-11"', b'id = "LA-11"\nunknown = 1'),
        (b'access = "list"', b'access = "everything"'),
        (b'verdict = ["proven"]', b'verdict = ["prooven"]'),
        (b'verdict = ["proven"]', b'verdict = ["proven"]\nfact = "x"'),
        (b'verdict = ["proven"]', b"verdict = []"),
        (b'depth = "count"', b'depth = "deep"'),
        (b'depth = "count"\n', b""),
        (b'rsit = "information-disclosure"', b'rsit = "hacked"'),
        (b'rsit = "information-disclosure"\n', b""),
        (b'about = "service"', b'about = "mood"'),
        (b'internet = "high"', b'internet = "dire"'),
        (b'internet = "high"', b'moon = "high"'),
        (b'raised_by = ["volume", "identified"]', b'raised_by = ["mood"]'),
        (b'"studies.low"', b'"stories.low"'),
        (b"[text.en]", b"[text.de]"),
        (b"[mappings]", b"[mappings"),
        (b"LA-11", b"\xff\xfe"),
    ],
)
def test_a_mistake_in_a_control_is_an_error_of_one_line(old: bytes, new: bytes) -> None:
    assert old in a_file()
    with pytest.raises(InputError) as caught:
        parse_control("LA-11.toml", a_file().replace(old, new, 1))
    assert str(caught.value).startswith("control LA-11.toml: ")
    assert "\n" not in str(caught.value)


def test_a_control_in_another_file_is_an_error() -> None:
    with pytest.raises(InputError, match=r"name the file LA-11\.toml"):
        parse_control("LA-07.toml", a_file())


def test_the_version_of_the_catalogue_is_a_hash_of_its_files() -> None:
    assert len(bytes.fromhex(catalogue_version())) == 32
