"""What a name says, and what of it may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.files.formats import Sort, format_of, formats
from leadapron.protocols.files.names import shown_name, vocabulary
from leadapron.protocols.files.preamble import Preamble, classify


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((b"a.dcm", "dicom"), (b"A.DCM", "dicom"), (b"scan.IMA", "dicom"), (b"IM000001", "dicom_typical")),
        *((b"I10", "dicom_typical"), (b"00000001", "dicom_typical"), (b"1.2.840.113619.2.55", "dicom_typical")),
        *((b"CT.1.2.840.113619.2.55", "dicom_typical"), (b"DICOMDIR", "dicomdir"), (b"head.nii.gz", "nifti")),
        *((b"x.nii", "nifti"), (b"x.mhd", "metaimage"), (b"x.nrrd", "nrrd"), (b"x.svs", "whole_slide")),
        *((b"x.mnc", "minc"), (b"x.v", "ecat"), (b"x.hdr", "analyze"), (b"x.PAR", "par_rec"), (b"a.tar.gz", "tar")),
        *((b"a.zip", "zip"), (b"a.7z", "seven_zip"), (b"a.iso", "disc_image"), (b"a.rar", "rar")),
        *((b"HOW_TO_DECRYPT.txt", "ransom_notes"), (b"Restore-My-Files.txt", "ransom_notes")),
        *((b"@Please_Read_Me@.txt", "ransom_notes"), (b"x.dcm.lockbit", "encrypted"), (b"Photo.scr", "miners")),
        *((b"xmrig", "miners"), (b"a.exe", "executables"), (b"shell.php", "scripts"), (b"readme.txt", "plain")),
        *((b"noext", "unnamed"), (b"", "unnamed"), (b".", "unnamed"), (b"x.qqq", "unnamed"), (b"a" * 1000, "unnamed")),
    ],
)
def test_a_name_is_of_a_format(name: bytes, expected: str) -> None:
    assert format_of(name).name == expected


def test_every_format_has_its_sort_and_source() -> None:
    assert {each.sort for each in formats().values()} == set(Sort) - {Sort.UNNAMED}


@given(st.binary(max_size=300))
def test_any_name_is_of_one_of_our_formats(name: bytes) -> None:
    assert format_of(name).name in {*formats(), "unnamed"}


@pytest.mark.parametrize("name", [b"public", b"PACS-Backup", b"dicom_01", b"C$", b"data.old", b"images 2"])
def test_names_of_plain_words_are_shown(name: bytes) -> None:
    assert shown_name(name) == name.decode()


@pytest.mark.parametrize(
    "name",
    [b"mueller", b"public-mueller", b"19800101", b"data-1980", b"12", b"public\n", b"", b"\xff", b"a" * 200, b"../x"],
)
def test_other_names_are_numbers(name: bytes) -> None:
    shown = shown_name(name)
    assert shown.startswith("share-") and len(shown) == 10
    assert shown == shown_name(name)


@given(st.binary(max_size=80))
def test_what_is_shown_is_ours(name: bytes) -> None:
    shown = shown_name(name)
    if not shown.startswith("share-"):
        words = shown.rstrip("$").lower().replace("_", "-").replace(".", "-").replace(" ", "-").split("-")
        assert all(word in vocabulary() or (word.isdecimal() and len(word) < 3) for word in words)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"", Preamble.PLAIN),
        (b"II*\0", Preamble.TIFF),
        (b"MM\0*", Preamble.TIFF),
        (b"MZ\x90", Preamble.EXECUTABLE),
        (b"\x7fELF", Preamble.EXECUTABLE),
        (b"#!/bin/sh", Preamble.EXECUTABLE),
        (b"%PDF-1.7", Preamble.EXECUTABLE),
        (b"hello", Preamble.OTHER),
    ],
)
def test_preambles(start: bytes, expected: Preamble) -> None:
    data = start.ljust(128, b"\0") + b"DICM"
    assert classify(data) is expected
    assert all(classify(data[:length]) is Preamble.NONE for length in range(132))
