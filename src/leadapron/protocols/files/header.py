"""The header of a DICOM file, from its first bytes: which file it is, and which attributes are populated at any depth.

Two ways. `identify` finds the UIDs with `bytes.find`, and says None wherever it is not sure. `read` walks: explicit and
implicit VR, both byte orders, deflated, with or without preamble and file meta information (PS3.10 section 7.1, PS3.5
sections 6 and 7, Annex A). Neither looks at anything at or behind pixel data (7FE0,xxxx).

UIDs and the values by which genuineness is judged are raw, in memory, for as long as a job lasts.
"""

from __future__ import annotations

import enum
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.dicom.signs import TAGS as TELLING
from leadapron.protocols.files.attributes import wanted

FIRST = 4096
"""Bytes of the first read."""
MOST = 64 << 10
"""Bytes of a header at most: what lies behind is not looked at."""
MAX_INFLATED = 256 << 10
"""Bytes of an inflated header."""
MAX_NESTING = 64
"""Sequences inside sequences: a structured report has a dozen or two."""

SYNTAX, SOP_CLASS, SOP_INSTANCE, STUDY, SERIES = 0x00020010, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
MEDIA_CLASS, MEDIA_INSTANCE = 0x00020002, 0x00020003
TITLES = frozenset((0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028))
"""Application entities and presentation addresses in the file meta information (PS3.10 Table 7.1-1)."""
BURNED_IN = 0x00280301

IMPLICIT, DEFLATED, BIG = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
SPECIAL = (IMPLICIT, DEFLATED, BIG)
DEFLATED_ALSO = (DEFLATED, b"1.2.840.10008.1.2.4.95", b"1.2.840.10008.1.2.4.205")  # those of JPIP
DIRECTORY = b"1.2.840.10008.1.3.10"
DOCUMENT, REPORT = b"1.2.840.10008.5.1.4.1.1.104.", b"1.2.840.10008.5.1.4.1.1.88."
"""Roots of the SOP classes of encapsulated documents, and of structured reports (PS3.4 Annex B.5)."""

BLANK = b" \0"
_UNDEFINED = 0xFFFFFFFF
_PIXELS = 0x7FE00000
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UID = re.compile(rb"[0-9]+(?:\.[0-9]+)+")
_KEPT = frozenset((SYNTAX, SOP_CLASS, SOP_INSTANCE, STUDY, SERIES, MEDIA_CLASS, MEDIA_INSTANCE, BURNED_IN, *TELLING))
_SHORT = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS")
    + (b"ST", b"TM", b"UI", b"UL", b"US")
)
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_FIRST_GROUPS = frozenset((0x0002, 0x0004, 0x0008, 0x0010))
"""With which a file may begin that has no preamble."""


class Ending(enum.StrEnum):
    """How far a header was read."""

    WHOLE = "whole"
    """to pixel data, or to the end of the file"""
    CUT = "cut"
    """the bytes end before: more of the file may say more"""
    BROKEN = "broken"
    """what follows breaks the standard; what came before stands"""
    LIMIT = "limit"
    """a bound of ours"""


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
    if syntax is None or instance_in_meta is None or syntax in SPECIAL[1:] or syntax in DEFLATED_ALSO:
        return None
    kind = b"" if syntax == IMPLICIT else b"UI"
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


class _Coding(NamedTuple):
    """How a data set is written."""

    explicit: bool
    head: struct.Struct
    """group, element and the next four bytes as they are"""
    long: struct.Struct
    short: struct.Struct


_LITTLE_HEAD, _BIG_HEAD = struct.Struct("<HH2s2s"), struct.Struct(">HH2s2s")
_EXPLICIT = _Coding(True, _LITTLE_HEAD, struct.Struct("<I"), struct.Struct("<H"))
_IMPLICIT_LITTLE = _Coding(False, _LITTLE_HEAD, struct.Struct("<I"), struct.Struct("<H"))
_EXPLICIT_BIG = _Coding(True, _BIG_HEAD, struct.Struct(">I"), struct.Struct(">H"))
_IMPLICIT_BIG = _Coding(False, _BIG_HEAD, struct.Struct(">I"), struct.Struct(">H"))


class _Level(NamedTuple):
    """A sequence or an item that is open: where it ends (`_UNDEFINED`: at its delimiter)."""

    end: int
    is_item: bool
    coding: _Coding
    tag: int
    """of the sequence"""


@dataclass(slots=True)
class _Seen:
    """What the walk found."""

    values: dict[int, bytes] = field(default_factory=dict)
    present: set[int] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)
    private: int = 0
    titles: bool = False


