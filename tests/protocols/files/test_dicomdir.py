"""DICOMDIRs: the real ones of pydicom, truncated, and whatever bytes there are."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from test_walk import TERMS, walk

from file_trees import MemoryTree
from leadapron.errors import WireError
from leadapron.model import Count, CountSource
from leadapron.protocols.files import dicomdir
from leadapron.protocols.shown import NOT_CLAIMED, unpacked


def real() -> bytes:
    path = get_testdata_file("DICOMDIR")
    assert isinstance(path, str)
    return Path(path).read_bytes()


def test_a_real_one_says_what_pydicom_finds_in_it() -> None:
    path = get_testdata_file("DICOMDIR")
    assert isinstance(path, str)
    files: dict[str, int] = {}
    kinds: list[str] = []
    for record in pydicom.dcmread(path).DirectoryRecordSequence:
        kinds.append(record.DirectoryRecordType)
        if record.DirectoryRecordType == "STUDY":
            files[record.StudyInstanceUID] = 0
        elif "ReferencedSOPInstanceUIDInFile" in record:
            files[next(reversed(files))] += 1

    found = dicomdir.read(real())

    assert found.is_whole
    assert (found.patients, found.series) == (kinds.count("PATIENT"), kinds.count("SERIES"))
    assert {uid.decode(): images for uid, images in found.studies} == files
    assert len(found.instances) == sum(files.values()) > 20


def test_of_one_that_is_cut_what_came_stands() -> None:
    data, whole = real(), dicomdir.read(real())
    for length in range(0, len(data), 97):
        try:
            found = dicomdir.read(data[:length])
        except WireError:
            assert length < 600
            continue
        assert not found.is_whole
        assert found.instances == whole.instances[: len(found.instances)]
        assert all(images == NOT_CLAIMED for _, images in found.studies)


def test_records_in_another_order_than_their_tree_claim_no_numbers() -> None:
    data = bytearray(real())
    place = data.index(b"\x04\0\x20\x14UL\x04\0", data.index(b"STUDY") - 60)
    data[place + 8 : place + 12] = struct.pack("<I", 1)
    assert {images for _, images in dicomdir.read(bytes(data)).studies} == {NOT_CLAIMED}


def test_a_share_with_nothing_but_a_directory_claims_its_studies() -> None:
    found = walk(MemoryTree({b"DICOMDIR": real()}))
    assert found.directories == 1
    assert found.images == Count.exact(0)
    assert found.studies == Count.exact(found.directory_studies, CountSource.CLAIMED)
    assert found.directory_images == len(set(dicomdir.read(real()).instances))
    assert unpacked(found.shown)["images"].sum() == found.directory_images


def test_a_directory_is_not_read_where_a_census_may_not_be_taken() -> None:
    tree = MemoryTree({b"DICOMDIR": real()})
    walk(tree, TERMS.__class__(**{**{n: getattr(TERMS, n) for n in TERMS.__slots__}, "census": False}), in_clear=True)
    assert tree.reads == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1 << 32))
def test_any_bytes_give_a_directory_or_the_one_error(tail: bytes, length: int) -> None:
    data = b"\0" * 128 + b"DICM" + b"\x04\0\x20\x12SQ\0\0" + struct.pack("<I", length & 0xFFFFFFFF)
    for body in (tail, data + tail, data + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + tail):
        with contextlib.suppress(WireError):
            dicomdir.read(body)


@pytest.mark.parametrize("data", [b"", b"\0" * 200, b"\0" * 128 + b"DICM" + b"\x04\0\x20\x12SQ\0\0"])
def test_what_is_none_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(WireError):
        dicomdir.read(data)
