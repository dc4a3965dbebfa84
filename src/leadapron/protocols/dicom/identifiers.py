"""The identifiers of our queries: minimal keys, implicit VR little endian (PS3.4 Annex C.4.1.1 and K.4).

Counting keys are not "PHI-free": UIDs and dates identify. They are the fewest with which a server can be counted.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

from leadapron.protocols.dicom.wire import elements

_STUDY_DATE, _STUDY_TIME = 0x00080020, 0x00080030
_ACCESSION, _LEVEL, _MODALITY, _MODALITIES = 0x00080050, 0x00080052, 0x00080060, 0x00080061
_PATIENT_ID = 0x00100020
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
_PATIENT_STUDIES, _PATIENT_SERIES, _PATIENT_IMAGES = 0x00201200, 0x00201202, 0x00201204
_STUDY_SERIES, _STUDY_IMAGES, _SERIES_IMAGES = 0x00201206, 0x00201208, 0x00201209
_STEP_SEQUENCE, _STEP_STATION, _STEP_DATE = 0x00400100, 0x00400001, 0x00400002


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Part of the studies: a range of study dates (both included), of one day some hours, and an accession prefix."""

    first: dt.date
    last: dt.date
    from_hour: int = 0
    to_hour: int = 24
    """the hour at whose beginning it ends"""
    accession: str = ""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def hours(self) -> int:
        return self.to_hour - self.from_hour

    def halves(self) -> tuple[Narrowing, Narrowing]:
        """The earlier and the later half of more than one day, or of more than one hour of a day."""
        if self.days > 1:
            middle = self.first + dt.timedelta(days=self.days // 2 - 1)
            return replace(self, last=middle), replace(self, first=middle + dt.timedelta(days=1))
        noon = self.from_hour + self.hours // 2
        return replace(self, to_hour=noon), replace(self, from_hour=noon)

    def date_range(self) -> bytes:
        """Range matching (PS3.4 C.2.2.2.5); one day is a single value."""
        if self.first == self.last:
            return f"{self.first:%Y%m%d}".encode()
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}".encode()

    def time_range(self) -> bytes:
        """Range matching of whole hours; b"" for the whole day. Both ends are included (PS3.4 C.2.2.2.5), so that a
        study on the stroke of the hour is in two pieces, and none with a fraction of a second falls between them."""
        if self.hours == 24:
            return b""
        end = f"{self.to_hour:02}0000" if self.to_hour < 24 else ""
        return f"{self.from_hour:02}0000-{end}".encode()


def studies(narrowing: Narrowing | None = None) -> bytes:
    """STUDY level: the unique key, date, modalities and the two numbers; universal unless narrowed."""
    keys = {_STUDY: b"", _STUDY_DATE: b"", _MODALITIES: b"", _STUDY_SERIES: b"", _STUDY_IMAGES: b""}
    if narrowing is not None:
        keys[_STUDY_DATE] = narrowing.date_range()
        if time_range := narrowing.time_range():
            keys[_STUDY_TIME] = time_range
        if narrowing.accession:
            keys[_ACCESSION] = f"{narrowing.accession}*".encode()
    return elements.encode([(_LEVEL, b"STUDY"), *keys.items()])


def census(level: bytes, study_uids: bytes, attributes: Iterable[int]) -> bytes:
    """The attributes of a census, universal, of studies by a list of their UIDs; b"" for all of them."""
    keys = dict.fromkeys(attributes, b"")
    keys.pop(_STUDY, None)
    unique = {_STUDY: study_uids} if level == b"STUDY" else {}
    return elements.encode([(_LEVEL, level), *{**keys, **unique}.items()])


def patients(unique: bytes = b"") -> bytes:
    """PATIENT level of the Patient Root: the unique key and the three numbers. `unique` `*` matches everyone too."""
    numbers = (_PATIENT_STUDIES, _PATIENT_SERIES, _PATIENT_IMAGES)
    return elements.encode([(_LEVEL, b"PATIENT"), (_PATIENT_ID, unique), *((key, b"") for key in numbers)])


def series(study: bytes) -> bytes:
    """SERIES level of one study."""
    return elements.encode([(_LEVEL, b"SERIES"), (_STUDY, study), (_SERIES, b""), (_SERIES_IMAGES, b"")])


def images(study: bytes, series_uid: bytes) -> bytes:
    """IMAGE level of one series."""
    return elements.encode([(_LEVEL, b"IMAGE"), (_STUDY, study), (_SERIES, series_uid), (_INSTANCE, b"")])


def worklist(dates: bytes = b"") -> bytes:
    """Modality Worklist: every scheduled procedure step, of a range of `dates` where one is given, described by station,
    date and modality only."""
    step = elements.encode([(_MODALITY, b""), (_STEP_STATION, b""), (_STEP_DATE, dates)])
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(step)) + step
    return elements.encode([(_STEP_SEQUENCE, item)])
