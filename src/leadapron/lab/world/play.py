"""What each server and box of a world does when somebody connects. State is kept of those alone to which somebody came."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
from bisect import bisect_right
from collections import Counter
from ipaddress import IPv4Address

from leadapron.lab import odd
from leadapron.lab.odd import Serve
from leadapron.lab.server import QUERY, RETRIEVE, STORE, Behaviour, OnFind
from leadapron.lab.server import Server as DicomServer
from leadapron.lab.world.model import CAPS, Box, BoxKind, Kind, Server, World
from leadapron.lab.world.studies import Whose
from leadapron.protocols.dicom.wire.pdu import AssociateRJ

DOWN = 3.0
"""Seconds for which a server that falters resets what comes."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger of socket(7)."""
_DCMTK = ("1.2.276.0.7230010.3.0.3.6.7", b"OFFIS_DCMTK_367")
_DCM4CHE = ("1.2.40.0.13.1.3", b"dcm4che-5.31.0")
_GO_NETDICOM = ("1.2.826.0.1.3680043.9.7133.1.1", b"GODICOM_1_1")
"""Of a honeypot: it takes every SOP class."""
_OPEN = QUERY | RETRIEVE | STORE
_FOR_GOOD, _FOR_NOW = AssociateRJ(result=1, source=1, reason=1), AssociateRJ(result=2, source=3, reason=2)
"""PS3.8 Table 9-21: no reason given; the provider is at its limit."""


class Players:
    """Who serves at an address and port. `asked`: see `leadapron.lab.server.Server`, over all servers."""

    def __init__(self, world: World) -> None:
        self._servers = {(int(server.address), server.port): server for server in world.servers}
        self._boxes = sorted(world.boxes, key=lambda box: box.network)
        self._starts = [int(box.network[0]) for box in self._boxes]
        self._serves: dict[object, Serve] = {}
        self.asked: Counter[str] = Counter()

    def at(self, address: str, port: int) -> Serve | None:
        """None where nothing of the world stands."""
        number = int(IPv4Address(address))
        if (server := self._servers.get((number, port))) is not None:
            return self._served(server.address, functools.partial(self._server, server), port)
        box = self._boxes[place] if (place := bisect_right(self._starts, number) - 1) >= 0 else None
        if box is None or IPv4Address(number) not in box.network:
            return None
        return self._served(box.network, functools.partial(_box, box), 0)

    def _served(self, place: object, make: functools.partial[Serve], port: int) -> Serve:
        return self._serves.get((place, port)) or self._serves.setdefault((place, port), make())

    def _server(self, server: Server) -> Serve:
        if server.kind is Kind.RESETS:
            return reset
        played = DicomServer(behaviour(server), asked=self.asked)
        if server.kind in (Kind.DIES, Kind.FALTERS):
            return Mortal(played, down=DOWN if server.kind is Kind.FALTERS else float("inf")).serve
        return played.serve


def behaviour(server: Server) -> Behaviour:
    """What a server does on an association. Caps are said by a status by every second one, and not said by the others."""
    is_odd = int(server.address) % 2
    uid, version = _GO_NETDICOM if server.whose is Whose.HONEYPOT else _DCM4CHE if is_odd else _DCMTK
    on_find, limit = OnFind.ANSWER, 0
    if server.kind in CAPS:
        on_find, limit = (OnFind.CAP if is_odd else OnFind.CAP_SILENTLY), CAPS[server.kind]
    elif server.kind in (Kind.DIES, Kind.FALTERS):
        on_find, limit = OnFind.DIE, max(1, server.holdings.studies // 2)
    elif server.kind in _ON_FIND:
        on_find = _ON_FIND[server.kind]
    rejects = (_FOR_GOOD if is_odd else _FOR_NOW) if server.kind is Kind.REJECTS else None
    return Behaviour(
        archives={"": server.holdings},
        accepts=_OPEN,
        called=frozenset(("WORLDPACS",)) if server.kind is Kind.KNOWS_ITS_TITLE else None,
        calling=frozenset(("WORLDCT1",)) if server.kind is Kind.KNOWS_ITS_CALLERS else None,
        rejects=rejects,
        takes_anything=server.whose is Whose.HONEYPOT,
        on_find=on_find,
        limit=limit,
        pause=server.pause,
        per_second=server.per_second,
        implementation_class_uid=uid,
        implementation_version_name=version,
    )


_ON_FIND = {Kind.REFUSES: OnFind.NOT_AUTHORIZED, Kind.ABORTS: OnFind.ABORT}


class Mortal:
    """A server that dies of a query. For `down` seconds after it every connection is reset."""

    def __init__(self, server: DicomServer, *, down: float) -> None:
        self._server, self._down = server, down
        self._up_at = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._up_at:
            await reset(reader, writer)
            return
        died = self._server.died
        await self._server.serve(reader, writer)
        if self._server.died > died:
            self._up_at = asyncio.get_running_loop().time() + self._down


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - says nothing
    """RST behind the handshake."""
    made: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - says nothing
    """FIN behind the handshake."""
    writer.close()


def _box(box: Box) -> Serve:
    if box.kind is BoxKind.ALIKE:
        return DicomServer(Behaviour(takes_anything=True)).serve
    return odd.silent if box.kind is BoxKind.SILENT else hang_up
