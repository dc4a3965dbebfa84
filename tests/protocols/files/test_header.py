"""The header reader: whole, byte by byte, truncated, hostile, and whatever bytes there are."""

from __future__ import annotations

import contextlib
import random
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from file_trees import CANARY, SYNTAXES, dicom
from leadapron.errors import WireError
from leadapron.protocols.files import header
from leadapron.protocols.files.attributes import GROUPS, attributes, groups, wanted
from leadapron.protocols.files.elements import Ending

STUDY, INSTANCE = b"1.2.826.0.1.3680043.10.9.7", b"1.2.826.0.1.3680043.10.9.7.1.3"
NAME, PERSON = 0x00100010, 0x0040A123


def meta(syntax: bytes = b"1.2.840.10008.1.2.1") -> bytes:
    syntax += b"\0" * (len(syntax) % 2)
    return b"\0" * 128 + b"DICM" + b"\x02\0\x10\0UI" + struct.pack("<H", len(syntax)) + syntax


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_coding_says_the_same(syntax: str) -> None:
    found = header.read(dicom(7, 3, syntax=syntax), whole=True)

    assert (found.identity.study, found.identity.instance) == (STUDY, INSTANCE)
    assert found.ending is Ending.WHOLE
    assert {NAME, PERSON} <= found.present
    assert 0x00100030 not in found.present
    assert CANARY not in repr(found)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_without_preamble_and_meta_is_read(syntax: str) -> None:
    data = dicom(7, 3, syntax=syntax, marked=False)
    assert data[:2] in (b"\x08\0", b"\0\x08")
    assert header.identify(data) is None
    found = header.read(data, whole=True)
    assert (found.identity.study, found.identity.instance) == (STUDY, INSTANCE)
    assert {NAME, PERSON} <= found.present


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_truncation_gives_less_and_says_how_much_is_needed(syntax: str) -> None:
    data = dicom(7, 3, syntax=syntax)
    whole = header.read(data, whole=True)
    for length in range(len(data)):
        try:
            found = header.read(data[:length])
        except WireError:
            assert length < 140
            continue
        assert found.present <= whole.present | {0x00080018}
        if found.ending is Ending.CUT:
            assert found.needs > length
        for part, full in zip(found.identity, whole.identity, strict=True):
            assert part in (b"", full)  # never the beginning of a UID
        if (quick := header.identify(data[:length])) is not None:
            assert quick == whole.identity


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_header_in_pieces_says_what_a_whole_one_says(syntax: str, size: int) -> None:
    nested = Dataset()
    nested.PatientComments = "x" * 300
    data = dicom(7, 3, syntax=syntax, PersonIdentificationCodeSequence=[nested, nested])
    reader = header.Reader()
    for length in range(140, len(data), size):
        reader.read(data[:length])
    assert repr_of(reader.read(data, whole=True)) == repr_of(header.read(data, whole=True))


def repr_of(found: header.Header) -> tuple[object, ...]:
    return (found.ending, found.identity, found.present, found.private, found.private_groups, found.values, found.needs)


def test_a_value_that_ends_behind_the_bytes_is_asked_for() -> None:
    data = dicom(7, 3, PatientComments="x" * 10_000)
    found = header.read(data[:4096])
    assert found.ending is Ending.CUT
    assert 10_000 < found.needs < len(data)
    assert header.read(data[: found.needs + 200]).ending is Ending.WHOLE


def test_pixel_data_is_never_looked_at() -> None:
    inner = dicom(9, 9)
    data = dicom(7, 3, PixelData=inner + b"\0" * (len(inner) % 2))
    assert header.read(data).identity.study == STUDY
    place = data.index(b"\x20\0\x0d\0UI")
    hidden = data[:place] + b"\x20\0\x0c\0" + data[place + 4 :]  # the study is not there, but in the pixels it is
    assert header.identify(hidden) is None
    assert header.read(hidden).identity.study == b""


