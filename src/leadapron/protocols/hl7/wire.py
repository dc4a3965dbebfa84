"""The Minimal Lower Layer Protocol, sans-IO (HL7 Transport Specification: MLLP, release 1, and the acknowledgements of
release 2)."""

from __future__ import annotations

import enum

_START, _END, _CARRIAGE_RETURN = b"\x0b", b"\x1c", b"\x0d"
EMPTY = _START + _END + _CARRIAGE_RETURN
"""A block without content. An HL7 message begins with MSH: this is none."""
MAX_BLOCK = 64 << 10
"""Bytes that are waited for behind a start of a block."""


class Heard(enum.StrEnum):
    MESSAGE = "message"
    """a block with an HL7 message, e.g. one that says that ours was none"""
    ACKNOWLEDGED = "acknowledged"
    """a commit acknowledgement of release 2"""
    REJECTED = "rejected"
    """a negative one"""
    BLOCK = "block"
    """any other block"""


class _NeedData(enum.Enum):
    NEED_DATA = 0


NEED_DATA = _NeedData.NEED_DATA

_BLOCKS = {b"\x06": Heard.ACKNOWLEDGED, b"\x15": Heard.REJECTED}
_HEADS = (b"MSH", b"FHS", b"BHS")
"""Segments that a message, a file or a batch begins with."""


def read_block(data: bytes) -> Heard | _NeedData | None:
    """What the first block is; None: this is not MLLP. Its content is looked at, and not kept."""
    if data[:1] not in (b"", _START):
        return None
    end = data.find(_END + _CARRIAGE_RETURN, 1)
    if end < 0:
        return NEED_DATA if len(data) <= MAX_BLOCK else None
    content = data[1:end]
    return _BLOCKS.get(content) or (Heard.MESSAGE if content.startswith(_HEADS) else Heard.BLOCK)
