"""NFS: exports with seven images of seven studies, and two texts."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from file_doors import made_up_folder
from ganesha import NFS_PORT, PROGRAMS, Export, ganesha, portmapper
from real_servers import Namespace, as_file, free_ports, instance, require
from web_servers import installed

from leadapron.model import Endpoint, Reason, Stage
from leadapron.protocols.nfs.wire.rpc import Records
from leadapron.protocols.nfs.wire.xdr import hyper, opaque, uint
from matrix.cells import (
    PROVEN,
    REFUSED,
    UNKNOWN,
    Cell,
    Hostile,
    Peer,
    State,
    at_least,
    exact,
    hostile,
    no_service,
)
from matrix.starting import answering, at, hanging_up
from protocols.nfs.nfs_peer import File, Folder
from protocols.nfs.nfs_peer import Peer as NfsPeer


@contextlib.contextmanager
def two_exports(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    require(*PROGRAMS)
    public = made_up_folder(folder).rename(folder / "public")
    private = Path(shutil.copytree(public, folder / "private"))
    exports = (Export(public, "/public"), Export(private, "/private", more="SecType = krb5;"))
    with portmapper(inside, folder), ganesha(inside, folder, *exports):
        yield at(NFS_PORT)


@contextlib.contextmanager
def rclone_nfs(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    (port,) = free_ports(1)
    quiet = ("--config", folder / "none.conf", "--cache-dir", folder / "cache", "--nfs-cache-type", "memory")
    command = (installed("rclone"), "serve", "nfs", *quiet, "--addr", at(port), made_up_folder(folder))
    with inside.serving(port, *command, log=folder / "rclone.log"):
        yield at(port)


ALL: dict[str, Any] = {"list": PROVEN, "read": PROVEN, "studies": exact(7), "images": exact(7)}

PEERS = [
    Peer(
        server="NFS-Ganesha",
        start=two_exports,
        cells=(
            Cell(
                state=State.OPEN,
                what="an export for everyone",
                resource="public",
                **ALL,
                controls=frozenset({"LA-03", "LA-43"}),
            ),
            Cell(
                state=State.LOCKED,
                what="an export with sec=krb5",
                resource="private",
                list=REFUSED,
            ),
            Cell(),
        ),
    ),
    Peer(
        server="rclone serve nfs",
        start=rclone_nfs,
        cells=(
            Cell(state=State.OPEN, resource="/", **ALL, controls=frozenset({"LA-03", "LA-43"})),
            Cell(list=UNKNOWN, why=frozenset({(Stage.LIST, Reason.PROTOCOL)})),
        ),
    ),
]

IMAGE = as_file(instance(0))


def of_records(make: Callable[[], NfsPeer]) -> Callable[[], Any]:
    """A peer that answers each record of a connection; MOUNT is on the same port."""

    def answer_of() -> Callable[[bytes], bytes]:
        peer, records = make(), Records()

        def answer(data: bytes) -> bytes:
            records.receive_data(data)
            said = b""
            while (record := records.next_record()) is not None:
                said += peer.answer(record)
            return said

        return answer

    return answering(answer_of)


def export() -> dict[str, Any]:
    return {"mounts_here": True, "exports": {b"/public": ((), Folder({b"IM000001.dcm": File(IMAGE)}))}}


class NeverDone(NfsPeer):
    """No page of a listing is the last one: behind the last entry come pages without any."""

    def _page(self, folder: Folder, cookie: int, *, plain: bool) -> bytes:
        return super()._page(folder, cookie, plain=plain)[:-4] + uint(0)


class Endless(NfsPeer):
    """A folder of as many folders as are asked for."""

    def _page(self, folder: Folder, cookie: int, *, plain: bool) -> bytes:
        out = bytes(8)
        for number in range(cookie + 1, cookie + 101):
            child = Folder()
            out += uint(1) + hyper(number) + opaque(b"%d" % number) + hyper(number)
            out += uint(1) + self._attributes(child) + uint(1) + opaque(self._handle(child))
        return out + uint(0) + uint(0)


HOSTILE = [
    hostile("hangs up", hanging_up, **no_service(Stage.HANDSHAKE, Reason.RESET)),
    hostile(
        "a record of 2 GiB",
        answering(lambda: lambda _: b"\x7f\xff\xff\xff" + bytes(1000)),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    hostile(
        "a web server",
        answering(lambda: lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    Hostile(
        server="a listing that is never done",
        serve=of_records(lambda: NeverDone(**export())),
        cells=(
            Cell(
                state=State.HOSTILE,
                resource="public",
                list=PROVEN,
                read=PROVEN,
                studies=at_least(1),
                images=at_least(1),
                why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
                controls=frozenset({"LA-03", "LA-43"}),
            ),
            Cell(),
        ),
    ),
    Hostile(
        server="folders without an end",
        serve=of_records(lambda: Endless(**export())),
        cells=(
            Cell(
                state=State.HOSTILE,
                resource="public",
                list=PROVEN,
                why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
            ),
            Cell(),
        ),
    ),
]
