"""Packets for tests, built by `struct` and apart from the code under test: RFC 791, 792, 9293."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.filter import SNAP_LENGTH

SYN, RST, ACK = 0x02, 0x04, 0x10
OWN = 0xC0000201


def internet_checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    source: int, destination: int, protocol: int, payload: bytes, *, options: bytes = b"", fragment: int = 0
) -> bytes:
    words, total = 5 + len(options) // 4, 20 + len(options) + len(payload)
    header = struct.pack("!BBHHHBBHII", 0x40 | words, 0, total, 7, fragment, 64, protocol, 0, source, destination)
    return header + options + payload


def tcp(source: int, destination: int, sequence: int, acknowledged: int, flags: int, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    return (
        struct.pack("!HHIIBBHHH", source, destination, sequence, acknowledged, words << 4, flags, 512, 0, 0) + options
    )


def answer(
    address: int,
    port: int,
    own_port: int,
    sequence: int,
    *,
    flags: int = SYN | ACK,
    options: bytes = b"",
    own: int = OWN,
) -> bytes:
    """What `address` answers to our packet of this sequence number; `options` of IP."""
    segment = tcp(port, own_port, 99, (sequence + 1) & 0xFFFFFFFF, flags)
    return ip(address, own, 6, segment, options=options)


def unreachable(
    router: int, address: int, port: int, own_port: int, sequence: int, *, code: int = 1, quoted_options: bytes = b""
) -> bytes:
    """ICMP, with our header and 8 bytes behind it."""
    ours = ip(OWN, address, 6, tcp(own_port, port, sequence, 0, SYN)[:8], options=quoted_options)
    return ip(router, OWN, 1, struct.pack("!BBHI", 3, code, 0, 0) + ours)


def frames(packets: Sequence[bytes], *, behind: int = 0xFF) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """As the ring hands them out: rows of a wider array, with old bytes behind the end of each."""
    memory = np.full((len(packets), SNAP_LENGTH + 96), behind, dtype=np.uint8)
    view = memory[:, 80 : 80 + SNAP_LENGTH]
    for row, packet in zip(view, packets, strict=True):
        kept = packet[:SNAP_LENGTH]
        row[: len(kept)] = np.frombuffer(kept, dtype=np.uint8)
    return view, np.array([min(len(packet), SNAP_LENGTH) for packet in packets], dtype=np.uint32)
