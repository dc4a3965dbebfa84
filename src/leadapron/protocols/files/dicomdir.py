"""What a DICOMDIR says of the files beside it, without opening them (PS3.3 Annex F, PS3.10 section 8.6).

Its directory records are items of one sequence, in explicit VR little endian. Patients' names lie there too, and are passed
over. What it says is a claim: of files that may be elsewhere, or nowhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.protocols.dicom.wire import elements
from leadapron.protocols.shown import NOT_CLAIMED

MOST = 8 << 20
"""Bytes that are read of one."""
MAX_RECORDS = 200_000

_SEQUENCE = b"\x04\0\x20\x12SQ\0\0"  # DirectoryRecordSequence (0004,1220)
_LOWER, _TYPE, _INSTANCE, _STUDY = 0x00041420, 0x00041430, 0x00041511, 0x0020000D
_BLANK = b" \0"
_MAX_UID = 64


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Directory:
    """Without a `repr`: it holds raw UIDs."""

    patients: int = 0
    series: int = 0
    studies: tuple[tuple[bytes, int], ...] = ()
    """UID and files of each, `NOT_CLAIMED` where the records do not lie in the order of their tree"""
    instances: tuple[bytes, ...] = ()
    """UIDs of all files that are referred to"""
    is_whole: bool = True
    """to the last record; else there are at least so many"""


@dataclass(slots=True)
class _Reading:
    """What was read so far."""

    patients: int = 0
    series: int = 0
    studies: list[tuple[bytes, int]] = field(default_factory=list)
    instances: list[bytes] = field(default_factory=list)
    is_in_order: bool = True
    expects: int = -1
    """where the first record below the last study has to begin"""


def read(data: bytes) -> Directory:
    """`data`: of the file from its first byte, perhaps not to its last. Raises WireError for what is no DICOMDIR."""
    place = data.find(_SEQUENCE, 128)
    if data[128:132] != b"DICM" or place < 0 or len(data) - place < 12:
        raise WireError("no DICOMDIR")
    reading, is_whole = _Reading(), False
    try:
        records = _records(data, place + 12, _length(data, place + 8))
        for start, values in itertools.islice(records, MAX_RECORDS):
            _take(reading, start, values)
        is_whole = next(records, None) is None
    except WireError:
        is_whole = False  # cut, or broken: the records before stand
    return Directory(
        patients=reading.patients,
        series=reading.series,
        studies=tuple(
            (uid, files if reading.is_in_order and is_whole else NOT_CLAIMED) for uid, files in reading.studies
        ),
        instances=tuple(reading.instances),
        is_whole=is_whole,
    )


def _length(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _records(data: bytes, place: int, length: int) -> Iterator[tuple[int, dict[int, bytes]]]:
    """The place of each record, and what is wanted of it. Raises WireError where the sequence is cut or broken."""
    end = len(data) if length == elements.UNDEFINED else place + length
    while place < end or length == elements.UNDEFINED:
        head = data[place : place + 8]
        if len(head) < 8:
            raise WireError("directory records cut short")
        if head[:4] == b"\xfe\xff\xdd\xe0":
            return
        if head[:4] != b"\xfe\xff\x00\xe0":
            raise WireError("a sequence holds something that is no item")
        inner, values = _length(data, place + 4), {}
        stop = len(data) if inner == elements.UNDEFINED else place + 8 + inner
        if stop > len(data):
            raise WireError("directory records cut short")
        start, after = place, stop
        for tag, first, last in elements.walk(data, explicit=True, start=place + 8, end=stop):
            if tag == elements.ITEM_END and inner == elements.UNDEFINED:
                after = last
                break
            if tag in (_LOWER, _TYPE, _INSTANCE, _STUDY):
                values[tag] = (
                    data[first : min(last, first + _MAX_UID)].strip(_BLANK) if tag != _LOWER else data[first:last]
                )
        place = after
        yield start, values


def _take(reading: _Reading, start: int, values: dict[int, bytes]) -> None:
    kind, studies = values.get(_TYPE, b""), reading.studies
    if reading.expects >= 0:
        reading.is_in_order = reading.is_in_order and reading.expects == start
        reading.expects = -1
    if kind == b"PATIENT":
        reading.patients += 1
    elif kind == b"SERIES":
        reading.series += 1
    elif kind == b"STUDY":
        studies.append((values.get(_STUDY, b""), 0))
        lower = int.from_bytes(values.get(_LOWER, b"")[:4], "little")
        reading.expects = lower or -1
    if instance := values.get(_INSTANCE, b""):
        reading.instances.append(instance)
        if studies:
            uid, files = studies[-1]
            studies[-1] = (uid, files + 1)
