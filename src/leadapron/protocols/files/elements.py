"""The elements of a data set in any of its codings, nested ones included (PS3.5 chapter 7 and Annex A): which attributes are
populated, and the raw values of a few at the top level. Pixel data (7FE0,xxxx) and what is behind is never looked at.

It never raises for what a file holds, and what was seen before a mistake stands: `walk` says how it ended.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from leadapron.protocols.files.attributes import wanted

MAX_NESTING = 64
"""Sequences inside sequences: a structured report has a dozen or two."""
BLANK = b" \0"
UNDEFINED = 0xFFFFFFFF

_PIXELS = 0x7FE00000
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SHORT = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL"),
        *(b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
"""VRs with a length of 16 bits (PS3.5 Table 7.1-2); the others follow."""
LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))


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


@dataclass(slots=True)
class Seen:
    """What a walk found."""

    values: dict[int, bytes] = field(default_factory=dict)
    """of the tags that are kept, at the top level"""
    present: set[int] = field(default_factory=set)
    """tags of `attributes.wanted`"""
    groups: set[int] = field(default_factory=set)
    """odd ones, as they lie in the file"""
    private: int = 0


class Coding(NamedTuple):
    """How a data set is written. Tags are looked up as they lie in the file, as one number."""

    explicit: bool
    big: bool
    head: struct.Struct
    """tag, VR, length of 16 bits"""
    long: struct.Struct
    short_vrs: frozenset[int]
    """none where VRs are implicit"""
    odd: int
    """the bit of a tag that is set in private groups"""
    private: int
    """the bits of a tag, of which some are set where a private element is no reservation of a block"""

    def tag(self, raw: int) -> int:
        """group << 16 | element."""
        return raw if self.big else (raw & 0xFFFF) << 16 | raw >> 16


def _coding(*, explicit: bool, big: bool) -> Coding:
    order = ">" if big else "<"
    vrs = frozenset(int.from_bytes(vr, "big" if big else "little") for vr in SHORT) if explicit else frozenset()
    return Coding(
        explicit,
        big,
        struct.Struct(f"{order}IHH"),
        struct.Struct(f"{order}I"),
        vrs,
        0x10000 if big else 1,
        0xFF00 if big else 0xFF000000,
    )


LITTLE, BIG = _coding(explicit=True, big=False), _coding(explicit=True, big=True)
IMPLICIT, IMPLICIT_BIG = _coding(explicit=False, big=False), _coding(explicit=False, big=True)


@functools.cache
def _own(*, big: bool) -> Mapping[int, int]:
    """What counts, by the tag as it lies in a file."""
    return wanted() if big else {(tag & 0xFFFF) << 16 | tag >> 16: name for tag, name in wanted().items()}


class _Level(NamedTuple):
    """A sequence or an item that is open: where it ends (`UNDEFINED`: at its delimiter)."""

    end: int
    is_item: bool
    coding: Coding
    tag: int
    """of the sequence"""


class _Head(NamedTuple):
    """What is no plain element with a short VR."""

    start: int
    length: int
    is_sequence: bool = False
    coding: Coding | None = None
    """of what is in the sequence"""


def walk(data: bytes, place: int, coding: Coding, seen: Seen, kept: frozenset[int]) -> tuple[int, Ending]:
    """Every element from `place` on, and where and how it ended. Each step goes on by 8 bytes, or closes what was opened."""
    levels = [_Level(UNDEFINED, True, coding, 0)]
    keep = {tag if coding.big else (tag & 0xFFFF) << 16 | tag >> 16: tag for tag in kept}
    while True:
        step = _elements if levels[-1].is_item else _items
        place, ending = step(data, place, levels, seen, keep)
        if ending is not None:
            return place, ending
        if len(levels) > 2 * MAX_NESTING:
            return place, Ending.LIMIT


def _elements(  # noqa: C901 - the inner loop: a call for each element would double its cost
    data: bytes, place: int, levels: list[_Level], seen: Seen, keep: Mapping[int, int]
) -> tuple[int, Ending | None]:
    """The elements of one item, or of the data set, up to its end or to a sequence in it."""
    level, is_top = levels[-1], len(levels) == 1
    coding = level.coding
    unpack, shorts, odd, private = coding.head.unpack_from, coding.short_vrs, coding.odd, coding.private
    own, present = _own(big=coding.big), seen.present
    stop = min(level.end, len(data))
    while place < stop:
        if len(data) - place < 8:
            return place + 8, Ending.CUT
        raw, vr, length = unpack(data, place)
        if vr in shorts:
            start = place + 8
        else:
            head = _head(data, place, raw, level, is_top=is_top)
            if isinstance(head, Ending):
                return (place + 12 if head is Ending.CUT else place), head
            start, length, is_sequence, inner = head
            if is_sequence:
                if inner is None:  # the delimiter of this item
                    levels.pop()
                else:
                    end = UNDEFINED if length == UNDEFINED else start + length
                    levels.append(_Level(end, False, inner, coding.tag(raw)))
                return start, None
        after = start + length
        if after > level.end:
            return place, Ending.BROKEN
        if length:
            if raw in own:
                if data[start:after].strip(BLANK):
                    present.add(own[raw])
            elif raw & odd and raw & private and data[start:after].strip(BLANK):
                seen.private += 1
                seen.groups.add(coding.tag(raw) >> 16)
            if is_top and raw in keep:
                seen.values[keep[raw]] = data[start:after]
        place = after
    if is_top or level.end > len(data):
        return place, Ending.CUT
    levels.pop()
    return place, None


def _head(data: bytes, place: int, raw: int, level: _Level, *, is_top: bool) -> _Head | Ending:
    """An element with a long VR or none, a sequence, or a delimiter."""
    coding = level.coding
    tag = coding.tag(raw)
    if is_top and tag >= _PIXELS:
        return Ending.BROKEN if tag >> 16 == 0xFFFE else Ending.WHOLE
    vr = b""
    if coding.explicit and tag >> 16 != 0xFFFE:
        vr = data[place + 4 : place + 6]
        if vr not in LONG:
            return Ending.BROKEN
        if len(data) - place < 12:
            return Ending.CUT
        start = place + 12
    else:
        start = place + 8
    length = coding.long.unpack_from(data, start - 4)[0]
    if tag == _ITEM_END and not is_top and level.end == UNDEFINED:
        return _Head(start, 0, is_sequence=True)
    if length != UNDEFINED and vr != b"SQ" and not _holds_items(data, start, length, vr, coding):
        return _Head(start, length)
    if vr not in (b"", b"SQ", b"UN"):
        return Ending.BROKEN
    if length != UNDEFINED and start + length > level.end:
        return Ending.BROKEN
    # What is UN is implicit VR little endian inside (PS3.5 section 6.2.2, note 2).
    return _Head(start, length, is_sequence=True, coding=IMPLICIT if vr == b"UN" else coding)


def _holds_items(data: bytes, start: int, length: int, vr: bytes, coding: Coding) -> bool:
    """Whether a value of defined length that does not say so is a sequence: it begins with an item that fits. Implicit VR
    has no SQ, and what a sender did not know is UN."""
    if length < 8 or (coding.explicit and vr != b"UN"):
        return False
    is_big = coding.big and vr != b"UN"
    if not data.startswith(b"\xff\xfe\xe0\x00" if is_big else b"\xfe\xff\x00\xe0", start):
        return False
    inner = int.from_bytes(data[start + 4 : start + 8], "big" if is_big else "little")
    return inner == UNDEFINED or inner + 8 <= length


def _items(
    data: bytes,
    place: int,
    levels: list[_Level],
    seen: Seen,
    keep: Mapping[int, int],  # noqa: ARG001
) -> tuple[int, Ending | None]:
    """The next item of a sequence is opened, or the sequence is closed."""
    level = levels[-1]
    if place >= level.end:
        levels.pop()
        return place, None
    if len(data) - place < 8:
        return place + 8, Ending.CUT
    coding = level.coding
    raw, _, _ = coding.head.unpack_from(data, place)
    tag, length = coding.tag(raw), coding.long.unpack_from(data, place + 4)[0]
    place += 8
    if tag == _SEQUENCE_END and level.end == UNDEFINED:
        levels.pop()
        return place, None
    end = UNDEFINED if length == UNDEFINED else place + length
    if tag != _ITEM or (end != UNDEFINED and end > level.end):
        return place, Ending.BROKEN
    if length:
        _count(level.tag, seen)
    levels.append(_Level(end, True, coding, level.tag))
    return place, None


def _count(tag: int, seen: Seen) -> None:
    """A sequence has an item that is not empty."""
    if tag in wanted():
        seen.present.add(wanted()[tag])
    elif tag >> 16 & 1:
        seen.groups.add(tag >> 16)
