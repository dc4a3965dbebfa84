"""The header of a DICOM file, from its first bytes: which file it is, and which attributes are populated at any depth.

Two ways. `identify` finds the UIDs with `bytes.find`, and says None wherever it is not sure. `read` walks: explicit and
implicit VR, both byte orders, deflated, with or without preamble and file meta information (PS3.10 section 7.1, PS3.5
sections 6 and 7, Annex A). Neither looks at anything at or behind pixel data (7FE0,xxxx).

UIDs and the values by which genuineness is judged are raw, in memory, for as long as a job lasts.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.dicom.signs import TAGS as TELLING
from leadapron.protocols.files import elements
from leadapron.protocols.files.elements import BLANK, LONG, SHORT, UNDEFINED, Coding, Ending, Seen

FIRST = 4096
"""Bytes of the first read."""
MOST = 64 << 10
"""Bytes of a header at most: what lies behind is not looked at."""
MAX_INFLATED = 256 << 10
"""Bytes of an inflated header."""

SYNTAX, SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00020010, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
MEDIA_CLASS, MEDIA_INSTANCE = 0x00020002, 0x00020003
TITLES = frozenset((0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028))
"""Application entities and presentation addresses in the file meta information (PS3.10 Table 7.1-1)."""
BURNED_IN = 0x00280301

IMPLICIT, DEFLATED, BIG = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
DEFLATED_ALSO = frozenset((DEFLATED, b"1.2.840.10008.1.2.4.95", b"1.2.840.10008.1.2.4.205"))
"""With JPIP's (PS3.5 sections A.5, A.7)."""
_OTHERWISE = DEFLATED_ALSO | {BIG}
"""In which nothing lies as `identify` looks for it."""
DIRECTORY = b"1.2.840.10008.1.3.10"
DOCUMENT, REPORT = b"1.2.840.10008.5.1.4.1.1.104.", b"1.2.840.10008.5.1.4.1.1.88."
"""Roots of the SOP classes of encapsulated documents, and of structured reports (PS3.4 Annex B.5)."""

_PIXEL_GROUP = b"\xe0\x7f"
_VALUE = rb"([0-9.]+)\0?)"
_UI, _UI_IMPLICIT = rb"(UI[\2-\x40]\0" + _VALUE, rb"([\2-\x40]\0\0\0" + _VALUE
_META = re.compile(
    rb"DICM(?:\x02\0\0\0UL\x04\0.{4})?(?:\x02\0\x01\0OB\0\0\x02\0\0\0..)?"
    rb"\x02\0\x02\0" + _UI + rb"\x02\0\x03\0" + _UI + rb"\x02\0\x10\0" + _UI,
    re.DOTALL,
)
"""As most write it: SOP class, SOP instance, transfer syntax; of each what is behind the tag, and the UID."""
_STUDY, _STUDY_IMPLICIT = (
    re.compile(rb"\x20\0\x0d\0" + each + rb"\x20\0\x0e\0" + each) for each in (_UI, _UI_IMPLICIT)
)
_VRS = SHORT | LONG
_UID = re.compile(rb"[0-9.]+")
_KEPT = frozenset((SYNTAX, SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, MEDIA_CLASS, MEDIA_INSTANCE, BURNED_IN, *TELLING))
_FIRST_GROUPS = frozenset((0x0002, 0x0004, 0x0008, 0x0010))
"""With which a file may begin that has no preamble."""


class Identity(NamedTuple):
    """Raw UIDs, without padding; b"" where there is none."""

    syntax: bytes
    sop_class: bytes
    instance: bytes
    study: bytes
    series: bytes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Header:
    """Without a `repr`: it holds raw values."""

    ending: Ending
    identity: Identity
    present: frozenset[int]
    """tags of `attributes()` that are populated, at any depth"""
    private: int = 0
    """private elements that are populated, at any depth"""
    private_groups: int = 0
    """different odd groups"""
    titles: bool = False
    """the file meta information names application entities or addresses"""
    burned_in: bool | None = None
    """BurnedInAnnotation; None: it does not say"""
    values: Mapping[int, bytes] = field(default_factory=dict)
    """what `Signs.take` reads"""
    needs: int = 0
    """where CUT: how many bytes of the file, from its start, are the least that lead further"""

    @property
    def is_document(self) -> bool:
        return self.identity.sop_class.startswith(DOCUMENT)

    @property
    def is_report(self) -> bool:
        return self.identity.sop_class.startswith(REPORT)


# -- the fast way -----------------------------------------------------------------------------------------------------


