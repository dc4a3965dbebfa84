"""Batches to the kernel: `sendmmsg` on a raw socket, so that its routes, neighbours and nftables hold."""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from leadapron.net.syn.packets import SIZE, SynBatch
from leadapron.net.syn.raw import IPPROTO_RAW, libc, open_raw

MOST = 1024
"""Packets of one batch."""
_CALL = 256
"""Packets of one call of the kernel, between two looks whether to stop."""
PATIENCE = 500
"""Pauses in a row, of a millisecond at most, for room in the kernel's queues."""
_PAUSE = 0.001

_IP_RECVERR = 11
"""Without it a queue that is full drops a packet and says that it was sent (`raw_send_hdrinc` of the kernel's
net/ipv4/raw.c)."""
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR})


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint))


_STEP = ctypes.sizeof(_MMsgHdr)


class Sent(NamedTuple):
    """What became of a batch."""

    reached: int
    """how far it came; less than all where the kernel's queues stayed full, or a stop came"""
    full: int
    """`errno` of queues that stayed full, else 0"""
    failed: dict[int, int]
    """`errno` of those before that the kernel refused, by their place in the batch"""
    seconds: float
    """of the thread's processor time"""


class Sender:
    """Sends `batch`, whose memory it points to. Raises OSError when it is made."""

    def __init__(self, batch: SynBatch) -> None:
        room = len(batch.packets)
        self.batch = batch
        self._socket = open_raw(socket.AF_INET, socket.SOCK_RAW, IPPROTO_RAW)
        self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)
        self._send = libc().sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._places = np.zeros((room, 4), dtype=np.uint32)
        """of `struct sockaddr_in`"""
        family = np.frombuffer(struct.pack("@HH", socket.AF_INET, 0), dtype=np.uint32)
        self._places[:, 0] = family[0]
        self._vectors, self._messages = (_IoVec * room)(), (_MMsgHdr * room)()
        packets, places, vectors = batch.packets.ctypes.data, self._places.ctypes.data, ctypes.addressof(self._vectors)
        for i in range(room):
            self._vectors[i] = _IoVec(packets + i * SIZE, SIZE)
            vector = vectors + i * ctypes.sizeof(_IoVec)
            self._messages[i].header = _MsgHdr(places + i * 16, 16, vector, 1, None, 0, 0)
        self._at = ctypes.addressof(self._messages)

    def send(self, count: int, should_stop: Callable[[], bool]) -> Sent:
        """The first `count` packets of the batch. `should_stop` is asked before each call of the kernel. Lets other threads
        run meanwhile."""
        begun = time.thread_time()
        self._places[:count, 1] = self.batch.destinations[:count]
        file, failed = self._socket.fileno(), dict[int, int]()
        done, pauses, number = 0, PATIENCE, 0
        while done < count and pauses and not should_stop():
            sent = self._send(file, self._at + done * _STEP, min(count - done, _CALL), 0)
            if sent > 0:
                done, pauses = done + sent, PATIENCE
            elif (number := ctypes.get_errno()) in _FULL:
                pauses -= 1
                self._wait_for_room(number)
            else:
                failed[done] = number
                done += 1
        return Sent(done, 0 if pauses else number, failed, time.thread_time() - begun)

    def _wait_for_room(self, number: int) -> None:
        if number == errno.EAGAIN:
            self._poll.poll(_PAUSE * 1e3)
        else:  # the queue of the interface, which does not tell when it has room again
            time.sleep(_PAUSE)

    def close(self) -> None:
        self._socket.close()
