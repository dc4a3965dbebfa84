"""Our queries, read by pydicom: the fewest keys, valid at their level."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from leadapron.protocols.dicom import identifiers
from leadapron.protocols.dicom.identifiers import Narrowing

dates = st.dates(dt.date(1900, 1, 1), dt.date(2100, 12, 31))


def decoded(data: bytes) -> Dataset:
    dataset = read_dataset(DicomBytesIO(data), is_implicit_VR=True, is_little_endian=True)
    written = io.BytesIO()
    dataset.save_as(written, implicit_vr=True, little_endian=True)
    assert written.getvalue() == data, "pydicom would write it in another way"
    assert dcmread(io.BytesIO(data), force=True) is not None
    return dataset


def keywords(data: bytes) -> set[str]:
    return {element.keyword for element in decoded(data)}


def test_studies_ask_for_their_key_and_numbers_and_for_nobody() -> None:
    assert keywords(identifiers.studies()) == {
        "QueryRetrieveLevel",
        "StudyInstanceUID",
        "StudyDate",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    }


@pytest.mark.parametrize(
    ("identifier", "level", "unique"),
    [
        (identifiers.studies(), "STUDY", "StudyInstanceUID"),
        (identifiers.patients(), "PATIENT", "PatientID"),
        (identifiers.series(b"2.25.1"), "SERIES", "SeriesInstanceUID"),
        (identifiers.images(b"2.25.1", b"2.25.2"), "IMAGE", "SOPInstanceUID"),
    ],
)
def test_each_level_asks_for_its_unique_key(identifier: bytes, level: str, unique: str) -> None:
    dataset = decoded(identifier)
    assert dataset.QueryRetrieveLevel == level
    assert unique in dataset
    assert not dataset[unique].value
    assert "PatientName" not in dataset


def test_the_worklist_asks_for_station_modality_and_date_of_each_step() -> None:
    (step,) = decoded(identifiers.worklist()).ScheduledProcedureStepSequence
    assert {element.keyword for element in step} == {
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
    }


@given(dates, dates)
def test_halves_are_the_whole_and_do_not_meet(one: dt.date, other: dt.date) -> None:
    piece = Narrowing(first=min(one, other), last=max(one, other))
    if piece.days < 2:
        return
    earlier, later = piece.halves()
    assert (earlier.first, later.last) == (piece.first, piece.last)
    assert later.first - earlier.last == dt.timedelta(days=1)
    assert earlier.days + later.days == piece.days
    assert abs(earlier.days - later.days) <= 1
    assert decoded(identifiers.studies(earlier)).StudyDate.encode() == earlier.date_range()
