"""What servers answer, as numbers: DICOM JSON (PS3.18 Annex F), and the JSON of Orthanc's own routes. Values do not leave.

A UID of a study leaves as a row, to be hashed where it is counted. Every reader takes any bytes, and gives a result or
`WireError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from leadapron.errors import WireError
from leadapron.model import Token
from leadapron.protocols.dicom.answers import MAX_CLAIM
from leadapron.protocols.versions import stated_version

STUDY_UID, STUDY_SERIES, STUDY_IMAGES = "0020000D", "00201206", "00201208"

_UID = re.compile(r"[0-9.]{1,64}")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_TITLE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,15}")
_MAX_TOTAL = 1 << 40


class Row(NamedTuple):
    """One study: its UID, and what the server claims of it; -1 where it claims nothing believable."""

    uid: bytes
    images: int = -1
    series: int = -1


class Totals(NamedTuple):
    """Of Orthanc's `/statistics`."""

    patients: int
    studies: int
    series: int
    images: int


def parsed(body: bytes) -> Any:
    """Raises WireError."""
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None


def is_dicom_json(body: bytes) -> bool:
    """Whether it is a list of data sets: at least one, or an empty list."""
    try:
        rows = parsed(body)
    except WireError:
        return False
    return isinstance(rows, list) and all(map(_is_data_set, rows[:10]))


def _is_data_set(row: object) -> bool:
    return (
        isinstance(row, dict)
        and bool(row)
        and all(_TAG.fullmatch(tag) and isinstance(value, dict) and "vr" in value for tag, value in row.items())
    )


def studies(body: bytes) -> tuple[list[Row], int]:
    """The studies of a QIDO-RS answer (PS3.18 section 10.6), and how many of its data sets name none. Raises WireError."""
    rows = parsed(body)
    if not isinstance(rows, list):
        raise WireError("no list of data sets")
    found: list[Row] = []
    for row in rows:
        if not isinstance(row, dict):
            raise WireError("no data set")
        uid = _first(row, STUDY_UID)
        if isinstance(uid, str) and _UID.fullmatch(uid.strip()):
            claims = (_claim(_first(row, tag)) for tag in (STUDY_IMAGES, STUDY_SERIES))
            found.append(Row(uid.strip().encode(), *claims))
    return found, len(rows) - len(found)


def orthanc_studies(body: bytes) -> tuple[list[Row], int]:
    """The studies of Orthanc's `/studies?expand`. Raises WireError."""
    rows = parsed(body)
    if not isinstance(rows, list):
        raise WireError("no list of studies")
    found: list[Row] = []
    for row in rows:
        tags = row.get("MainDicomTags") if isinstance(row, dict) else None
        uid = tags.get("StudyInstanceUID") if isinstance(tags, dict) else None
        if isinstance(uid, str) and _UID.fullmatch(uid.strip()):
            asked, series = row.get("RequestedTags"), row.get("Series")
            images = asked.get("NumberOfStudyRelatedInstances") if isinstance(asked, dict) else None
            found.append(Row(uid.strip().encode(), _claim(images), len(series) if isinstance(series, list) else -1))
    return found, len(rows) - len(found)


def _first(row: Mapping[str, Any], tag: str) -> object:
    """The first value of an element; None where it is empty, or not there."""
    element = row.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _claim(value: object) -> int:
    """A number of related objects, as DICOM JSON's integer or string; -1 for none, and for an absurd one."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 16:
        value = int(value)
    is_sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CLAIM
    return value if is_sound and isinstance(value, int) else -1


def total(body: bytes) -> int | None:
    """The number of dcm4chee-arc's `/studies/count`, `{"count": 12}`; None for anything else."""
    try:
        found = parsed(body)
    except WireError:
        return None
    return _total(found.get("count")) if isinstance(found, dict) else None


def _total(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_TOTAL else None


def statistics(body: bytes) -> Totals | None:
    """None for what is no `/statistics` of Orthanc."""
    try:
        found = parsed(body)
    except WireError:
        return None
    if not isinstance(found, dict):
        return None
    numbers = [_total(found.get(f"Count{level}")) for level in ("Patients", "Studies", "Series", "Instances")]
    return None if None in numbers else Totals(*(number for number in numbers if number is not None))


def orthanc_version(body: bytes) -> str | None:
    """The version that Orthanc's `/system` states, "" for one that is no version; None for what is no `/system`."""
    try:
        found = parsed(body)
    except WireError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("ApiVersion"), int) or "DicomAet" not in found:
        return None
    return stated_version(found.get("Version"))


def archive_titles(body: bytes, most: int) -> tuple[Token, ...] | None:
    """The AE titles of dcm4chee-arc's `/aets`, those that are titles of a system and nothing else; None for what is none."""
    try:
        found = parsed(body)
    except WireError:
        return None
    if not isinstance(found, list) or not all(isinstance(each, dict) and "dicomAETitle" in each for each in found):
        return None
    titles = (each["dicomAETitle"] for each in found[:256])
    sound = [Token(title) for title in titles if isinstance(title, str) and _TITLE.fullmatch(title)]
    return tuple(dict.fromkeys(sound))[:most] if found else None


Record = Callable[[int, str], bytes]
"""The value of an element, by its tag and its keyword (PS3.6): the bytes of the first one, b"" where there is none."""


def records(body: bytes) -> list[Record]:
    """The data sets of a QIDO-RS answer. Raises WireError."""
    return [partial(_qido_value, row) for row in _objects(body)]


def orthanc_records(body: bytes) -> list[Record]:
    """Those of Orthanc's `/studies?expand`, whose tags go by their keywords. Raises WireError."""
    return [partial(_orthanc_value, row) for row in _objects(body)]


def _objects(body: bytes) -> list[dict[str, Any]]:
    rows = parsed(body)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WireError("no list of data sets")
    return rows


def _qido_value(row: Mapping[str, Any], tag: int, _keyword: str) -> bytes:
    value = _first(row, f"{tag:08X}")
    if isinstance(value, dict):  # PN (PS3.18 section F.2.2)
        value = next((part for part in value.values() if isinstance(part, str) and part), "")
    return _bytes(value)


def _orthanc_value(row: Mapping[str, Any], _tag: int, keyword: str) -> bytes:
    parts = (row.get(name) for name in ("MainDicomTags", "PatientMainDicomTags"))
    return next((_bytes(part[keyword]) for part in parts if isinstance(part, dict) and keyword in part), b"")


def _bytes(value: object) -> bytes:
    return str(value)[:1024].encode() if isinstance(value, str | int | float) else b""
