"""The elements of a data set in any of its codings, nested ones included (PS3.5 chapter 7 and Annex A): which attributes are
populated, and the raw values of a few at the top level. Pixel data (7FE0,xxxx) and what is behind is never looked at.

It never raises for what a file holds, and what was seen before a mistake stands: `walk` says how it ended.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from leadapron.protocols.files.attributes import wanted

MAX_NESTING = 64
"""Sequences inside sequences: a structured report has a dozen or two."""
BLANK = b" \0"
UNDEFINED = 0xFFFFFFFF

_PIXELS, _PIXEL_GROUP = 0x7FE00000, 0x7FE0
_SPACE = 32
"""What is above is not blank."""
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
    """tag, VR, length of 16 bits; where VRs are implicit: tag, nothing, length of 32 bits"""
    long: struct.Struct
    tags: struct.Struct
    """tag and length of items and delimiters"""
    plain: frozenset[int | bytes]
    """VRs whose length is in `head`"""
    item: bytes
    odd: int
    """the bit of a tag that is set in private groups"""
    private: int
    """the bits of a tag, of which some are set where a private element is no reservation of a block"""
    shift: int
    """from a tag to its group"""

    def tag(self, raw: int) -> int:
        """group << 16 | element."""
        return raw if self.big else (raw & 0xFFFF) << 16 | raw >> 16


def _coding(*, explicit: bool, big: bool) -> Coding:
    order = ">" if big else "<"
    return Coding(
        explicit,
        big,
        struct.Struct(f"{order}IHH" if explicit else f"{order}I0sI"),
        struct.Struct(f"{order}I"),
        struct.Struct(f"{order}II"),
        frozenset(int.from_bytes(vr, "big" if big else "little") for vr in SHORT) if explicit else frozenset((b"",)),
        struct.pack(f"{order}HH", 0xFFFE, 0xE000),
        0x10000 if big else 1,
        0xFF00 if big else 0xFF000000,
        16 if big else 0,
    )


LITTLE, BIG = _coding(explicit=True, big=False), _coding(explicit=True, big=True)
IMPLICIT, IMPLICIT_BIG = _coding(explicit=False, big=False), _coding(explicit=False, big=True)


class _Telling(NamedTuple):
    """What is looked at, by the tag as it lies in a file."""

    names: Mapping[int, int]
    """what counts"""
    keep: Mapping[int, int]
    either: frozenset[int]


@functools.cache
def _telling(kept: frozenset[int], *, big: bool) -> _Telling:
    def raw(tag: int) -> int:
        return tag if big else (tag & 0xFFFF) << 16 | tag >> 16

    names, keep = {raw(tag): name for tag, name in wanted().items()}, {raw(tag): tag for tag in kept}
    return _Telling(names, keep, frozenset(names) | frozenset(keep))


_Head = tuple[int, int, Coding | None]
"""What is no plain element: where its value begins, its length, and the coding of what is inside where it is a sequence.
The delimiter of an item is one without, of undefined length."""


Walk = Generator[tuple[int, Ending], bytes, None]


def walk(  # noqa: C901 - the inner loop: a call for each element would double its cost
    data: bytes, place: int, coding: Coding, seen: Seen, kept: frozenset[int]
) -> Walk:
    """Every element from `place` on; yields where and how it ended. Where it was CUT, it goes on with what is sent: `data`
    with more bytes behind it. Each step goes on by 8 bytes, or closes what was opened."""
    around: list[tuple[int, int, int, Coding]] = []
    """of each item around this one, from without: its end, and its sequence's end, tag and coding"""
    end = sequence_end = UNDEFINED  # of this item, and of the sequence it is in; UNDEFINED: at the delimiter
    of, present, size, last = 0, seen.present, len(data), len(data) - 8
    loaded: Coding | None = None
    needs: int | None
    while True:
        if coding is not loaded:
            unpack, plain, first, shift = coding.head.unpack_from, coding.plain, coding.item[0], coding.shift
            implicit, odd, private = not coding.explicit, coding.odd, coding.private
            names, keep, either = _telling(kept, big=coding.big)
            loaded = coding
        stop, needs = min(end, size), None
        while place < stop:  # the elements of this item, up to a sequence in it
            if place > last:
                needs = place + 8
                break
            raw, vr, length = unpack(data, place)
            start = place + 8
            after = start + length
            if (
                vr not in plain
                or after > stop
                or (implicit and (raw >> shift & 0xFFFF >= _PIXEL_GROUP or (length and data[start] == first)))
            ):
                head = _head(data, place, raw, end, coding, is_top=not around)
                if isinstance(head, Ending):
                    if head is Ending.CUT:
                        needs = place + 12
                        break
                    yield place, head
                    return
                start, length, inside = head
                if inside is not None:
                    around.append((end, sequence_end, of, coding))
                    sequence_end, of = start + length if length != UNDEFINED else UNDEFINED, coding.tag(raw)
                    coding, place = inside, start
                    break
                if length == UNDEFINED:  # the delimiter of this item
                    place = start
                    break
                after = start + length
                if after > end:
                    yield place, Ending.BROKEN
                    return
                if after > size:
                    if raw in names and data[start:].strip(BLANK):
                        present.add(names[raw])
                    needs = after
                    break
            if length:
                if raw in either:
                    if raw in names and (data[start] > _SPACE or data[start:after].strip(BLANK)):
                        present.add(names[raw])
                    if raw in keep and not around:
                        seen.values[keep[raw]] = data[start:after]
                elif raw & odd and raw & private and (data[start] > _SPACE or data[start:after].strip(BLANK)):
                    seen.private += 1
                    seen.groups.add(raw >> shift & 0xFFFF)
            place = after
        else:
            needs = place if not around or end > size else None
        if needs is not None:
            data = yield needs, Ending.CUT
            size, last = len(data), len(data) - 8
            continue
        if len(around) > MAX_NESTING:
            yield place, Ending.LIMIT
            return
        # The next item of the sequence, or the element behind it.
        while last < place < sequence_end:
            data = yield place + 8, Ending.CUT
            size, last = len(data), len(data) - 8
        if place < sequence_end:
            raw, length = coding.tags.unpack_from(data, place)
            tag = coding.tag(raw)
            place += 8
            if tag == _ITEM:
                end = UNDEFINED if length == UNDEFINED else place + length
                if UNDEFINED != end > sequence_end:
                    yield place, Ending.BROKEN
                    return
                if length:
                    _count(of, seen)
                continue
            if tag != _SEQUENCE_END or sequence_end != UNDEFINED:
                yield place, Ending.BROKEN
                return
        end, sequence_end, of, coding = around.pop()


