"""What of the traffic of this machine reaches a sweep: a program in classic BPF, run by the kernel on each packet.

Passed are TCP segments to our source ports with RST, or with SYN and ACK; and ICMP "destination unreachable" that quotes a
segment from our source ports. Never the contents of anybody's connection: those ports are not in use for any.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

SNAP_LENGTH = 160
"""Bytes of a packet that are kept: an IP header and one quoted in ICMP at their longest (60 each), 8 of ICMP, 8 of TCP,
rounded up."""

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, k; as in `struct sock_filter` of linux/filter.h"""

_LD_BYTE, _LD_HALF, _LD_BYTE_X, _LD_HALF_X = 0x30, 0x28, 0x50, 0x48
_LDX_HEADER = 0xB1
"""X = 4 * (byte & 0xf): the length of an IP header"""
_AND, _SHIFT_LEFT, _ADD_X, _TO_X = 0x54, 0x64, 0x0C, 0x07
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _RETURN = 0x15, 0x25, 0x35, 0x45, 0x06

_Line = tuple[int, int] | tuple[int, int, str, str]
"""code and k, and for a jump the labels; "": the next line"""


def program(ports: range) -> list[Instruction]:
    """For a cooked packet socket: offset 0 is the first byte of the IP header. `ports`: ours, a range of step 1."""
    lines: list[_Line | str] = [
        (_LD_BYTE, 0),
        (_AND, 0xF0),
        (_EQUAL, 0x40, "", "drop"),  # IPv4
        (_LD_HALF, 6),
        (_ANY_BIT, 0x1FFF, "drop", ""),  # a later fragment has no ports
        (_LDX_HEADER, 0),
        (_LD_BYTE, 9),
        (_EQUAL, 6, "tcp", ""),
        (_EQUAL, 1, "icmp", "drop"),
        "tcp",
        (_LD_HALF_X, 2),  # destination port
        (_AT_LEAST, ports.start, "", "drop"),
        (_GREATER, ports.stop - 1, "drop", ""),
        (_LD_BYTE_X, 13),  # flags
        (_ANY_BIT, 0x04, "keep", ""),
        (_AND, 0x12),
        (_EQUAL, 0x12, "keep", "drop"),
        "icmp",
        (_LD_BYTE_X, 0),
        (_EQUAL, 3, "", "drop"),
        (_LD_BYTE_X, 8 + 9),  # protocol that is quoted
        (_EQUAL, 6, "", "drop"),
        (_LD_BYTE_X, 8),
        (_AND, 0x0F),
        (_SHIFT_LEFT, 2),
        (_ADD_X, 0),
        (_TO_X, 0),  # X = both headers
        (_LD_HALF_X, 8),  # source port that is quoted
        (_AT_LEAST, ports.start, "", "drop"),
        (_GREATER, ports.stop - 1, "drop", "keep"),
        "keep",
        (_RETURN, SNAP_LENGTH),
        "drop",
        (_RETURN, 0),
    ]
    return _assembled(lines)


def _assembled(lines: Sequence[_Line | str]) -> list[Instruction]:
    labels: dict[str, int] = {}
    code: list[_Line] = []
    for line in lines:
        if isinstance(line, str):
            labels[line] = len(code)
        else:
            code.append(line)
    assembled: list[Instruction] = []
    for number, line in enumerate(code, start=1):
        yes, no = (labels.get(label, number) - number for label in line[2:]) if len(line) == 4 else (0, 0)
        assembled.append((line[0], yes, no, line[1]))
    return assembled


def packed(instructions: Sequence[Instruction]) -> bytes:
    """As an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
