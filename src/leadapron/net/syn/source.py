"""From where we ask: the addresses that the kernel would take, and ports that it gives to nobody."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leadapron.errors import InputError
from leadapron.net.syn.piece import Addresses, Ports

_SYSCTL = Path("/proc/sys/net/ipv4")
_ROUTES = Path("/proc/thread-self/net/route")
"""Of the namespace that this thread's sockets are in."""
_LOOPBACK = 0x7F000000, 0x7FFFFFFF
_NOT_KNOWN = -1


def check_ports(ports: range) -> None:
    """Raises InputError where the kernel may give one of them to a connection of its own: their answers would mix."""
    text = (_SYSCTL / "ip_local_port_range").read_text()
    first, last = map(int, text.split())
    shared = set(ports) & set(range(first, last + 1)) - _reserved((_SYSCTL / "ip_local_reserved_ports").read_text())
    if shared:
        raise InputError(
            f"source ports {ports.start} to {ports.stop - 1} overlap those of this machine's own connections"
            f" (net.ipv4.ip_local_port_range: {first} {last}); choose others, or narrow that range with sysctl"
        )


def _reserved(text: str) -> set[int]:
    reserved: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        reserved.update(range(int(first), int(last or first) + 1))
    return reserved


class Sources:
    """The source address on the way to each target: `fixed`, or the kernel's choice.

    The kernel is asked once for each stretch of addresses between two boundaries of its routes, by connecting a datagram
    socket, which sends nothing. 0: there is no way right now, or the gate's hook denied the question.
    """

    def __init__(self, fixed: IPv4Address | None = None) -> None:
        self._starts = np.zeros(1, dtype=np.uint32) if fixed else _boundaries(_ROUTES.read_text())
        self._sources = np.full(len(self._starts), _NOT_KNOWN, dtype=np.int64)
        if fixed:
            self._sources[0] = int(fixed)

    def of(self, addresses: Addresses, ports: Ports) -> Addresses:
        """One for each target, or one for all. The ports are those that a permitted socket may be connected to."""
        if len(self._starts) == 1 and self._sources[0] >= 0:
            return self._sources.astype(np.uint32)
        which = np.searchsorted(self._starts, addresses, side="right") - 1
        found = self._sources[which]
        if (unknown := np.flatnonzero(found == _NOT_KNOWN)).size:
            self._ask(which[unknown], addresses[unknown], ports[unknown])
            found = np.maximum(self._sources[which], 0)
        return found.astype(np.uint32)

    def are_of(self, addresses: Addresses, sources: Addresses) -> npt.NDArray[np.bool_]:
        """Whether these are the sources that the addresses were asked from; False where none was asked."""
        which = np.searchsorted(self._starts, addresses, side="right") - 1
        return np.asarray(self._sources[which] == sources)

    def _ask(self, which: npt.NDArray[np.intp], addresses: Addresses, ports: Ports) -> None:
        stretches, firsts = np.unique(which, return_index=True)
        for stretch, first in zip(stretches.tolist(), firsts.tolist(), strict=True):
            if (source := kernels_choice(int(addresses[first]), int(ports[first]))) is not None:
                self._sources[stretch] = source


def kernels_choice(address: int, port: int) -> int | None:
    """None: there is no way right now. Raises OSError where this machine has no socket to spare."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(IPv4Address(address)), port))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            return None
        return int(IPv4Address(probe.getsockname()[0]))


def _boundaries(routes: str) -> npt.NDArray[np.uint32]:
    """Where a stretch of addresses begins that one route holds for; `routes`: the main table, as in /proc/net/route."""
    edges = {0, _LOOPBACK[0], _LOOPBACK[1] + 1}
    for line in routes.splitlines()[1:]:
        fields = line.split()
        destination, mask = (socket.ntohl(int(fields[at], 16)) for at in (1, 7))
        edges |= {destination & mask, (destination | ~mask & 0xFFFFFFFF) + 1}
    return np.array(sorted(edge for edge in edges if edge <= 0xFFFFFFFF), dtype=np.uint32)
