"""Data elements of identifiers and command sets, little endian (PS3.5 chapter 7).

`walk` gives places, not values: who wants a value cuts it out, reads it and forgets it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from leadapron.errors import WireError

_TAG_LENGTH = struct.Struct("<HHI")
_SHORT = struct.Struct("<H")
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_VR_BYTES = frozenset(range(0x41, 0x5B))

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

MAX_ELEMENTS = 20_000
"""Elements of one data set, nested ones included."""
MAX_NESTING = 16
"""Sequences inside sequences: an identifier has two or three."""


class Element(NamedTuple):
    """Where an element lies: `data[start:end]` is its value; for a sequence of undefined length, all of its items."""

    tag: int
    """group << 16 | element"""
    start: int
    end: int


def walk(data: bytes, *, explicit: bool, start: int = 0, end: int | None = None) -> Iterator[Element]:
    """The top-level elements of a data set. Raises WireError where lengths, order of nesting or limits break."""
    position = start
    stop = len(data) if end is None else end
    budget = [MAX_ELEMENTS]
    while position < stop:
        tag, value, length, is_sequence = _head(data, position, stop, explicit, budget)
        if length == UNDEFINED:
            if not is_sequence:
                raise WireError("only a sequence may have an undefined length")
            after = _skip_sequence(data, value, stop, explicit, budget)
        else:
            after = value + length
            if after > stop:
                raise WireError("an element overruns its data set")
        yield Element(tag, value, after)
        position = after


def _head(data: bytes, position: int, stop: int, explicit: bool, budget: list[int]) -> tuple[int, int, int, bool]:
    """Tag, place of the value, length, and whether it may be a sequence."""
    budget[0] -= 1
    if budget[0] < 0:
        raise WireError("too many elements", limit=True)
    if stop - position < 8:
        raise WireError("element header cut short")
    group, element, length = _TAG_LENGTH.unpack_from(data, position)
    tag = group << 16 | element
    if not explicit or group == 0xFFFE:
        return tag, position + 8, length, True
    vr = data[position + 4 : position + 6]
    if vr not in _LONG_VRS:
        if not _VR_BYTES.issuperset(vr):
            raise WireError("an undefined value representation")
        return tag, position + 8, _SHORT.unpack_from(data, position + 6)[0], False
    if stop - position < 12:
        raise WireError("element header cut short")
    return tag, position + 12, int.from_bytes(data[position + 8 : position + 12], "little"), vr in (b"SQ", b"UN")


def _skip_sequence(data: bytes, position: int, stop: int, explicit: bool, budget: list[int]) -> int:
    """The place behind a sequence of undefined length whose items begin at `position`. Iterative: depth is bounded."""
    open_items = [False]  # for each open level: inside an item of undefined length?
    while open_items:
        tag, value, length, is_sequence = _head(data, position, stop, explicit, budget)
        inside = open_items[-1]
        if tag == (ITEM_END if inside else SEQUENCE_END):
            if inside:
                open_items[-1] = False
            else:
                open_items.pop()
            position = value
        elif not inside and tag != ITEM:
            raise WireError("a sequence holds something that is no item")
        elif length != UNDEFINED:
            position = value + length
            if position > stop:
                raise WireError("an element overruns its sequence")
        elif not inside:
            open_items[-1] = True
            position = value
        elif is_sequence:
            open_items.append(False)
            if len(open_items) > MAX_NESTING:
                raise WireError("sequences nested too deep", limit=True)
            position = value
        else:
            raise WireError("only a sequence may have an undefined length")
    return position


def encode(elements: Iterable[tuple[int, bytes]], *, vrs: dict[int, bytes] | None = None) -> bytes:
    """(tag, value) pairs as a data set, in the order of their tags; implicit VR, or explicit with `vrs` given.

    Values of odd length are padded: with a NUL for UIDs (tags named in `NUL_PADDED`), else with a space.
    """
    parts = []
    for tag, value in sorted(elements):
        if len(value) % 2:
            value += b"\0" if tag in NUL_PADDED else b" "
        group, element = tag >> 16, tag & 0xFFFF
        if vrs is None:
            parts.append(_TAG_LENGTH.pack(group, element, len(value)) + value)
        elif (vr := vrs[tag]) in _LONG_VRS:
            parts.append(struct.pack("<HH2sxxI", group, element, vr, len(value)) + value)
        else:
            parts.append(struct.pack("<HH2sH", group, element, vr, len(value)) + value)
    return b"".join(parts)


NUL_PADDED = frozenset((0x00000002, 0x00000003, 0x00001000, 0x0020000D, 0x0020000E, 0x00080016, 0x00080018))
"""Tags of value representation UI that this codec writes."""
