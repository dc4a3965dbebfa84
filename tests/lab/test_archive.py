"""The made-up index: reproducible, recognisable, and matching as PS3.4 C.2.2.2 says."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import UID

from leadapron.lab import archive as index
from leadapron.lab.archive import MAX_SEED, Archive, made_up, read_identifier, write_identifier

SMALL = made_up(7, 40, largest=4)
UNIVERSAL = dict.fromkeys((index.STUDY_UID, index.STUDY_DATE), b"")


def found(archive: Archive, level: bytes = b"STUDY", **patterns: bytes) -> list[dict[int, bytes]]:
    named = {getattr(index, name.upper()): pattern for name, pattern in patterns.items()}
    return list(archive.find({index.LEVEL: level, **UNIVERSAL, **named}))


def uids(answers: list[dict[int, bytes]]) -> list[bytes]:
    return [answer[index.STUDY_UID] for answer in answers]


def those(condition: object, tag: int) -> list[bytes]:
    """UIDs of the studies whose value of `tag` meets a condition."""
    assert callable(condition)
    return [study.values[index.STUDY_UID] for study in SMALL.studies if condition(study.values[tag])]


@given(st.integers(0, MAX_SEED))
def test_a_seed_gives_the_same_archive_every_time_and_another_seed_another(seed: int) -> None:
    assert made_up(seed, 3) == made_up(seed, 3)
    assert made_up(seed, 3) != made_up((seed + 1) % (MAX_SEED + 1), 3)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 10**60])
def test_a_seed_that_would_make_a_bad_uid_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="a seed is a number from 0"):
        made_up(seed, 1)


@pytest.mark.parametrize("seed", [0, MAX_SEED])
def test_everything_made_up_says_so_and_is_well_formed(seed: int) -> None:
    archive = made_up(seed, 300, largest=60)
    instances = [
        answer
        for study in archive.studies[:20]
        for answer in archive.find(
            {index.LEVEL: b"IMAGE", index.STUDY_UID: study.values[index.STUDY_UID], index.INSTANCE_UID: b""}
        )
    ]

    for study in archive.studies:
        assert study.values[index.PATIENT_NAME].startswith(b"SYNTHETIC^")
        assert study.values[index.PATIENT_ID].startswith(b"SYNTHETIC-")
        assert study.values[index.ACCESSION].startswith(b"SYN")
        assert re.fullmatch(rb"(20[0-2]\d[01]\d[0-3]\d)?", study.values[index.STUDY_DATE])
    names = [answer[index.INSTANCE_UID].decode() for answer in instances]
    assert all(UID(name).is_valid for name in names)
    assert len(names) == len(set(names)) == sum(study.images for study in archive.studies[:20])


def test_the_whole_is_the_sum_of_its_levels() -> None:
    assert len(found(SMALL)) == len(SMALL.studies) == 40
    assert len(found(SMALL, b"SERIES", series_uid=b"")) == SMALL.series
    assert len(found(SMALL, b"IMAGE", series_uid=b"", instance_uid=b"")) == SMALL.images


@pytest.mark.parametrize("level", [b"", b"PATIENT", b"study", b"STUDIES", b"\xff"])
def test_a_level_of_no_model_finds_nothing(level: bytes) -> None:
    assert found(SMALL, level) == []


def test_a_study_claims_its_true_numbers_or_none() -> None:
    wanted = {"study_series": b"", "study_images": b""}
    claims = [(answer[index.STUDY_SERIES], answer[index.STUDY_IMAGES]) for answer in found(SMALL, **wanted)]
    assert claims == [(b"%d" % len(study.series), b"%d" % study.images) for study in SMALL.studies]

    silent = made_up(7, 5, claims=False)
    assert {answer[index.STUDY_IMAGES] for answer in found(silent, **wanted)} == {b""}
    assert {answer[index.SERIES_IMAGES] for answer in found(silent, b"SERIES", series_images=b"")} == {b""}


def test_a_series_or_an_image_is_found_by_its_own_uid() -> None:
    study = next(study for study in SMALL.studies if len(study.series) > 1)
    second = study.values[index.STUDY_UID] + b".2"

    (series,) = found(SMALL, b"SERIES", series_uid=second, series_images=b"")
    images = found(SMALL, b"IMAGE", series_uid=second, instance_uid=b"")

    assert series[index.SERIES_IMAGES] == b"%d" % study.series[1]
    assert len(images) == study.series[1]
    assert len(found(SMALL, b"IMAGE", series_uid=second, instance_uid=images[-1][index.INSTANCE_UID])) == 1


@pytest.mark.parametrize(
    ("pattern", "first", "last"),
    [
        (b"20100101-20151231", b"20100101", b"20151231"),
        (b"20100101-", b"20100101", b"9"),
        (b"-20151231 ", b"0", b"20151231"),
        (b"20151231-20100101", b"2", b"1"),
    ],
)
def test_a_range_of_dates_takes_both_ends_and_no_study_without_a_date(
    pattern: bytes, first: bytes, last: bytes
) -> None:
    expected = those(lambda date: date and first <= date <= last, index.STUDY_DATE)
    assert uids(found(SMALL, study_date=pattern)) == expected


def test_every_day_is_in_its_own_range() -> None:
    for study in SMALL.studies:
        date = study.values[index.STUDY_DATE]
        if date:
            assert study.values[index.STUDY_UID] in uids(found(SMALL, study_date=date + b"-" + date))
            assert study.values[index.STUDY_UID] in uids(found(SMALL, study_date=date))


def test_uids_match_by_list_and_never_by_wildcard() -> None:
    some = [study.values[index.STUDY_UID] for study in SMALL.studies[3:9:2]]
    assert uids(found(SMALL, study_uid=b"\\".join(some) + b"\0")) == some
    assert found(SMALL, study_uid=b"2.25.*") == []
    assert found(SMALL, study_uid=some[0][:-1] + b"?") == []


def test_one_of_several_values_has_to_match() -> None:
    expected = those(lambda value: b"CT" in value.split(b"\\"), index.MODALITIES)
    assert uids(found(SMALL, modalities=b"CT")) == expected
    assert len(expected) > len(those(lambda value: value == b"CT", index.MODALITIES)) > 0


@pytest.mark.parametrize(
    ("pattern", "regex"),
    [
        (b"SYN007*", rb"SYN007.*"),
        (b"*00001?", rb".*00001."),
        (b"SYN??????0*1*", rb"SYN.{6}0.*1.*"),
        (b"**", rb".*"),
        (b"SYN00700000[0-9]", rb"(?!)"),
        (b"SYN007000001-SYN007000009", rb"(?!)"),
        (b"SYN007000001\\SYN007000002", rb"(?!)"),
        (b"\xe9*", rb"(?!)"),
        (b"?\xff\xfe*", rb"(?!)"),
    ],
)
def test_wildcards_of_text_are_two_and_any_bytes_may_stand_beside_them(pattern: bytes, regex: bytes) -> None:
    expected = those(lambda value: re.fullmatch(regex, value), index.ACCESSION)
    assert uids(found(SMALL, accession=pattern)) == expected


letters = st.sampled_from([b"a", b"b", b"\xe4", b"\n", b"["])
words = st.lists(letters, max_size=8).map(b"".join)
patterns = st.lists(letters | st.sampled_from([b"*", b"?"]), min_size=1, max_size=8).map(b"".join)


@given(patterns, words)
def test_wildcard_matching_is_that_of_a_regular_expression(pattern: bytes, value: bytes) -> None:
    wild = {ord("*"): b".*", ord("?"): b"."}
    regex = b"".join(wild.get(letter, re.escape(bytes([letter]))) for letter in pattern)
    study = index.Study(values={**SMALL.studies[0].values, index.PATIENT_NAME: value}, series=(1,))

    is_found = bool(found(Archive(studies=(study,)), patient_name=pattern))

    assert is_found == (re.fullmatch(regex, value, re.DOTALL) is not None)


def test_a_pattern_of_many_stars_is_no_heavier_than_its_length() -> None:
    study = index.Study(values={**SMALL.studies[0].values, index.PATIENT_NAME: b"a" * 64}, series=(1,))
    assert found(Archive(studies=(study,)), patient_name=b"*a" * 5000 + b"b") == []


@given(st.dictionaries(st.sampled_from(sorted(index.VRS)), st.binary(max_size=64)))
def test_any_keys_give_answers_with_those_keys(keys: dict[int, bytes]) -> None:
    for answer in SMALL.find(keys):
        assert set(answer) == set(keys)


@pytest.mark.parametrize("explicit", [False, True])
def test_pydicom_reads_an_answer_and_the_archive_reads_it_back(explicit: bool) -> None:
    values = {**SMALL.studies[0].values, index.LEVEL: b"STUDY", 0x00101010: b"030Y"}

    raw = write_identifier(values, explicit=explicit)
    read = dcmread(io.BytesIO(_with_meta(raw, explicit)))

    assert read.PatientName == "SYNTHETIC^Patient000000"
    assert read.StudyInstanceUID == values[index.STUDY_UID].decode()
    assert "PatientAge" not in read
    assert read_identifier(raw, explicit=explicit)[index.ACCESSION].strip() == values[index.ACCESSION]


def _with_meta(raw: bytes, explicit: bool) -> bytes:
    syntax = b"1.2.840.10008.1.2.1\0" if explicit else b"1.2.840.10008.1.2\0"
    element = b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(element).to_bytes(4, "little")
    return b"\0" * 128 + b"DICM" + length + element + raw
