"""One socket of the wide stages, and what this machine has of them."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from pathlib import Path

from leadapron.net.target import Target

SPARE_FILES = 64
"""Files that are left to the rest of the process."""

CONNECTING, SENDING, AWAITING = range(3)
"""Stages of a line: SYN sent; connected, hello not sent whole; hello sent."""

Socket = socket.SocketType
"""The C type under `socket.socket`: the same audit events at a third of the cost."""

_FAMILY = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_STREAM = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
_BYTE = tuple(map(str, range(256)))
"""`inet_ntoa` takes twice as long."""


class Line:
    """A socket and the target that it serves. Lines and, after a failed connect, their sockets serve many targets."""

    __slots__ = ("answer", "fd", "place", "socket", "stage", "target", "turn", "unsent")

    socket: Socket
    fd: int
    target: Target
    place: tuple[str, int]
    stage: int
    turn: list[Line] | None
    """the burst that it was begun in; None when it is idle"""
    unsent: bytes
    answer: bytes

    def __init__(self) -> None:
        self.turn, self.answer = None, b""

    def is_to_itself(self) -> bool:
        """Whether TCP connected the socket to itself: our own address, and a free port that became its local one."""
        return bool(self.socket.getsockname()[:2] == self.place)


def open_socket(version: int) -> Socket:
    """A TCP socket that does not block. Raises OSError."""
    return Socket(_FAMILY[version], _STREAM)


def address_text(address: int, version: int) -> str:
    if version == 4:
        return f"{_BYTE[address >> 24]}.{_BYTE[address >> 16 & 255]}.{_BYTE[address >> 8 & 255]}.{_BYTE[address & 255]}"
    return socket.inet_ntop(socket.AF_INET6, address.to_bytes(16, "big"))


def has_source(version: int, place: tuple[str, int]) -> bool:
    """Whether this machine has an address to go there from. Connecting a datagram socket sends nothing."""
    try:
        probe = Socket(_FAMILY[version], socket.SOCK_DGRAM)
    except OSError:
        return False
    try:
        return probe.connect_ex(place) != errno.EADDRNOTAVAIL
    finally:
        probe.close()


def permitted_sockets(wanted: int) -> int:
    """How many of `wanted` sockets there are files for; raises the soft limit as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        used = SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted + used + SPARE_FILES:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, soft - used - SPARE_FILES))
