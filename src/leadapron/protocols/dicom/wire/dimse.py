"""DIMSE messages: C-ECHO, C-FIND and C-CANCEL, requests and responses (PS3.7 chapter 9 and Annex E)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.protocols.dicom.wire import elements
from leadapron.protocols.dicom.wire.items import uid_of

_U16 = struct.Struct("<H")

MAX_COMMAND_LENGTH = 4096
"""Bytes of a command set: ours have under 150, PS3.7 Annex E allows little more."""

GROUP_LENGTH, AFFECTED_SOP_CLASS = 0x00000000, 0x00000002
COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_RESPONDED = 0x00000100, 0x00000110, 0x00000120
PRIORITY, DATA_SET_TYPE, STATUS = 0x00000700, 0x00000800, 0x00000900

NO_DATA_SET = 0x0101
"""The Command Data Set Type of a message without a data set (PS3.7 Table E.1-1)."""


class CommandField(enum.IntEnum):
    """PS3.7 Table E.1-1. Responses are requests with the highest bit set."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    C_CANCEL_RQ = 0x0FFF
    C_STORE_RSP = 0x8001
    C_GET_RSP = 0x8010
    C_FIND_RSP = 0x8020
    C_MOVE_RSP = 0x8021
    C_ECHO_RSP = 0x8030


class Status(enum.IntEnum):
    """Statuses that decide a verdict (PS3.7 Annex C, PS3.4 Table C.4-1)."""

    SUCCESS = 0x0000
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    IDENTIFIER_DOES_NOT_MATCH = 0xA900
    UNABLE_TO_PROCESS = 0xC000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_WARNING = 0xFF01


def is_pending(status: int) -> bool:
    return status in (Status.PENDING, Status.PENDING_WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command set. `message_id` is that of a request, or the one a response answers."""

    field: int
    message_id: int
    sop_class: str = ""
    has_data_set: bool = False
    status: int | None = None
    """responses only"""

    @property
    def is_response(self) -> bool:
        return bool(self.field & 0x8000)

    def encode(self) -> bytes:
        """The command set, implicit VR little endian, group length first (PS3.7 section 6.3.1)."""
        answers = self.is_response or self.field == CommandField.C_CANCEL_RQ
        fields = [
            (COMMAND_FIELD, _U16.pack(self.field)),
            (MESSAGE_ID_RESPONDED if answers else MESSAGE_ID, _U16.pack(self.message_id)),
            (DATA_SET_TYPE, _U16.pack(0x0001 if self.has_data_set else NO_DATA_SET)),
        ]
        if self.sop_class:
            fields.append((AFFECTED_SOP_CLASS, self.sop_class.encode()))
        if self.field == CommandField.C_FIND_RQ:
            fields.append((PRIORITY, _U16.pack(0x0002)))  # low: an audit waits for patients
        if self.status is not None:
            fields.append((STATUS, _U16.pack(self.status)))
        body = elements.encode(fields)
        return elements.encode([(GROUP_LENGTH, struct.pack("<I", len(body)))]) + body

    @classmethod
    def decode(cls, data: bytes) -> Command:
        """Raises WireError."""
        if len(data) > MAX_COMMAND_LENGTH:
            raise WireError("a command set is longer than its limit", limit=True)
        values: dict[int, bytes] = {}
        for tag, start, end in elements.walk(data, explicit=False):
            if tag >> 16:
                raise WireError("a command set holds an element of another group")
            values[tag] = data[start:end]
        field = _number(values, COMMAND_FIELD)
        answers = bool(field & 0x8000) or field == CommandField.C_CANCEL_RQ
        sop_class = values.get(AFFECTED_SOP_CLASS, b"").rstrip(b"\0 ")
        return cls(
            field=field,
            message_id=_number(values, MESSAGE_ID_RESPONDED if answers else MESSAGE_ID),
            sop_class=uid_of(sop_class) if sop_class else "",
            has_data_set=_number(values, DATA_SET_TYPE) != NO_DATA_SET,
            status=_number(values, STATUS) if field & 0x8000 else None,
        )


def _number(values: dict[int, bytes], tag: int) -> int:
    raw = values.get(tag)
    if raw is None:
        raise WireError("a command set lacks a mandatory element")
    if len(raw) != _U16.size:
        raise WireError("a command element of a wrong length")
    return int(_U16.unpack(raw)[0])


def echo_request(message_id: int, sop_class: str) -> Command:
    """C-ECHO-RQ (PS3.7 Table 9.3-12)."""
    return Command(field=CommandField.C_ECHO_RQ, message_id=message_id, sop_class=sop_class)


def find_request(message_id: int, sop_class: str) -> Command:
    """C-FIND-RQ (PS3.7 Table 9.3-3), low priority."""
    return Command(field=CommandField.C_FIND_RQ, message_id=message_id, sop_class=sop_class, has_data_set=True)


def cancel_request(message_id: int) -> Command:
    """C-CANCEL-RQ for the request `message_id` (PS3.7 Table 9.3-6)."""
    return Command(field=CommandField.C_CANCEL_RQ, message_id=message_id)


def response(request: Command, status: int, *, has_data_set: bool = False) -> Command:
    """The response to `request`."""
    return Command(
        field=request.field | 0x8000,
        message_id=request.message_id,
        sop_class=request.sop_class,
        has_data_set=has_data_set,
        status=status,
    )