def identify(data: bytes) -> Identity | None:
    """The UIDs of a file with preamble, where they are where they ought to be; None: `read` has to look."""
    meta = _usual_meta(data)
    if meta is None:
        return None
    class_, sop_class, instance_, instance, _, syntax = meta.groups()
    if syntax in _OTHERWISE:
        return None
    # The class is followed at once by the instance, both as in the meta information, and the study by the series, nowhere
    # but at the top level.
    if syntax == IMPLICIT:
        pair = b"\x08\0\x16\0%b\0\0%b\x08\0\x18\0%b\0\0%b" % (class_[2:4], class_[4:], instance_[2:4], instance_[4:])
        study, studies, at = b"\x20\0\x0d\0", _STUDY_IMPLICIT, 0
    else:
        pair = b"\x08\0\x16\0%b\x08\0\x18\0%b" % (class_, instance_)
        study, studies, at = b"\x20\0\x0d\0UI", _STUDY, 2
    end = meta.end()
    place = data.find(pair, end)
    while place >= 0 and (place := data.find(study, place + 4)) >= 0:
        found = studies.match(data, place)
        if found is None:
            continue
        study_, study_uid, series_, series_uid = found.groups()
        if study_[at] + 4 == len(study_) and series_[at] + 4 == len(series_):
            may_be_pixels = data.find(b"\x7f", end, place) >= 0 and data.find(_PIXEL_GROUP, end, place) >= 0
            return None if may_be_pixels else Identity(syntax, sop_class, instance, study_uid, series_uid)
    return None


def _usual_meta(data: bytes) -> re.Match[bytes] | None:
    """`_META`, where each length is that of what follows."""
    meta = _META.match(data, 128)
    if meta is None:
        return None
    class_, instance, syntax = meta.group(1, 3, 5)
    fits = class_[2] + 4 == len(class_) and instance[2] + 4 == len(instance) and syntax[2] + 4 == len(syntax)
    return meta if fits else None


# -- the strict way ---------------------------------------------------------------------------------------------------


def read(data: bytes, *, whole: bool = False) -> Header:
    """`data`: the file from its first byte on; `whole`: to its last. Raises WireError for what is no DICOM file."""
    return Reader().read(data, whole=whole)


class Reader:
    """Of one file, which may come in pieces: what was walked is not walked again."""

    __slots__ = ("_seen", "_titles", "_walk")

    def __init__(self) -> None:
        self._seen, self._titles = Seen(), False
        self._walk: elements.Walk | None = None
        """of a data set that was cut, and goes on"""

    def read(self, data: bytes, *, whole: bool = False) -> Header:
        """`data`: the file from its first byte on, each time with more behind; `whole`: to its last. Raises WireError for
        what is no DICOM file."""
        if self._walk is not None:
            stopped = self._walk.send(data)
            if stopped[1] is not Ending.CUT:
                self._walk = None
            ending, needs = _ended(stopped, len(data), whole=whole)
        else:
            ending, needs = self._begin(data, whole=whole)
        return _header(self._seen, ending, needs, titles=self._titles)

    def _begin(self, data: bytes, *, whole: bool) -> tuple[Ending, int]:
        """How it ended, and how many bytes of the file lead further."""
        seen = self._seen = Seen()
        start, is_marked = (132, True) if data[128:132] == b"DICM" else (0, False)
        if len(data) < start + 8:
            raise WireError("no DICOM file")
        place, stopped, self._titles = _meta(data, start, seen)
        if not is_marked and place == start and not _may_begin(data, start):
            raise WireError("no DICOM file")
        if stopped is not None:
            ending, needs = _ended((place, stopped), len(data), whole=whole)
        elif seen.values.get(SYNTAX, b"").strip(BLANK) in DEFLATED_ALSO:
            ending, needs = _inflated(data, place, seen, whole=whole)
        else:
            ending, needs = self._data_set(data, place, whole=whole)
        if not is_marked and not {SOP_CLASS, SOP_INSTANCE, STUDY, MEDIA_CLASS} & seen.values.keys():
            raise WireError("no DICOM file")
        return ending, needs

    def _data_set(self, data: bytes, place: int, *, whole: bool) -> tuple[Ending, int]:
        coding = _coding(data, place, self._seen.values.get(SYNTAX, b"").strip(BLANK))
        walk = elements.walk(data, place, coding, self._seen, _KEPT)
        stopped = next(walk)
        if stopped[1] is Ending.CUT and len(data) - place >= 8:  # else nobody knows its coding yet
            self._walk = walk
        return _ended(stopped, len(data), whole=whole)


