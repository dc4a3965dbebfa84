"""The catalogue of remedies: what ships is sound and documented, and what a finding's remedy is made of."""

from __future__ import annotations

import datetime as dt
from importlib import resources
from pathlib import Path

import pytest

from leadapron.assess.catalogue import catalogue
from leadapron.assess.protocol_data import toml_files
from leadapron.assess.remedies import CVE_CONTROL, Step, parse_remedies, product_steps, remedies, remedy
from leadapron.errors import InputError
from leadapron.identify.catalogue import product_ids
from leadapron.model import Product
from leadapron.report.messages import LANGUAGES

FILES = [
    file for folder in resources.files("leadapron.protocols").iterdir() for file in toml_files(folder / "remedies")
]
PAGE = (Path(__file__).parents[2] / "docs" / "remedies.md").read_text("utf-8")
ALL = [step for known in remedies().values() for step in known.steps]
each_step = pytest.mark.parametrize("step", ALL, ids=[f"{step.of}-{step.setting}" for step in ALL])
DCMTK_TOOLS = "DCMTK tools (dcmqrscp, storescp, wlmscpfs)"
TIE = Product(candidates=(DCMTK_TOOLS, "Orthanc"), toolkit="OFFIS DCMTK 3.6.7")

_, _, _REST = PAGE.partition("```toml\n")
GOOD = _REST.partition("```")[0].encode()


def test_a_file_is_named_after_the_product_that_it_names() -> None:
    assert sorted(f"{product_ids()[name]}.toml" for name in remedies()) == sorted(file.name for file in FILES)


@each_step
def test_a_step_is_complete(step: Step) -> None:
    assert set(step.controls) <= set(catalogue()) - {CVE_CONTROL}
    assert len(set(step.sources)) >= 2
    assert all("recall" not in source for source in step.sources)
    assert dt.date(2026, 1, 1) <= step.checked <= dt.datetime.now(dt.UTC).date()
    assert set(step.texts) == set(LANGUAGES)
    assert step.value in step.text("en")
    for text in step.texts.values():
        assert step.setting in text
        assert step.where in text
        assert text.endswith(".")
    assert step.text("en") != step.text("it")


def row(step: Step) -> str:
    cells = (step.of, ", ".join(step.controls), f"`{step.setting}`", f"`{step.value}`", step.default, step.where)
    return f"| {' | '.join(cells)} | {step.since or '–'} | {step.checked} |"


def test_the_page_has_each_step_and_no_other() -> None:
    written = [line for line in PAGE.splitlines() if line.startswith("| ") and "LA-" in line]
    assert written == [row(step) for step in ALL]


def test_the_example_of_the_page_is_a_remedy() -> None:
    (step,) = parse_remedies("example.toml", GOOD).steps
    assert (step.of, step.since) == ("Example PACS Gateway", "2.1")


def test_a_known_product_gets_its_own_steps() -> None:
    (step,) = product_steps("LA-15", Product(name="Orthanc"), "en")
    assert step.startswith("Orthanc: Set LimitFindResults and LimitFindInstances to 100")
    (step,) = product_steps("LA-15", Product(name="Orthanc"), "it")
    assert step.startswith("Orthanc: Impostare LimitFindResults")


@pytest.mark.parametrize(("language", "begin"), [("en", "If it is"), ("it", "Se è"), ("de", "If it is")])
def test_a_tie_gets_the_steps_of_each_candidate_under_a_condition(language: str, begin: str) -> None:
    steps = product_steps("LA-13", TIE, language)
    assert any(step.startswith(f"{begin} dcmqrscp: ") for step in steps)
    assert any(step.startswith(f"{begin} Orthanc: ") for step in steps)
    assert all(step.startswith(begin) for step in steps)


def test_a_toolkit_gets_the_steps_of_the_server_that_is_built_on_it_under_a_condition() -> None:
    steps = product_steps("LA-08", Product(toolkit="ClearCanvas"), "en")
    assert steps
    assert all(step.startswith("If it is ClearCanvas ImageServer: ") for step in steps)


@pytest.mark.parametrize(
    "product",
    [
        Product(),
        Product(name="Fujifilm Synapse PACS"),
        Product(name="Fujifilm Synapse PACS", candidates=("Orthanc",)),
        Product(toolkit="ClearCanvasser 1"),
        Product(toolkit="pynetdicom 3.0.1"),
    ],
)
def test_of_what_is_not_known_nothing_is_said(product: Product) -> None:
    assert product_steps("LA-08", product, "en") == []
    control = catalogue()["LA-08"]
    assert remedy(control, product, "en") == control.text("en").remedy


def test_a_remedy_is_the_steps_of_the_product_and_then_those_of_the_control() -> None:
    control = catalogue()["LA-11"]
    lines = remedy(control, Product(name="Orthanc"), "it").splitlines()
    general = control.text("it").remedy.splitlines()
    assert lines[-len(general) :] == general
    assert lines[: -len(general)] == product_steps("LA-11", Product(name="Orthanc"), "it")
    assert len(lines) > len(general)


def test_the_steps_for_a_version_are_the_records_of_its_vulnerabilities() -> None:
    steps = product_steps(CVE_CONTROL, TIE, "en")
    assert steps
    assert all(step.startswith("OFFIS DCMTK: ") and "CVE-" in step for step in steps)
    assert product_steps(CVE_CONTROL, Product(candidates=("Orthanc",)), "en") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"LA-08", "LA-11"', b'"eight"'),
        (b'["LA-08", "LA-11"]', b"[]"),
        (b', "Example PACS manual, page 12"', b""),
        (b"checked = 2026-11-27\n", b""),
        (b'en = "', b'de = "'),
        (b'it = "', b'# it = "'),
        (b'value = "no"', b'value = "two\\nlines"'),
        (b"[[step]]", b"[step]"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(old: bytes, new: bytes) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse_remedies("a.toml", GOOD.replace(old, new, 1))
    assert str(caught.value).startswith("remedies a.toml: ")
    assert "\n" not in str(caught.value)