def read(data: bytes, *, whole: bool = False) -> Header:
    """`data`: the file from its first byte on; `whole`: to its last. Raises WireError for what is no DICOM file."""
    seen = _Seen()
    start, is_marked = (132, True) if data[128:132] == b"DICM" else (0, False)
    if len(data) < start + 8:
        raise WireError("no DICOM file")
    place, ending = _meta(data, start, seen)
    if not is_marked and place == start and not _may_begin(data, start):
        raise WireError("no DICOM file")
    if ending is None:
        data, place, ending, needs = _data_set(data, place, seen)
        if ending is Ending.CUT and whole:
            ending = Ending.WHOLE if place == len(data) else Ending.BROKEN
    else:
        needs = place
    if not is_marked and not {SOP_CLASS, SOP_INSTANCE, STUDY} & seen.values.keys():
        raise WireError("no DICOM file")
    return _header(seen, ending, max(needs, 1) if ending is Ending.CUT else 0)


def _header(seen: _Seen, ending: Ending, needs: int) -> Header:
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
        titles=seen.titles,
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
    little, big = (int.from_bytes(data[place : place + 2], order) for order in ("little", "big"))  # type: ignore[arg-type]
    return little in _FIRST_GROUPS or big in _FIRST_GROUPS


def _meta(data: bytes, place: int, seen: _Seen) -> tuple[int, Ending | None]:
    """Group 0002, explicit VR little endian; some write it implicit. The place behind it; an ending where it has none."""
    end = len(data)
    coding = _EXPLICIT if data[place + 4 : place + 6] in _SHORT | _LONG else _IMPLICIT_LITTLE
    while data.startswith(b"\2\0", place):
        if end - place < 12:
            return place + 12, Ending.CUT
        tag, start, length, _ = _element(data, place, coding)
        if length == _UNDEFINED:
            return place, Ending.BROKEN
        value = data[start : start + length]
        if tag in _KEPT:
            seen.values[tag] = value
        seen.titles = seen.titles or (tag in TITLES and bool(value.strip(BLANK)))
        place = start + length
        if place > end:
            return place, Ending.CUT
    return place, None


def _data_set(data: bytes, place: int, seen: _Seen) -> tuple[bytes, int, Ending, int]:
    """The bytes that were walked, the place where it ended, how, and how many bytes of the file lead further."""
    length, behind = len(data), 0
    syntax = seen.values.get(SYNTAX, b"").strip(BLANK)
    if syntax in DEFLATED_ALSO:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data, place = inflater.decompress(data[place:], MAX_INFLATED), 0
        except zlib.error:
            return data, place, Ending.BROKEN, 0
        behind = length + FIRST  # nobody knows how many bytes the next element takes
        if len(data) >= MAX_INFLATED:
            behind = MOST + 1
    if len(data) - place < 8:
        return data, place, Ending.CUT, behind or place + 8
    coding = _coding(data, place, syntax)
    place, ending = _walk(data, place, coding, seen)
    return data, place, ending, behind or max(place, length + 1)


def _coding(data: bytes, place: int, syntax: bytes) -> _Coding:
    """What the first element looks like decides; the transfer syntax where it does not tell: some files say the wrong one."""
    little, big = (int.from_bytes(data[place : place + 2], order) for order in ("little", "big"))  # type: ignore[arg-type]
    is_explicit = data[place + 4 : place + 6] in _SHORT | _LONG
    is_big = big in _FIRST_GROUPS and little not in _FIRST_GROUPS or (syntax == BIG and little not in _FIRST_GROUPS)
    if is_big:
        return _EXPLICIT_BIG if is_explicit else _IMPLICIT_BIG
    return _EXPLICIT if is_explicit else _IMPLICIT_LITTLE


def _element(data: bytes, place: int, coding: _Coding) -> tuple[int, int, int, bytes]:
    """Tag, place of the value, length, VR (b"" where implicit). 12 bytes are there, or 8 of a short element; raises
    WireError for an undefined VR, struct.error never."""
    group, element, vr, rest = coding.head.unpack_from(data, place)
    if not coding.explicit or group == 0xFFFE:
        return group << 16 | element, place + 8, coding.long.unpack_from(data, place + 4)[0], b""
    if vr in _SHORT:
        return group << 16 | element, place + 8, coding.short.unpack(rest)[0], vr
    if vr not in _LONG:
        raise WireError("an undefined value representation")
    if len(data) - place < 12:
        return group << 16 | element, place + 12, 0, vr  # the walk sees that the value lies behind the end
    return group << 16 | element, place + 12, coding.long.unpack_from(data, place + 8)[0], vr


def _walk(data: bytes, place: int, coding: _Coding, seen: _Seen) -> tuple[int, Ending]:
    """Every element from `place` on, nested ones too. Each step goes on by 8 bytes at least, so that it ends."""
    end, levels = len(data), [_Level(_UNDEFINED, True, coding, 0)]
    try:
        while True:
            level = levels[-1]
            if level.is_item:
                place, ending = _elements(data, place, levels, seen)
            else:
                place, ending = _items(data, place, levels, seen)
            if ending is not None:
                return place, ending
            if len(levels) > 2 * MAX_NESTING:
                return place, Ending.LIMIT
            if place >= end and len(levels) == 1:
                return place, Ending.CUT
    except WireError:
        return place, Ending.BROKEN