def _head(data: bytes, place: int, raw: int, end: int, coding: Coding, *, is_top: bool) -> _Head | Ending:
    """An element with a long VR or none, a sequence, or a delimiter."""
    tag = coding.tag(raw)
    if tag >= _PIXELS:
        if is_top:
            return Ending.BROKEN if tag >> 16 == 0xFFFE else Ending.WHOLE
        if tag == _ITEM_END and end == UNDEFINED:
            return place + 8, UNDEFINED, None
    vr, start = b"", place + 8
    if coding.explicit and tag >> 16 != 0xFFFE:
        vr = data[place + 4 : place + 6]
        if vr in SHORT:
            return start, coding.head.unpack_from(data, place)[2], None
        if vr not in LONG:
            return Ending.BROKEN
        if len(data) - place < 12:
            return Ending.CUT
        start = place + 12
    length = coding.long.unpack_from(data, start - 4)[0]
    if vr != b"SQ":
        if length != UNDEFINED and not _holds_items(data, start, length, vr, coding):
            return start, length, None
        if vr not in (b"", b"UN"):
            return Ending.BROKEN
    if length != UNDEFINED and start + length > end:
        return Ending.BROKEN
    # What is UN is implicit VR little endian inside (PS3.5 section 6.2.2, note 2).
    return start, length, IMPLICIT if vr == b"UN" else coding


def _holds_items(data: bytes, start: int, length: int, vr: bytes, coding: Coding) -> bool:
    """Whether a value of defined length that does not say so is a sequence: it begins with an item that fits. Implicit VR
    has no SQ, and what a sender did not know is UN."""
    if length < 8 or (coding.explicit and vr != b"UN"):
        return False
    inside = IMPLICIT if vr == b"UN" else coding
    if not data.startswith(inside.item, start):
        return False
    inner = int.from_bytes(data[start + 4 : start + 8], "big" if inside.big else "little")
    return inner == UNDEFINED or inner + 8 <= length


def _count(tag: int, seen: Seen) -> None:
    """A sequence has an item that is not empty."""
    if tag in wanted():
        seen.present.add(wanted()[tag])
    elif tag >> 16 & 1:
        seen.groups.add(tag >> 16)
