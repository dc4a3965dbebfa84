"""What our SYN to a target looks like, from a key: so that nothing is remembered, and nothing can be forged.

Sequence number, source port, IP identification and timestamp are AES-128 of the target under the key of the run. An
answer has to acknowledge that sequence number at that port (RFC 9293 3.10.7.3): 32 bits, and those of the port. Who did not
see our packet has to guess them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from leadapron.net.syn.piece import Addresses, Ports

KEY_SIZE = 16
_BLOCK = 16


class Cookies(NamedTuple):
    """Of n targets. `ports` in host order, the others as they stand in a packet, read as native words."""

    sequences: npt.NDArray[np.uint32]
    timestamps: npt.NDArray[np.uint32]
    identifications: npt.NDArray[np.uint16]
    ports: npt.NDArray[np.uint16]


class CookieJar:
    """Cookies under one key. Not for several threads at once. Raises ValueError for a key of another size than 16."""

    def __init__(self, key: bytes, source_ports: range) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes")
        # ECB is right here: blocks differ, and one at a time is what a pseudo-random function is asked for.
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        self._first, self._count = np.uint32(source_ports.start), np.uint32(len(source_ports))
        self._make_room(1024)

    def of(self, addresses: Addresses, ports: Ports) -> Cookies:
        """Valid until the next call."""
        count = len(addresses)
        if count > len(self._plain):
            self._make_room(count)
        plain = self._plain[:count]
        plain[:, 0] = addresses
        plain[:, 1] = ports
        self._encryptor.update_into(self._blocks[: count * _BLOCK], self._room)
        words, halves = self._words[:count], self._halves[:count]
        picks = halves[:, 5].astype(np.uint32)
        picks *= self._count
        picks >>= np.uint32(16)
        picks += self._first
        return Cookies(words[:, 0], words[:, 1], halves[:, 4], picks.astype(np.uint16))

    def _make_room(self, count: int) -> None:
        self._blocks = memoryview(bytearray(count * _BLOCK))
        self._plain = np.frombuffer(self._blocks, dtype=np.uint32).reshape(count, -1)
        self._room = bytearray(count * _BLOCK + _BLOCK - 1)  # as much as `update_into` asks for
        cipher = np.frombuffer(self._room, dtype=np.uint8)[: count * _BLOCK]
        self._words = cipher.view(np.uint32).reshape(count, -1)
        self._halves = cipher.view(np.uint16).reshape(count, -1)


def network_order(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Host order to network order, and back."""
    return numbers.astype(">u4").view(np.uint32)


def network_order16(numbers: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    return numbers.astype(">u2").view(np.uint16)
