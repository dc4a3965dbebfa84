"""The catalogue of CVEs: what ships is sound and documented, and what it says of a product."""

from __future__ import annotations

import datetime as dt
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.assess.cves import EVIDENCE, Cve, cves, evidence, is_clear, parse_cves, serious
from leadapron.errors import InputError
from leadapron.identify.catalogue import fingerprints
from leadapron.model import Product, Severity
from leadapron.report.messages import LANGUAGES

FOLDER = resources.files("leadapron.protocols") / "dicom" / "cves"
PAGE = (Path(__file__).parents[2] / "docs" / "controls" / "LA-36.md").read_text("utf-8")
ALL = [cve for entries in cves().values() for cve in entries]
each_cve = pytest.mark.parametrize("cve", ALL, ids=[cve.id for cve in ALL])
PRODUCTS = {entry.name: entry for entry in fingerprints()}
TIE = ("DCMTK tools (dcmqrscp, storescp, wlmscpfs)", "Orthanc")
OLD_DCMTK = "OFFIS DCMTK 3.6.7"
OF_1_12_11 = {f"CVE-2026-54{number}" for number in (38, 39, 40, 42, 43, 44, 45)}

GOOD = b"""\
name = "A product"

[[cve]]
id = "CVE-2026-0001"
before = "1.2"
severity = "high"
sources = ["its record", "its release notes"]
checked = 2026-11-27
en = "Update to 1.2 or later (CVE-2026-0001)."
it = "Aggiornare alla 1.2 o successiva (CVE-2026-0001)."
"""


def test_a_file_is_named_after_the_product_that_it_names() -> None:
    assert {f"{PRODUCTS[name].id}.toml" for name in cves()} == {file.name for file in FOLDER.iterdir()}


def test_no_record_stands_twice() -> None:
    assert len({(cve.product, cve.id) for cve in ALL}) == len(ALL)


@each_cve
def test_an_entry_is_complete(cve: Cve) -> None:
    assert set(cve.texts) == set(LANGUAGES)
    assert len(set(cve.sources)) >= 2
    assert f"CVE Program record {cve.id}" in cve.sources, "the official record is one of them"
    assert dt.date(2026, 1, 1) <= cve.checked <= dt.datetime.now(dt.UTC).date()
    for text in cve.texts.values():
        assert cve.id in text
        assert (cve.before or cve.through) in text
        assert text.endswith(".")


def row(cve: Cve) -> str:
    affected = f"before {cve.before}" if cve.before else f"up to {cve.through}"
    return f"| {cve.product} | {cve.id} | {affected} | {cve.severity.value} | {cve.checked} |"


def test_the_page_has_each_entry_and_no_other() -> None:
    written = [line for line in PAGE.splitlines() if "| CVE-" in line]
    assert written == [row(cve) for cve in ALL]


@pytest.mark.parametrize(
    ("before", "through", "affected", "not_affected"),
    [
        ("1.2", "", ("1.1.9", "0.9", "1"), ("1.2", "1.2.0", "1.10", "2")),
        ("", "1.2", ("1.2", "1.2.0", "0.9"), ("1.2.1", "1.2a", "2")),
    ],
)
def test_a_range_ends_where_it_says(
    before: str, through: str, affected: tuple[str, ...], not_affected: tuple[str, ...]
) -> None:
    bound = f'before = "{before}"' if before else f'through = "{through}"'
    (cve,) = parse_cves("a.toml", GOOD.replace(b'before = "1.2"', bound.encode()))
    assert all(cve.affects(version) for version in affected)
    assert not any(cve.affects(version) for version in (*not_affected, "", "mainline", "1.1-rc1"))


@pytest.mark.parametrize(
    ("product", "ids"),
    [
        (Product(toolkit=OLD_DCMTK), {"CVE-2026-50254", "CVE-2026-35505"}),
        (Product(toolkit="OFFIS DCMTK 3.7.0", candidates=TIE), {"CVE-2026-50254", "CVE-2026-35505"}),
        (Product(name="Orthanc", version="1.12.11"), set()),
        (Product(name="Orthanc", version="1.12.10"), OF_1_12_11),
        (
            Product(name="Orthanc", version="1.12.10", toolkit="OFFIS DCMTK 3.7.1"),
            OF_1_12_11,
        ),
        (Product(name="Orthanc", version="1.5.7"), OF_1_12_11 | {"CVE-2025-0896"}),
        (Product(name="Orthanc"), set()),
        (Product(candidates=("Orthanc",), version="1.5.0"), set()),
        (Product(toolkit="OFFIS DCMTK"), set()),
        (Product(toolkit="pynetdicom 3.0.1"), set()),
        (Product(), set()),
    ],
)
def test_a_stated_version_is_held_against_the_catalogue_and_a_tie_is_not(product: Product, ids: set[str]) -> None:
    assert {cve.id for cve in serious(product)} == ids
    found = evidence(product)
    assert tuple(found) == (EVIDENCE if ids else ())
    assert set(str(found["cves"]).split(", ") if ids else ()) == ids


def test_what_is_not_serious_is_known_but_not_told() -> None:
    mild = [cve for cve in ALL if cve.severity.rank < Severity.HIGH.rank]
    assert any(cve.affects("3.6.7") for cve in mild)
    assert not any(cve in serious(Product(toolkit=OLD_DCMTK)) for cve in mild)


@pytest.mark.parametrize(
    ("product", "clear"),
    [
        (Product(toolkit="OFFIS DCMTK 3.7.1"), True),
        (Product(toolkit="OFFIS DCMTK 3.7.1", candidates=TIE), True),
        (Product(name="Orthanc", version="1.12.11", toolkit=OLD_DCMTK), False),
        (Product(toolkit=OLD_DCMTK), False),
        (Product(toolkit="OFFIS DCMTK x"), False),
        (Product(toolkit="pynetdicom 3.0.1"), False),
        (Product(), False),
    ],
)
def test_clear_is_who_states_a_version_that_can_be_judged(product: Product, clear: bool) -> None:
    assert is_clear(product) is clear


@given(
    st.builds(
        Product,
        name=st.sampled_from(["", "Orthanc", "Horos or OsiriX"]),
        version=st.from_regex(r"\A[0-9.]{0,6}\Z"),
        toolkit=st.from_regex(r"\A(OFFIS DCMTK ?|dcm4che 2 )?[0-9.]{0,6}\Z"),
        candidates=st.sampled_from([(), TIE]),
    )
)
def test_nobody_is_affected_and_clear_at_once(product: Product) -> None:
    assert not (serious(product) and is_clear(product))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CVE-2026-0001", b"CVE-26-1"),
        (b'before = "1.2"', b'before = "1.2"\nthrough = "1.2"'),
        (b'before = "1.2"\n', b""),
        (b'before = "1.2"', b'before = "soon"'),
        (b'severity = "high"', b'severity = "dire"'),
        (b', "its release notes"', b""),
        (b"checked = 2026-11-27\n", b""),
        (b"checked = 2026-11-27", b'checked = "today"'),
        (b'it = "', b'de = "'),
        (b"[[cve]]", b"[cve]"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(old: bytes, new: bytes) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse_cves("a.toml", GOOD.replace(old, new, 1))
    assert str(caught.value).startswith("CVEs a.toml: ")
    assert "\n" not in str(caught.value)
