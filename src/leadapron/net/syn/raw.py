"""Raw sockets, past Python's own door.

The gate's audit hook lets no raw socket be opened, since it cannot see where one sends. A sweep may: it draws each batch
through the gate itself. So its sockets are opened by the C library, here and nowhere else, and every other way to one stays
shut.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

ETH_P_IP = 0x0800
IPPROTO_RAW = 255


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def open_raw(family: int, kind: int, protocol: int) -> socket.socket:
    """A socket that does not block. Raises OSError."""
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(fileno=_checked(libc().socket(family, kind | flags, protocol)))


def hear_everywhere(opened: socket.socket) -> None:
    """Bind a packet socket to IPv4 on all interfaces, which Python's `bind` cannot say. Raises OSError."""
    place = struct.pack("@HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_IP), 0, 0, 0, 0, b"")
    _checked(libc().bind(opened.fileno(), place, len(place)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def can_sweep_raw() -> bool:
    """Whether this process may send and see raw packets: on Linux, with CAP_NET_RAW. Sends nothing."""
    if sys.platform != "linux":
        return False
    try:
        open_raw(socket.AF_INET, socket.SOCK_RAW, IPPROTO_RAW).close()
        open_raw(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except OSError:
        return False
    return True
