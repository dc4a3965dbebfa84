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
DIRECTORY = b"1.2.840.10008.1.3.10"
DOCUMENT, REPORT = b"1.2.840.10008.5.1.4.1.1.104.", b"1.2.840.10008.5.1.4.1.1.88."
"""Roots of the SOP classes of encapsulated documents, and of structured reports (PS3.4 Annex B.5)."""

_PIXEL_DATA = b"\xe0\x7f\x10\0"
_UID = re.compile(rb"[0-9]+(?:\.[0-9]+)+")
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
    if data[128:132] != b"DICM":
        return None
    syntax = _found(data, b"\x02\0\x10\0UI", 132, 800)
    instance_in_meta = _found(data, b"\x02\0\x03\0UI", 132, 800)
    if syntax is None or instance_in_meta is None or syntax == BIG or syntax in DEFLATED_ALSO:
        return None
    kind = b"" if syntax == IMPLICIT else b"UI"
    pixels = data.find(_PIXEL_DATA, 132)
    if pixels >= 0:
        data = data[:pixels]
    # The class is followed at once by the instance, the study by the series, nowhere but at the top level.
    place = data.find(b"\x08\0\x16\0" + kind, 132)
    pair = _pair(data, place, b"\x08\0\x18\0", kind)
    if pair is None or pair[1] != instance_in_meta:
        return None
    place = data.find(b"\x20\0\x0d\0" + kind, place)
    while place >= 0:
        if (where := _pair(data, place, b"\x20\0\x0e\0", kind)) is not None:
            return Identity(syntax, *pair, *where)
        place = data.find(b"\x20\0\x0d\0" + kind, place + 4)
    return None


def _found(data: bytes, head: bytes, start: int, stop: int) -> bytes | None:
    place = data.find(head, start, stop)
    return None if place < 0 else _uid_at(data, place + 6, 2)[0]


def _pair(data: bytes, place: int, second: bytes, kind: bytes) -> tuple[bytes, bytes] | None:
    """The UID of the element at `place`, and that of the next one, which has to be `second`."""
    if place < 0:
        return None
    skip, width = (6, 2) if kind else (4, 4)
    first, end = _uid_at(data, place + skip, width)
    if first is None or not data.startswith(second + kind, end):
        return None
    other, _ = _uid_at(data, end + skip, width)
    return None if other is None else (first, other)


def _uid_at(data: bytes, place: int, width: int) -> tuple[bytes | None, int]:
    """The UID whose length lies at `place`, and where it ends."""
    start = place + width
    length = int.from_bytes(data[place:start], "little")
    uid = data[start : start + length].rstrip(BLANK) if length <= 64 and start + length <= len(data) else b""
    return (uid if _UID.fullmatch(uid) else None), start + length


# -- the strict way ---------------------------------------------------------------------------------------------------


def read(data: bytes, *, whole: bool = False) -> Header:
    """`data`: the file from its first byte on; `whole`: to its last. Raises WireError for what is no DICOM file."""
    seen = Seen()
    start, is_marked = (132, True) if data[128:132] == b"DICM" else (0, False)
    if len(data) < start + 8:
        raise WireError("no DICOM file")
    place, ending, titles = _meta(data, start, seen)
    if not is_marked and place == start and not _may_begin(data, start):
        raise WireError("no DICOM file")
    if ending is None:
        place, ending, needs = _data_set(data, place, seen, whole=whole)
    else:
        needs = place
    if not is_marked and not {SOP_CLASS, SOP_INSTANCE, STUDY, MEDIA_CLASS} & seen.values.keys():
        raise WireError("no DICOM file")
    return _header(seen, ending, needs if ending is Ending.CUT else 0, titles=titles)


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
    explicit, titles = data[place + 4 : place + 6] in SHORT | LONG, False
    while data.startswith(b"\2\0", place):
        if len(data) - place < 12:
            return place + 12, Ending.CUT, titles
        vr = data[place + 4 : place + 6]
        if explicit and vr not in SHORT | LONG:
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


def _data_set(data: bytes, place: int, seen: Seen, *, whole: bool) -> tuple[int, Ending, int]:
    """The place where it ended, how, and how many bytes of the file lead further."""
    length, needs = len(data), 0
    syntax = seen.values.get(SYNTAX, b"").strip(BLANK)
    if syntax in DEFLATED_ALSO:
        try:
            data, place = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[place:], MAX_INFLATED), 0
        except zlib.error:
            return place, Ending.BROKEN, 0
        if len(data) >= MAX_INFLATED:
            whole, needs = False, MOST + 1
        else:
            needs = length + FIRST  # nobody knows how many bytes the next element takes
    if len(data) - place < 8:
        is_end = whole and place == len(data)
        return place, Ending.WHOLE if is_end else Ending.BROKEN if whole else Ending.CUT, needs or place + 8
    place, ending = elements.walk(data, place, _coding(data, place, syntax), seen, _KEPT)
    if ending is Ending.CUT and whole:
        ending = Ending.WHOLE if place == len(data) else Ending.BROKEN
    elif ending is Ending.CUT and len(data) >= MAX_INFLATED and needs:
        ending = Ending.LIMIT
    return place, ending, needs or max(place, length + 1)


def _coding(data: bytes, place: int, syntax: bytes) -> Coding:
    """What the first element looks like decides, the transfer syntax where that does not tell: some say the wrong one."""
    little, big = int.from_bytes(data[place : place + 2], "little"), data[place] << 8 | data[place + 1]
    is_big = little not in _FIRST_GROUPS and (big in _FIRST_GROUPS or syntax == BIG)
    if data[place + 4 : place + 6] in SHORT | LONG:
        return elements.BIG if is_big else elements.LITTLE
    return elements.IMPLICIT_BIG if is_big else elements.IMPLICIT
