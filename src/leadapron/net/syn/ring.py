"""A ring of frames that the kernel fills with answers (packet(7), PACKET_RX_RING): read by numpy, no call a packet."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import select
import socket
import struct
from collections.abc import Iterator

import numpy as np

from leadapron.net.syn.answers import Frames, Lengths
from leadapron.net.syn.filter import SNAP_LENGTH, packed, program
from leadapron.net.syn.raw import hear_everywhere, open_raw

FRAME_SIZE = 256
RUN = 4096
"""Frames that are handed out at once."""
_NET_OFFSET = 80
"""Where the IP header begins: `tpacket_rcv` of the kernel's net/packet/af_packet.c puts it, of a cooked socket, 16 bytes
behind the aligned headers (TPACKET2_HDRLEN is 52)."""
_LENGTH_COLUMN = 2
"""tp_snaplen of `struct tpacket2_hdr`, in words; tp_status is the first"""
_BLOCK_SIZE = 1 << 16

_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 5, 6, 10, 23
_SO_ATTACH_FILTER = 26
_TPACKET_V2 = 1
_KERNEL, _USER = 0, 1
"""Whose a frame is."""


class Ring:
    """Answers to `ports`, on every interface. Raises OSError."""

    def __init__(self, ports: range, frames: int) -> None:
        """`frames`: a power of two, 256 or more."""
        self._socket = open_raw(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            _attach(self._socket, ports)  # before it is bound: nothing else ever gets in
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
            size = frames * FRAME_SIZE
            request = struct.pack("@IIII", _BLOCK_SIZE, size // _BLOCK_SIZE, FRAME_SIZE, frames)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, request)
            self._memory = mmap.mmap(self._socket.fileno(), size)
            hear_everywhere(self._socket)
        except OSError:
            self._socket.close()
            raise
        self._frames = np.frombuffer(self._memory, dtype=np.uint8).reshape(frames, FRAME_SIZE)
        words = self._frames.view(np.uint32)
        self._status, self._lengths = words[:, 0], words[:, _LENGTH_COLUMN]
        self._head = 0
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def runs(self) -> Iterator[tuple[Frames, Lengths]]:
        """The frames that are there: at most RUN at a time, those of one full ring in all. They go back to the kernel when
        the next ones are asked for."""
        left = len(self._status)
        while left > 0 and self._status[self._head] & _USER:
            first = self._head
            ready = self._status[first : first + min(RUN, left)] & _USER
            # Several processors fill frames at once, so a gap may be left for a moment: up to there.
            count = len(ready) if ready.all() else int(ready.argmin())
            last = first + count
            yield self._frames[first:last, _NET_OFFSET : _NET_OFFSET + SNAP_LENGTH], self._lengths[first:last]
            self._status[first:last] = _KERNEL
            self._head = last % len(self._status)
            left -= count

    def dropped(self) -> int:
        """Answers that found the ring full since this was last asked."""
        _, drops = struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        return int(drops)

    def wait(self, seconds: float) -> None:
        """Until there is a frame, at most so long; to the millisecond."""
        self._poll.poll(seconds * 1e3)

    def close(self) -> None:
        """Frames that somebody still looks at keep their memory until they go."""
        del self._frames, self._status, self._lengths
        with contextlib.suppress(BufferError):
            self._memory.close()
        self._socket.close()


def _attach(opened: socket.socket, ports: range) -> None:
    """Attach the filter: `struct sock_fprog` of linux/filter.h."""
    instructions = program(ports)
    code = ctypes.create_string_buffer(packed(instructions))
    opened.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(instructions), ctypes.addressof(code))
    )
