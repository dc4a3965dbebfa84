"""The identifiers of our queries: minimal keys, implicit VR little endian (PS3.4 Annex C.4.1.1 and K.4).

Counting keys are not "PHI-free": UIDs and dates identify. They are the fewest with which a server can be counted.
"""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass

from leadapron.protocols.dicom.wire import elements

_STUDY_DATE, _ACCESSION, _LEVEL, _MODALITY, _MODALITIES = 0x00080020, 0x00080050, 0x00080052, 0x00080060, 0x00080061
_PATIENT_ID = 0x00100020
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
_PATIENT_STUDIES, _PATIENT_SERIES, _PATIENT_IMAGES = 0x00201200, 0x00201202, 0x00201204
_STUDY_SERIES, _STUDY_IMAGES, _SERIES_IMAGES = 0x00201206, 0x00201208, 0x00201209
_STEP_SEQUENCE, _STEP_STATION, _STEP_DATE = 0x00400100, 0x00400001, 0x00400002


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Part of the studies: a range of study dates (both included), and a prefix of the accession number."""

    first: dt.date
    last: dt.date
    accession: str = ""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def halves(self) -> tuple[Narrowing, Narrowing]:
        """The earlier and the later half of more than one day."""
        middle = self.first + dt.timedelta(days=self.days // 2 - 1)
        return (
            Narrowing(first=self.first, last=middle, accession=self.accession),
            Narrowing(first=middle + dt.timedelta(days=1), last=self.last, accession=self.accession),
        )

    def date_range(self) -> bytes:
        """Range matching (PS3.4 C.2.2.2.5); one day is a single value."""
        if self.first == self.last:
            return f"{self.first:%Y%m%d}".encode()
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}".encode()


def studies(narrowing: Narrowing | None = None) -> bytes:
    """STUDY level: the unique key, date, modalities and the two numbers; universal unless narrowed."""
    keys = {_STUDY: b"", _STUDY_DATE: b"", _MODALITIES: b"", _STUDY_SERIES: b"", _STUDY_IMAGES: b""}
    if narrowing is not None:
        keys[_STUDY_DATE] = narrowing.date_range()
        if narrowing.accession:
            keys[_ACCESSION] = f"{narrowing.accession}*".encode()
    return elements.encode([(_LEVEL, b"STUDY"), *keys.items()])


def patients() -> bytes:
    """PATIENT level of the Patient Root: the unique key and the three numbers."""
    keys = (_PATIENT_ID, _PATIENT_STUDIES, _PATIENT_SERIES, _PATIENT_IMAGES)
    return elements.encode([(_LEVEL, b"PATIENT"), *((key, b"") for key in keys)])


def series(study: bytes) -> bytes:
    """SERIES level of one study."""
    return elements.encode([(_LEVEL, b"SERIES"), (_STUDY, study), (_SERIES, b""), (_SERIES_IMAGES, b"")])


def images(study: bytes, series_uid: bytes) -> bytes:
    """IMAGE level of one series."""
    return elements.encode([(_LEVEL, b"IMAGE"), (_STUDY, study), (_SERIES, series_uid), (_INSTANCE, b"")])


def worklist() -> bytes:
    """Modality Worklist: every scheduled procedure step, described by station, date and modality only."""
    step = elements.encode([(_MODALITY, b""), (_STEP_STATION, b""), (_STEP_DATE, b"")])
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(step)) + step
    return elements.encode([(_STEP_SEQUENCE, item)])
