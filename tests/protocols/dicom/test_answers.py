"""The fast reader of C-FIND answers: equal to a naive count, however the bytes come; hostile answers are bounded."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.dicom import answers, tally
from leadapron.protocols.dicom.answers import Answers, End
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.pdu import PDV, Abort, PDataTF

STUDY_UID, SERIES, IMAGES = 0x0020000D, 0x00201206, 0x00201208

record = st.tuples(
    st.integers(1, 30),
    st.none() | st.integers(0, 9999) | st.sampled_from((-1, 10**12, 1_000_001)),
    st.binary(max_size=12),
)


def command(status: int, has_data_set: bool) -> bytes:
    request = dimse.find_request(1, uids.STUDY_ROOT_FIND)
    return dimse.response(request, status, has_data_set=has_data_set).encode()


def identifier(number: int, images: int | None, other: bytes) -> bytes:
    fields = [(0x00080061, other), (STUDY_UID, f"2.25.{number}".encode())]
    if images is not None:
        fields += [(SERIES, b"1"), (IMAGES, str(images).encode())]
    return elements.encode(fields)


def fragments(data: bytes, is_command: bool, chance: random.Random, whole: bool) -> list[PDV]:
    step = len(data) if whole else chance.randint(1, max(1, len(data)))
    places = range(0, max(1, len(data)), max(1, step))
    return [
        PDV(context_id=3, is_command=is_command, is_last=place == places[-1], data=data[place : place + step])
        for place in places
    ]


def stream(records: list[tuple[int, int | None, bytes]], final: int, seed: int, *, whole: bool = False) -> bytes:
    """The PDUs of the answers and the final status, fragmented and packed at random."""
    chance = random.Random(seed)
    values: list[PDV] = []
    for each in records:
        values += fragments(command(0xFF00, True), True, chance, whole)
        values += fragments(identifier(*each), False, chance, whole)
    values += fragments(command(final, False), True, chance, whole)
    pdus, place = [], 0
    while place < len(values):
        count = 1 if whole else chance.randint(1, 4)
        pdus.append(PDataTF(values=tuple(values[place : place + count])).encode())
        place += count
    return b"".join(pdus)


def reader(**options: object) -> Answers:
    return Answers(context_id=3, message_id=1, level=answers.STUDY, **options)  # type: ignore[arg-type]


@given(st.lists(record, max_size=12), st.integers(0, 2**32), st.integers(1, 400), st.booleans())
def test_however_the_bytes_come_the_count_is_the_naive_one(
    records: list[tuple[int, int | None, bytes]], seed: int, step: int, whole: bool
) -> None:
    raw = stream(records, 0, seed, whole=whole) + b"rest"
    counted = reader()

    for place in range(0, len(raw), step):
        if counted.end is None:
            counted.receive(raw[place : place + step])

    assert counted.end is End.FINAL
    assert counted.status == 0
    assert counted.answers == len(records)
    sums = tally.distinct(counted.tally)
    believable = {number: -1 for number, _, _ in records}
    for number, images, _ in records:
        if images is not None and 0 <= images <= answers.MAX_CLAIM:
            believable[number] = max(believable[number], images)
    assert sums.records == len(believable)
    assert sums.images == sum(images for images in believable.values() if images >= 0)
    assert sums.images_missing == sum(images < 0 for images in believable.values())


@given(st.lists(record, min_size=1, max_size=8), st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_a_count_or_the_one_error(
    records: list[tuple[int, int | None, bytes]], place: int, value: int
) -> None:
    raw = bytearray(stream(records, 0, 1, whole=True))
    raw[place % len(raw)] = value
    try:
        reader().receive(bytes(raw))
    except WireError as error:
        assert error.rule


@given(st.binary(max_size=400))
def test_any_bytes_give_a_count_or_the_one_error(data: bytes) -> None:
    try:
        reader().receive(b"\x04" + data)
    except WireError as error:
        assert error.rule


def test_a_value_that_holds_the_tag_of_the_unique_key_does_not_mislead() -> None:
    trap = b"\x20\x00\x0d\x00\x04\x00\x00\x00"
    counted = reader()
    counted.receive(stream([(1, 5, trap), (2, 6, trap)], 0, 1, whole=True))
    assert tally.distinct(counted.tally).records == 2
    assert tally.distinct(counted.tally).images == 11


def test_claims_that_no_archive_has_are_counted_as_bad() -> None:
    counted = reader()
    counted.receive(stream([(1, -5, b""), (2, 10**12, b""), (3, 7, b"")], 0, 1, whole=True))
    assert counted.tally.bad_claims == 2
    assert tally.distinct(counted.tally).images == 7


def test_an_abort_behind_answers_is_left_for_the_association() -> None:
    counted = reader()
    raw = stream([(1, 1, b"")], 0xFF00, 1, whole=True)
    with pytest.raises(WireError):
        counted.receive(raw)
    counted = reader()
    first = stream([(1, 1, b"")], 0, 1, whole=True)
    ending = PDataTF(values=(PDV(context_id=3, is_command=True, is_last=True, data=command(0, False)),)).encode()
    counted.receive(first.removesuffix(ending) + Abort().encode())
    assert counted.end is End.FOREIGN
    assert counted.rest == Abort().encode()


def test_the_same_record_for_ever_is_noticed() -> None:
    counted = reader()
    one = stream([(1, 1, b"")] * answers.LOOP_WINDOW, 0, 1, whole=True)
    counted.receive(one)
    assert counted.tally.looping


@pytest.mark.parametrize(("context", "message"), [(5, 1), (3, 2)], ids=["another context", "another message"])
def test_what_does_not_answer_our_query_is_an_error(context: int, message: int) -> None:
    raw = dimse.response(dimse.find_request(message, uids.STUDY_ROOT_FIND), 0).encode()
    value = PDV(context_id=context, is_command=True, is_last=True, data=raw)
    with pytest.raises(WireError):
        reader().receive(PDataTF(values=(value,)).encode())


MILLION = """
import re, sys
sys.path.insert(0, sys.argv[1])
from test_answers import identifier, reader, command
from leadapron.protocols.dicom import tally
from leadapron.protocols.dicom.wire.pdu import PDV, PDataTF
def pdu(data, is_command):
    return PDataTF(values=(PDV(context_id=3, is_command=is_command, is_last=True, data=data),)).encode()
pending = pdu(command(0xFF00, True), True)
template = pdu(identifier(1_000_000, 17, b""), False)
counted = reader()
for start in range(0, 1_000_000, 1000):
    chunk = b"".join(pending + template.replace(b"2.25.1000000", b"2.25.%07d" % (start + i)) for i in range(1000))
    counted.receive(chunk)
sums = tally.distinct(counted.tally)
# the peak of this program: ru_maxrss would also know that of the process which started it
print(sums.records, sums.images, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.timeout(120)
def test_a_million_studies_are_counted_in_under_200_megabytes() -> None:
    folder = __file__.rpartition("/")[0]
    result = subprocess.run(
        [sys.executable, "-c", MILLION, folder], check=True, capture_output=True, text=True, timeout=110
    )
    records, images, kilobytes = map(int, result.stdout.split())
    assert (records, images) == (1_000_000, 17_000_000)
    assert kilobytes < 200_000