def test_the_fast_way_is_not_sure_of_a_length_that_lies_or_of_what_may_be_pixels() -> None:
    data = dicom(7, 3)
    assert header.identify(data) is not None
    for element in (b"\x02\0\x02\0UI", b"\x02\0\x03\0UI", b"\x02\0\x10\0UI", b"\x20\0\x0d\0UI", b"\x20\0\x0e\0UI"):
        place = data.index(element) + 6
        lying = data[:place] + bytes([data[place] - 2]) + data[place + 1 :]
        assert header.identify(lying) is None
    place = data.index(b"\x20\0\x0d\0UI")
    assert header.identify(data[:place] + b"\xe0\x7f\0\0UL\x04\0abcd" + data[place:]) is None
    other = data.index(b"\x08\0\x18\0UI") + 10
    assert (
        header.identify(data[:other] + b"9" + data[other + 1 :]) is None
    )  # another instance than the meta information's


def test_nested_uids_are_not_those_of_the_file() -> None:
    other = Dataset()
    other.StudyInstanceUID, other.SOPInstanceUID = "1.2.3.4", "1.2.3.4.5"
    other.PatientName = f"{CANARY}^Other"
    data = dicom(7, 3, StudiesContainingOtherReferencedInstancesSequence=[other], PatientName="")
    found = header.read(data)
    assert (found.identity.study, found.identity.instance) == (STUDY, INSTANCE)
    assert header.identify(data) in (None, found.identity)
    assert NAME in found.present


def test_blank_values_are_not_populated() -> None:
    found = header.read(dicom(7, 3, PatientName="", PatientID="   ", PersonIdentificationCodeSequence=[Dataset()]))
    assert not {NAME, 0x00100020, 0x00401101} & found.present


def test_private_elements_are_counted_and_their_blocks_are_not() -> None:
    extra = Dataset()
    block = extra.private_block(0x0029, "MADE UP", create=True)
    block.add_new(1, "LO", CANARY)
    block.add_new(2, "LO", "")
    made = dicom(7, 3)
    private = b"\x29\0\x10\0LO\x08\0MADE UP " + b"\x29\0\x01\x10LO\x04\0abcd" + b"\x29\0\x02\x10LO\0\0"
    place = made.index(b"\x40\0\x01\x11SQ")
    found = header.read(made[:place] + private + made[place:])
    assert (found.private, found.private_groups) == (1, 1)


def test_what_the_header_says_of_itself() -> None:
    assert header.read(dicom(7, 3, BurnedInAnnotation="YES")).burned_in is True
    assert header.read(dicom(7, 3, BurnedInAnnotation="NO")).burned_in is False
    assert header.read(dicom(7, 3)).burned_in is None
    assert header.read(dicom(7, 3, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")).is_document
    assert header.read(dicom(7, 3, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")).is_report
    titled = bytearray(dicom(7, 3))
    place = titled.index(b"\x02\0\x10\0UI")
    after = place + 8 + int.from_bytes(titled[place + 6 : place + 8], "little")
    titled[after:after] = b"\x02\0\x16\0AE\x06\0CANARY"
    assert header.read(bytes(titled)).titles


# -- hostile -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_a_hundred_thousand_nested_sequences_end(explicit: bool, undefined: bool) -> None:
    length = b"\xff\xff\xff\xff" if undefined else b"\0\xff\0\0"
    sequence = b"\x08\0\x15\x11" + (b"SQ\0\0" if explicit else b"") + length + b"\xfe\xff\x00\xe0" + length
    data = meta() + sequence * 100_000
    start = time.monotonic()
    found = header.read(data)
    assert found.ending in (Ending.LIMIT, Ending.BROKEN)
    assert time.monotonic() - start < 1


def test_a_deflate_bomb_is_left() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    element = b"\x10\0\x10\0PN\x02\0x " * 10
    bomb = packer.compress(element + b"\x11\0\0\0" * 25_000_000) + packer.flush()
    found = header.read(meta(header.DEFLATED) + bomb)
    assert found.ending is not Ending.WHOLE
    assert found.present <= {NAME}


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 0x80000000])
def test_absurd_lengths_are_not_believed(length: int) -> None:
    found = header.read(meta() + b"\x08\0\x40\x11UN\0\0" + struct.pack("<I", length) + b"abc")
    assert found.ending in (Ending.CUT, Ending.BROKEN)
    assert found.needs == 0 or found.needs > header.MOST


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 132, b"\x89PNG\r\n\x1a\n" + b"\0" * 300, b"\x08\0", b"\x08\0\x05\0CS\x02\0ab", b"\x7fELF" * 100],
)
def test_what_is_no_dicom_file_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(WireError):
        header.read(data)


