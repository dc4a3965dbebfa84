"""Signs of whose records these are: what is counted, and that only numbers come out."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.dicom.signs import BIRTH, ID, NAME, REMOVED, STUDY_DATE, STUDY_UID, TAGS, Signs

TODAY = dt.date(2026, 5, 17)


def counted(*records: dict[int, bytes]) -> dict[str, int]:
    signs = Signs(TODAY)
    for record in records:
        signs.take(record)
    return signs.numbers()


@pytest.mark.parametrize(
    "name",
    [
        "Rossi^Maria", "Testa^Anna", "Testoni^Ugo", "Demont^Jean", "Demopoulos^N", "Müller^Jörg", "Nguyen^Van A", "Qadir^S",
        "Anders^Ono", "Samplonius^P", "Servicio^M", "Subramanian^K", "Casey^Ann", "Case^Ron", "Unkel^F", "Removille^G",
        "O'Brien^Sean", "Доу^Иван", "山田^太郎", "Xu^Xi", "Doe-Smith^Karl", "Phan^Tom",
        "Last^James", "First^Ruth", "Lastnamer^A", "Surnam^E", "Firstenberg^Last",
    ],
)  # fmt: skip
def test_names_of_people_are_no_sign(name: str) -> None:
    numbers = counted({NAME: name.encode(), ID: b"0012345"})
    assert (numbers["anonymous"], numbers["phantom"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "patient", "sign"),
    [
        ("ANONYMOUS", "1", "anonymous"), ("Anon^0001", "1", "anonymous"), ("anonymized", "", "anonymous"),
        ("Anonimo^Paziente", "", "anonymous"), ("Subject 12", "", "anonymous"), ("CASE-0001", "", "anonymous"),
        ("XXXX", "", "anonymous"), ("no name", "", "anonymous"), ("REMOVED", "", "anonymous"), ("unknown", "", "anonymous"),
        ("3f2a9c0d1e4b5a6978123456", "", "anonymous"), ("", "ANON_77", "anonymous"), ("DE-IDENTIFIED", "", "anonymous"),
        ("PHANTOM^ACR", "", "phantom"), ("Catphan 500", "", "phantom"), ("QA^Daily", "", "phantom"), ("QA01", "", "phantom"),
        ("TEST^PATIENT", "", "phantom"), ("test01", "", "phantom"), ("Demo^Patient", "", "phantom"),
        ("Doe^John", "", "phantom"),
        ("John^Doe", "", "phantom"), ("Mustermann^Erika", "", "phantom"), ("SYNTHETIC^Patient1", "", "phantom"),
        ("CompressedSamples^CT1", "1CT1", "phantom"), ("Lastname^Firstname", "", "phantom"),
        ("Last Name^First Name", "", "phantom"), ("Last^First^mid^pre", "", "phantom"), ("NAME^PATIENT^NAME", "", "phantom"),
        ("", "PHANTOM_3", "phantom"),
    ],
)  # fmt: skip
def test_names_of_nobody_are(name: str, patient: str, sign: str) -> None:
    assert counted({NAME: name.encode(), ID: patient.encode()})[sign] == 1


@pytest.mark.parametrize("patient", ["CASE-1001", "QC_1001", "ACR-1001", "DEMO-101", "SERVICE_01", "ANON_7"])
def test_the_prefix_of_an_id_says_nothing_beside_a_name(patient: str) -> None:
    numbers = counted({NAME: b"Rossi^Maria", ID: patient.encode()})
    assert (numbers["anonymous"], numbers["phantom"]) == (0, 0)


def test_names_shapes_and_births_are_counted_once_each() -> None:
    numbers = counted(
        {NAME: b"Guest^01", BIRTH: b"19700101"},
        {NAME: b"guest^02 ", BIRTH: b"19700101"},
        {NAME: b"Rossi^A", BIRTH: b""},
        {},
    )
    assert {name: numbers[name] for name in ("records", "named", "names", "shapes", "births")} == {
        "records": 4,
        "named": 3,
        "names": 3,
        "shapes": 2,
        "births": 1,
    }


@pytest.mark.parametrize(
    ("birth", "studied", "impossible"),
    [
        (b"20260518", b"", 1),
        (b"20260517", b"", 0),
        (b"18990101", b"20200101", 1),
        (b"19010101", b"20200101", 0),
        (b"18990101", b"", 0),
        (b"1899", b"20200101", 0),
        (b"99999999", b"20200101", 1),
    ],
)
def test_nobody_is_born_tomorrow_or_older_than_120_years(birth: bytes, studied: bytes, impossible: int) -> None:
    assert counted({BIRTH: birth, STUDY_DATE: studied})["impossible"] == impossible


def test_roots_of_public_collections_end_at_a_dot() -> None:
    assert counted({STUDY_UID: b"1.3.6.1.4.1.14519.5.2.1.7.8\0"})["public"] == 1
    assert counted({STUDY_UID: b"1.3.6.1.4.1.14519.5.2.17.8"})["public"] == 0


def test_what_a_toolkit_numbers_is_not_public() -> None:
    """Whoever writes files with PixelMed's, pydicom or DCMTK has UIDs below the roots of these."""
    roots = (b"1.3.6.1.4.1.5962.99.1.7", b"1.2.826.0.1.3680043.8.498.7", b"1.2.276.0.7230010.3.1.2.7")
    assert [counted({STUDY_UID: uid})["public"] for uid in roots] == [0, 0, 0]


def test_what_says_that_it_is_deidentified_is() -> None:
    assert [counted({REMOVED: value})["removed"] for value in (b"YES", b"yes ", b"NO", b"")] == [1, 1, 0, 0]


@given(st.lists(st.dictionaries(st.sampled_from(TAGS), st.binary(max_size=80)), max_size=20))
def test_any_values_give_numbers_within_the_sample(records: list[dict[int, bytes]]) -> None:
    numbers = counted(*records)
    assert numbers["records"] == len(records)
    assert all(type(number) is int and 0 <= number <= len(records) for number in numbers.values())
