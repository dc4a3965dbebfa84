"""The first 132 bytes of a file: whether it is DICOM, and whether its preamble makes it something else as well.

The 128 bytes before `DICM` are free for any use (PS3.10 section 7.1), e.g. to be a TIFF file too; CVE-2019-11687 is that an
executable may lie there, which virus scanners take for an image.
"""

from __future__ import annotations

import enum

LENGTH = 132
"""Bytes."""

_EXECUTABLE = (
    b"MZ",  # DOS and Windows
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",  # Mach-O, both widths and byte orders
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",  # Mach-O of several architectures
    b"#!",
    b"%PDF-",
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Preamble(enum.StrEnum):
    NONE = "none"
    """no DICM: not the Part 10 format"""
    PLAIN = "plain"
    """zero, as is usual"""
    TIFF = "tiff"
    """of a file that is TIFF as well"""
    EXECUTABLE = "executable"
    """of a program, a script, or a document that runs some"""
    OTHER = "other"


def classify(data: bytes) -> Preamble:
    """Of the first `LENGTH` bytes, or of as many as there are."""
    if data[128:LENGTH] != b"DICM":
        return Preamble.NONE
    if data.startswith(_EXECUTABLE):
        return Preamble.EXECUTABLE
    if data.startswith(_TIFF):
        return Preamble.TIFF
    return Preamble.OTHER if data[:128].strip(b"\0 ") else Preamble.PLAIN
