"""What a server of the world holds: sums that are exact, studies that are the same wherever they are asked for."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from leadapron.lab import archive
from leadapron.lab.archive import Archive, Keys, read_identifier
from leadapron.lab.world.holdings import BLOCK, Holdings, Shelf
from leadapron.lab.world.studies import Collection, Whose
from leadapron.protocols.dicom import identifiers, signs
from leadapron.protocols.dicom.attributes import attributes
from leadapron.protocols.dicom.identifiers import Narrowing

COUNT = read_identifier(identifiers.studies(), explicit=False)
EVERYTHING = dict.fromkeys(archive.VRS, b"") | {archive.LEVEL: b"STUDY"}


def collection(
    studies: int = 700, images: int = 9_001, *, origin: int = 4, whose: Whose = Whose.PATIENTS
) -> Collection:
    return Collection(seed=2020, origin=origin, studies=studies, images=images, whose=whose)


def whole(*collections: Collection) -> Holdings:
    return Holdings(shelves=tuple(Shelf(collection=each, count=each.studies) for each in collections))


def plain(of: Collection) -> Archive:
    """The same studies as an index in memory."""
    return Archive(studies=of.at(np.arange(of.studies), frozenset(archive.VRS)))


@given(st.integers(1, 400), st.integers(0, 5_000), st.integers(0, 999_999))
def test_images_of_all_studies_are_as_many_as_said(studies: int, more: int, origin: int) -> None:
    images = collection(studies, studies + more, origin=origin).images_at(np.arange(studies))
    assert int(images.sum()) == studies + more
    assert images.min() >= 1


def test_studies_differ_in_size() -> None:
    images = collection(1_000, 50_000).images_at(np.arange(1_000))
    assert images.min() < 10
    assert images.max() > 90


def test_enumerating_gives_what_is_said() -> None:
    held = whole(collection(), collection(3, 3, origin=5))
    answers = list(held.find(COUNT))
    assert len(answers) == held.studies == 703
    assert len({answer[archive.STUDY_UID] for answer in answers}) == 703
    assert sum(int(answer[archive.STUDY_IMAGES]) for answer in answers) == held.images == 9_004


def test_below_the_studies_there_is_as_much_as_they_claim() -> None:
    held = whole(collection(40, 300))
    level = {archive.SERIES_UID: b"", archive.STUDY_UID: b""}
    series = list(held.find({archive.LEVEL: b"SERIES", archive.SERIES_IMAGES: b"", **level}))
    images = list(held.find({archive.LEVEL: b"IMAGE", archive.INSTANCE_UID: b"", **level}))
    claimed = sum(int(answer[archive.STUDY_SERIES]) for answer in held.find(COUNT))
    assert len(series) == claimed
    assert sum(int(answer[archive.SERIES_IMAGES]) for answer in series) == len(images) == 300
    assert len({answer[archive.INSTANCE_UID] for answer in images}) == 300


def test_a_study_is_the_same_in_each_copy_and_at_each_place() -> None:
    of = collection()
    part = Holdings(shelves=(Shelf(collection=of, count=300),))
    assert list(part.find(EVERYTHING)) == list(whole(of).find(EVERYTHING))[:300]
    assert part.images == int(of.images_at(np.arange(300)).sum())
    assert of.at(np.array([BLOCK + 1]), frozenset(archive.VRS))[0] == plain(of).studies[BLOCK + 1]


def test_other_seeds_and_origins_have_other_studies() -> None:
    uids = [
        {answer[archive.STUDY_UID] for answer in whole(each).find(COUNT)}
        for each in (collection(), collection(origin=40), Collection(seed=1, origin=4, studies=700, images=9_001))
    ]
    assert len(set.union(*uids)) == 2_100


DAY = dt.date(2019, 5, 5)
QUERIES = {
    "all": COUNT,
    "a range": read_identifier(identifiers.studies(Narrowing(first=dt.date(2010, 1, 1), last=DAY)), explicit=False),
    "a day": read_identifier(identifiers.studies(Narrowing(first=DAY, last=DAY)), explicit=False),
    "hours": read_identifier(identifiers.studies(Narrowing(first=DAY, last=DAY, to_hour=12)), explicit=False),
    "an open range": {**COUNT, archive.STUDY_DATE: b"20190101-"},
    "no date": {**COUNT, archive.STUDY_DATE: b"nonsense"},
    "an accession prefix": {**COUNT, archive.ACCESSION: b"SYN0004*"},
    "another": {**COUNT, archive.ACCESSION: b"1*"},
    "a name": {**COUNT, archive.PATIENT_NAME: b"*-MadeUp^Ada"},
    "uids": {**EVERYTHING, archive.STUDY_UID: b"\\".join(f"{collection().root}{n:08}".encode() for n in (5, 699, 700))},
    "a uid of nobody": {**COUNT, archive.STUDY_UID: b"1.2.3"},
    "a uid that is longer": {**COUNT, archive.STUDY_UID: f"{collection().root}{5:09}".encode()},
    "no level": {archive.STUDY_UID: b""},
}


@pytest.mark.parametrize("name", QUERIES)
def test_matching_is_that_of_an_index_in_memory(name: str) -> None:
    keys: Keys = QUERIES[name]
    found = list(whole(collection()).find(keys))
    assert found == list(plain(collection()).find(keys))
    if name in ("all", "a range", "an open range", "a name"):
        assert found


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize("name", QUERIES)
def test_answers_are_encoded_as_those_of_an_index_in_memory(name: str, claims: bool, explicit: bool) -> None:
    """Byte by byte, whichever way they take."""
    keys: Keys = QUERIES[name]
    held = Holdings(shelves=whole(collection()).shelves, claims=claims)
    index = Archive(studies=plain(collection()).studies, claims=claims)
    found = list(held.identifiers(keys, explicit=explicit))
    assert found == list(index.identifiers(keys, explicit=explicit))


@pytest.mark.parametrize(
    "dates", [b"20100101-20101231", b"20100101", b"00000000-99999999", b"2010-2011", b"-20100101", b"*"]
)
@pytest.mark.parametrize("more", [{}, {archive.PATIENT_NAME: b""}])
def test_dates_are_matched_alike_both_ways(dates: bytes, more: Keys) -> None:
    keys = {**COUNT, archive.STUDY_DATE: dates, **more}
    found = list(whole(collection()).identifiers(keys, explicit=False))
    assert found == list(plain(collection()).identifiers(keys, explicit=False))


def test_two_of_three_uids_exist() -> None:
    assert len(list(whole(collection()).find(QUERIES["uids"]))) == 2


def test_about_one_study_in_thirty_has_no_date() -> None:
    undated = sum(answer[archive.STUDY_DATE] == b"" for answer in whole(collection(5_000, 5_000)).find(COUNT))
    assert 100 < undated < 200


def test_where_nothing_is_claimed_nothing_is() -> None:
    held = Holdings(shelves=(Shelf(collection=collection(), count=10),), claims=False)
    assert {answer[archive.STUDY_IMAGES] for answer in held.find(COUNT)} == {b""}


@pytest.mark.parametrize("whose", Whose)
def test_every_record_says_that_it_is_made_up(whose: Whose) -> None:
    for answer in whole(collection(60, 600, whose=whose)).find(EVERYTHING):
        assert re.search(rb"-MadeUp|^SYNTHETIC|^ANON-", answer[archive.PATIENT_NAME])
        assert answer[archive.ACCESSION].startswith(b"SYN")
        assert answer[archive.PATIENT_ID].startswith(b"MU")
        for tag in (archive.ADDRESS, archive.TELEPHONE, archive.INSTITUTION, archive.REFERRER, archive.COMMENTS):
            assert answer[tag] in (b"", archive.FILLED[tag][1])
            assert archive.FILLED[tag][1].startswith(b"SYNTHETIC")


@pytest.mark.parametrize("whose", Whose)
def test_uids_are_valid_and_ours_but_for_copies_of_public_collections(whose: Whose) -> None:
    uids = [answer[archive.STUDY_UID].decode() for answer in whole(collection(whose=whose)).find(COUNT)]
    assert all(UID(uid).is_valid and len(uid) <= 62 for uid in uids)
    assert {uid.startswith("2.25.") for uid in uids} == {whose is not Whose.PUBLIC}
    assert {uid.encode().startswith(signs.public_roots()) for uid in uids} == {whose is Whose.PUBLIC}


@pytest.mark.parametrize("whose", Whose)
def test_a_census_gets_what_a_signature_of_genuineness_needs(whose: Whose) -> None:
    keys = read_identifier(identifiers.census(b"STUDY", b"", {*attributes(), *signs.TAGS}), explicit=False)
    counted = signs.Signs(dt.date(2020, 12, 1))
    for answer in whole(collection(25, 250, whose=whose)).find(keys):
        counted.take(answer)
    numbers = counted.numbers()
    assert numbers["records"] == numbers["named"] == 25
    assert (numbers["removed"], numbers["phantom"], numbers["public"]) == (
        25 * (whose is Whose.DEIDENTIFIED),
        25 * (whose is Whose.TEST),
        25 * (whose is Whose.PUBLIC),
    )
    if whose is Whose.PATIENTS:
        assert min(numbers["names"], numbers["shapes"], numbers["births"]) > 20