def _ended(stopped: tuple[int, Ending], length: int, *, whole: bool) -> tuple[Ending, int]:
    """The ending of a file of which so many bytes are known, and how many of it lead further where there may be more."""
    place, ending = stopped
    if ending is not Ending.CUT:
        return ending, 0
    if whole:
        return (Ending.WHOLE if place == length else Ending.BROKEN), 0
    return Ending.CUT, max(place, length + 1)


def _inflated(data: bytes, place: int, seen: Seen, *, whole: bool) -> tuple[Ending, int]:
    try:
        inner = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[place:], MAX_INFLATED)
    except zlib.error:
        return Ending.BROKEN, 0
    stopped = next(elements.walk(inner, 0, _coding(inner, 0, DEFLATED), seen, _KEPT))
    if stopped[1] is Ending.CUT and len(inner) >= MAX_INFLATED:
        return Ending.LIMIT, 0
    ending, needs = _ended(stopped, len(inner), whole=whole)
    return ending, len(data) + FIRST if needs else 0  # nobody knows how many bytes the next element takes


def _header(seen: Seen, ending: Ending, needs: int, *, titles: bool) -> Header:
    values = {tag: value.strip(BLANK) for tag, value in seen.values.items()}
    burned = values.get(BURNED_IN, b"").upper()
    return Header(
        ending=ending,
        identity=Identity(
            _uid(values, SYNTAX),
            _uid(values, SOP_CLASS) or _uid(values, MEDIA_CLASS),
            _key(values, SOP_INSTANCE) or _key(values, MEDIA_INSTANCE),
            _key(values, STUDY),
            _key(values, SERIES),
        ),
        present=frozenset(seen.present),
        private=seen.private,
        private_groups=len(seen.groups),
        titles=titles,
        burned_in={b"YES": True, b"NO": False}.get(burned),
        values={tag: values[tag] for tag in TELLING if tag in values},
        needs=needs,
    )


def _uid(values: Mapping[int, bytes], tag: int) -> bytes:
    uid = values.get(tag, b"")
    return uid if len(uid) <= 64 and _UID.fullmatch(uid) else b""


def _key(values: Mapping[int, bytes], tag: int) -> bytes:
    """A unique key, which need not be a UID: some who remove identities write hashes."""
    value = values.get(tag, b"")
    return value if len(value) <= 64 else b""


def _may_begin(data: bytes, place: int) -> bool:
    """Whether a data set may begin there: in either byte order with a low group."""
    return bool({int.from_bytes(data[place : place + 2], "little"), data[place] << 8 | data[place + 1]} & _FIRST_GROUPS)


def _meta(data: bytes, place: int, seen: Seen) -> tuple[int, Ending | None, bool]:
    """Group 0002, explicit VR little endian; some write it implicit. The place behind it; how it ended, where it did before
    its end; and whether it names application entities."""
    explicit, titles = data[place + 4 : place + 6] in _VRS, False
    if (usual := _usual_meta(data) if place else None) is not None:
        values, (class_, instance, syntax), place = seen.values, usual.group(1, 3, 5), usual.end()
        values[MEDIA_CLASS], values[MEDIA_INSTANCE], values[SYNTAX] = class_[4:], instance[4:], syntax[4:]
    while data.startswith(b"\2\0", place):
        if len(data) - place < 12:
            return place + 12, Ending.CUT, titles
        vr = data[place + 4 : place + 6]
        if explicit and vr not in _VRS:
            return place, Ending.BROKEN, titles
        if explicit and vr in SHORT:
            start, length = place + 8, int.from_bytes(data[place + 6 : place + 8], "little")
        else:
            start = place + (12 if explicit else 8)
            length = int.from_bytes(data[start - 4 : start], "little")
        if length == UNDEFINED:
            return place, Ending.BROKEN, titles
        tag = 0x00020000 | int.from_bytes(data[place + 2 : place + 4], "little")
        place = start + length
        if place > len(data):
            return place, Ending.CUT, titles
        if tag in _KEPT:
            seen.values[tag] = data[start:place]
        titles = titles or (tag in TITLES and bool(data[start:place].strip(BLANK)))
    return place, None, titles


def _coding(data: bytes, place: int, syntax: bytes) -> Coding:
    """What the first element looks like decides, the transfer syntax where that does not tell: some say the wrong one."""
    little, big = int.from_bytes(data[place : place + 2], "little"), int.from_bytes(data[place : place + 2], "big")
    is_big = little not in _FIRST_GROUPS and (big in _FIRST_GROUPS or syntax == BIG)
    if data[place + 4 : place + 6] in _VRS:
        return elements.BIG if is_big else elements.LITTLE
    return elements.IMPLICIT_BIG if is_big else elements.IMPLICIT
