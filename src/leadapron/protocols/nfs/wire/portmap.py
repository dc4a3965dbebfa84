"""The portmapper, version 2 (RFC 1833 section 3): which port has a program."""

from __future__ import annotations

from leadapron.protocols.nfs.wire.rpc import Call
from leadapron.protocols.nfs.wire.xdr import Reader, uint

PORT = 111
_PROGRAM, _VERSION, _GETPORT = 100000, 2, 3
_TCP = 6


def getport(program: int, version: int) -> Call:
    """PMAPPROC_GETPORT, over TCP."""
    return Call(_PROGRAM, _VERSION, _GETPORT, uint(program) + uint(version) + uint(_TCP) + uint(0))


def read_port(body: bytes) -> int:
    """0: the program is not registered, or has no port that there is. Raises WireError."""
    port = Reader(body).uint()
    return port if port < 65536 else 0