def _elements(data: bytes, place: int, levels: list[_Level], seen: _Seen) -> tuple[int, Ending | None]:
    """The elements of one item, or of the data set, up to its end or to a sequence in it."""
    end, level, is_top = len(data), levels[-1], len(levels) == 1
    coding, attributes, stop = level.coding, wanted(), min(level.end, len(data))
    present, unpack, short, long = seen.present, coding.head.unpack_from, coding.short.unpack, coding.long.unpack_from
    explicit = coding.explicit
    while place < stop:
        if end - place < 8:
            return place + 8, Ending.CUT
        group, element, vr, rest = unpack(data, place)
        tag = group << 16 | element
        if explicit and group != 0xFFFE:
            if vr in _SHORT:
                start, length = place + 8, short(rest)[0]
            elif vr in _LONG:
                if end - place < 12:
                    return place + 12, Ending.CUT
                start, length = place + 12, long(data, place + 8)[0]
            else:
                return place, Ending.BROKEN
        else:
            start, length = place + 8, long(data, place + 4)[0]
        if tag == _ITEM_END and not is_top and level.end == _UNDEFINED:
            levels.pop()
            return start, None
        if is_top and tag >= _PIXELS:
            return place, Ending.WHOLE
        if length == _UNDEFINED or vr == b"SQ" or (length >= 8 and _holds_items(data, start, length, vr, explicit)):
            if explicit and vr not in (b"SQ", b"UN"):
                return place, Ending.BROKEN
            levels.append(_opened(tag, start, length, vr, level))
            return start, None
        after = start + length
        if after > level.end:
            return place, Ending.BROKEN
        if length:
            if tag in attributes and data[start:after].strip(BLANK):
                present.add(attributes[tag])
            elif group & 1 and element > 0xFF and data[start:after].strip(BLANK):
                seen.private += 1
                seen.groups.add(group)
            if is_top and tag in _KEPT:
                seen.values[tag] = data[start:after]
        place = after
    if is_top or place > end or level.end > end:
        return place, Ending.CUT
    levels.pop()
    return place, None


def _holds_items(data: bytes, start: int, length: int, vr: bytes, explicit: bool) -> bool:
    """Whether a value of defined length that does not say so is a sequence: it begins with an item that fits. Implicit VR
    has no SQ, and what a sender did not know is UN (PS3.5 section 6.2.2, note 2)."""
    if explicit and vr != b"UN":
        return False
    if data.startswith(b"\xfe\xff\x00\xe0", start):
        inner = int.from_bytes(data[start + 4 : start + 8], "little")
    elif not explicit and data.startswith(b"\xff\xfe\xe0\x00", start):
        inner = int.from_bytes(data[start + 4 : start + 8], "big")
    else:
        return False
    return inner == _UNDEFINED or inner + 8 <= length


def _opened(tag: int, start: int, length: int, vr: bytes, level: _Level) -> _Level:
    """The sequence that begins there. What is UN is implicit VR little endian inside (PS3.5 section 6.2.2, note 2)."""
    coding = _IMPLICIT_LITTLE if vr == b"UN" and level.coding.explicit else level.coding
    end = _UNDEFINED if length == _UNDEFINED else start + length
    if level.end != _UNDEFINED and end != _UNDEFINED and end > level.end:
        raise WireError("a sequence overruns what it is in")
    return _Level(end, False, coding, tag)


def _items(data: bytes, place: int, levels: list[_Level], seen: _Seen) -> tuple[int, Ending | None]:
    """The next item of a sequence is opened, or the sequence is closed."""
    level = levels[-1]
    if place >= level.end:
        levels.pop()
        return place, None
    if len(data) - place < 8:
        return place + 8, Ending.CUT
    group, element, _, _ = level.coding.head.unpack_from(data, place)
    tag, length = group << 16 | element, level.coding.long.unpack_from(data, place + 4)[0]
    place += 8
    if tag == _SEQUENCE_END and level.end == _UNDEFINED:
        levels.pop()
    elif tag == _ITEM:
        end = _UNDEFINED if length == _UNDEFINED else place + length
        if level.end != _UNDEFINED and end != _UNDEFINED and end > level.end:
            raise WireError("an item overruns its sequence")
        if length:
            _count(level.tag, seen)
        levels.append(_Level(end, True, level.coding, level.tag))
    else:
        raise WireError("a sequence holds something that is no item")
    return place, None


def _count(tag: int, seen: _Seen) -> None:
    """A sequence has an item that is not empty."""
    if tag in wanted():
        seen.present.add(wanted()[tag])
    elif tag >> 16 & 1:
        seen.groups.add(tag >> 16)