_FRAGMENTS = st.sampled_from(
    [
        *(b"\x08\0\x16\0UI\x04\x001.2\0", b"\x20\0\x0d\0UI\x04\x001.2\0", b"\x40\0\x01\x11SQ\0\0\xff\xff\xff\xff"),
        *(b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"),
        *(b"\x10\0\x10\0PN\x04\0abcd", b"\x10\0\x10\0\x04\0\0\0abcd", b"\x09\0\x10\x10UN\0\0\x08\0\0\0"),
        b"\xe0\x7f\x10\0OW\0\0\xff\xff\xff\xff",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(_FRAGMENTS, st.binary(max_size=20)), max_size=30).map(b"".join),
    st.sampled_from([b"", meta(), meta(header.IMPLICIT), meta(header.BIG), meta(header.DEFLATED)]),
    st.booleans(),
)
def test_any_bytes_give_a_header_or_the_one_error(body: bytes, before: bytes, whole: bool) -> None:
    header.identify(before + body)
    try:
        found = header.read(before + body, whole=whole)
    except WireError:
        return
    assert found.present <= set(wanted().values())
    assert (found.needs > len(before + body)) == (found.ending is Ending.CUT)
    assert not (whole and found.ending is Ending.CUT and before != meta(header.DEFLATED))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(_FRAGMENTS, st.binary(max_size=20)), max_size=30).map(b"".join),
    st.sampled_from([meta(), meta(header.IMPLICIT), meta(header.BIG)]),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_pieces_change_nothing(body: bytes, before: bytes, cuts: list[int]) -> None:
    data = before + body + b"\0" * 8
    reader = header.Reader()
    for cut in sorted(cuts):
        found = reader.read(data[: len(before) + 8 + cut])
        if found.ending is not Ending.CUT:
            break
    else:
        assert repr_of(reader.read(data, whole=True)) == repr_of(header.read(data, whole=True))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_a_file_with_bytes_changed_gives_a_header_or_the_one_error(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    data = bytearray(dicom(7, 3, syntax=chance.choice(SYNTAXES)))
    for _ in range(changes):
        data[chance.randrange(len(data))] = chance.randrange(256)
    header.identify(bytes(data))
    with contextlib.suppress(WireError):
        header.read(bytes(data), whole=chance.random() < 0.5)


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_attributes_are_those_of_the_dictionary() -> None:
    assert len(attributes()) > 550
    for tag, attribute in attributes().items():
        if tag >> 16 != 0x6000:
            assert dictionary_has_tag(tag)
            assert keyword_for_tag(tag) == attribute.keyword
        assert attribute.group in GROUPS
        assert groups()[attribute.keyword]


def test_overlays_of_every_group_count_as_one() -> None:
    assert wanted()[0x601E4000] == wanted()[0x60004000] == 0x60004000


def test_a_header_that_lies_in_the_pixels_is_none() -> None:
    data = dicom(7, 3)
    place = data.index(b"\x08\0\x16\0UI")
    hidden = data[:place] + b"\xe0\x7f\x10\0OW\0\0\xff\xff\0\0" + data[place:]
    assert header.identify(data) is not None
    assert header.identify(hidden) is None
    assert header.read(hidden).identity.study == b""
