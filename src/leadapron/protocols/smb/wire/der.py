"""The little of DER (X.690) that SPNEGO is written in: one tag byte, definite lengths."""

from __future__ import annotations

from leadapron.errors import WireError

SEQUENCE, OCTETS, ENUMERATED, OBJECT = 0x30, 0x04, 0x0A, 0x06
_MAX_LENGTH_BYTES = 3
MAX_ELEMENTS = 16
"""In one sequence."""


def element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def split(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it. Raises WireError."""
    if len(data) < 2:
        raise WireError("a DER element without its length")
    tag, length, place = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= _MAX_LENGTH_BYTES or len(data) < 2 + count:
            raise WireError("a DER length that is indefinite or too long")
        length, place = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if place + length > len(data):
        raise WireError("a DER element longer than what holds it")
    return tag, data[place : place + length], data[place + length :]


def inside(data: bytes, tag: int) -> bytes:
    """The content of the one element that `data` begins with. Raises WireError where it has another tag."""
    found, content, _ = split(data)
    if found != tag:
        raise WireError("another DER element than the one that stands here")
    return content


def elements(data: bytes) -> dict[int, bytes]:
    """The elements of a sequence, by their tags. Raises WireError."""
    found: dict[int, bytes] = {}
    while data:
        if len(found) == MAX_ELEMENTS:
            raise WireError("more DER elements than there are kinds of them")
        tag, content, data = split(data)
        if tag in found:
            raise WireError("a DER element twice")
        found[tag] = content
    return found
