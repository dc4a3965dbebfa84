"""SYN segments, a batch at once: as the TCP of a plain Linux client sends them, option for option.

The kernel fills in the checksum of the IP header (raw(7), IP_HDRINCL). The Internet checksum does not depend on the order of
bytes (RFC 1071 2), so all of it is computed on the words as they lie in memory.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.cookie import Cookies, network_order, network_order16
from leadapron.net.syn.piece import Addresses, Ports

SIZE = 60
"""Bytes of a packet as IP counts: header, header of TCP, options."""

_IP = struct.pack("!BBHHHBBHII", 0x45, 0, SIZE, 0, 0x4000, 64, 6, 0, 0, 0)
"""RFC 791 3.1: DF, TTL 64, TCP"""
_TCP = struct.pack("!HHIIBBHHH", 0, 0, 0, 0, 10 << 4, 0x02, 64240, 0, 0)
"""RFC 9293 3.1: ten words, SYN"""
_OPTIONS = struct.pack("!BBHBBBBIIBBBB", 2, 4, 1460, 4, 2, 8, 10, 0, 0, 1, 3, 3, 7)
"""MSS (RFC 9293 3.7.1), SACK permitted (RFC 2018), timestamps, NOP, window scale (RFC 7323)"""
TEMPLATE = _IP + _TCP + _OPTIONS

_IDENTIFICATION, _SOURCE_PORT, _PORT, _CHECKSUM = 2, 10, 11, 18
"""in halves of words"""
_SOURCE, _ADDRESS, _SEQUENCE, _TIMESTAMP = 3, 4, 6, 12
"""in words"""


class SynBatch:
    """Room for `room` packets, filled anew for each batch."""

    def __init__(self, room: int) -> None:
        self.packets = np.tile(np.frombuffer(TEMPLATE, dtype=np.uint8), (room, 1))
        """uint8[room, SIZE]"""
        self.destinations = np.zeros(room, dtype=np.uint32)
        """in network order, as in a `sockaddr_in`"""
        self._words, self._halves = self.packets.view(np.uint32), self.packets.view(np.uint16)
        self._sums = np.empty(room, dtype=np.uint64)
        self._spare = np.empty(room, dtype=np.uint64)
        self._constant = _constant_sum()

    def fill(self, sources: Addresses, addresses: Addresses, ports: Ports, cookies: Cookies) -> None:
        """The first n packets. Addresses and ports in host order; `sources` may be one for all."""
        count = len(addresses)
        words, halves, destinations = self._words[:count], self._halves[:count], self.destinations[:count]
        destinations[:] = network_order(addresses)
        own, theirs, whose = network_order16(cookies.ports), network_order16(ports), network_order(sources)
        words[:, _SOURCE] = whose
        words[:, _ADDRESS] = destinations
        words[:, _SEQUENCE] = cookies.sequences
        words[:, _TIMESTAMP] = cookies.timestamps
        halves[:, _IDENTIFICATION] = cookies.identifications
        halves[:, _SOURCE_PORT] = own
        halves[:, _PORT] = theirs
        sums = self._sums[:count]
        sums[:] = self._constant
        for part in (whose, destinations, cookies.sequences, cookies.timestamps, own, theirs):
            sums += part
        halves[:, _CHECKSUM] = self._folded(sums)

    def _folded(self, sums: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
        """The ones' complement of ones' complement sums below 2^48."""
        spare = self._spare[: len(sums)]
        for _ in range(3):
            np.right_shift(sums, np.uint64(16), out=spare)
            sums &= np.uint64(0xFFFF)
            sums += spare
        return np.asarray(~sums.astype(np.uint16))


def _constant_sum() -> np.uint64:
    """Of what does not change: the pseudo header (RFC 9293 3.1) without addresses, and the template of TCP."""
    tcp = np.frombuffer(_TCP + _OPTIONS, dtype=np.uint16).astype(np.uint64).sum()
    pseudo = np.frombuffer(struct.pack("!HH", 6, len(_TCP + _OPTIONS)), dtype=np.uint16).astype(np.uint64).sum()
    return np.uint64(tcp + pseudo)
