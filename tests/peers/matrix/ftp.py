"""FTP: folders with seven images of seven studies, and two texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from file_doors import proftpd, pyftpdlib, require_proftpd, vsftpd
from real_servers import Namespace, as_file, instance
from tls_servers import Maker

from leadapron.model import Reason, Stage
from matrix.cells import (
    OFFERED,
    PROVEN,
    REFUSED,
    UNKNOWN,
    Cell,
    Hostile,
    Peer,
    Start,
    State,
    at_least,
    exact,
    hostile,
    no_service,
)
from matrix.starting import serving
from protocols.ftp.ftp_peer import FtpPeer, endless, sending, silent


def proftpd_for(anyone: bool) -> Start:
    def start(inside: Namespace, folder: Path, root: Path) -> AbstractContextManager[int]:
        require_proftpd()
        return proftpd(inside, folder, root if anyone else None)

    return serving(start)


TLS_ONLY = {"allow_anon_ssl": "YES", "force_anon_logins_ssl": "YES", "force_anon_data_ssl": "YES"}


@contextlib.contextmanager
def inside_tls(inside: Namespace, folder: Path, root: Path) -> Iterator[int]:
    with vsftpd(inside, folder, root, Maker(folder=folder).make("pacs"), **TLS_ONLY) as port:
        yield port


LOGIN = Cell(controls=frozenset({"LA-23"}))
NO_LOGIN = Cell()
OPEN = Cell(
    state=State.OPEN,
    resource="/",
    list=PROVEN,
    read=PROVEN,
    studies=exact(7),
    images=exact(7),
    controls=frozenset({"LA-03", "LA-43"}),
)
IN_TLS = replace(OPEN, controls=frozenset({"LA-03"}))
WRITABLE = Cell(
    state=State.OPEN,
    resource="/",
    list=PROVEN,
    read=PROVEN,
    write=OFFERED,
    studies=exact(7),
    images=exact(7),
    controls=frozenset({"LA-03", "LA-41", "LA-43"}),
)
LOCKED = Cell(state=State.LOCKED, resource="/", list=REFUSED, read=REFUSED)

PEERS = [
    Peer(server="vsftpd, anonymous", start=serving(vsftpd), cells=(OPEN, LOGIN)),
    Peer(server="vsftpd, anonymous inside TLS only", start=serving(inside_tls), cells=(IN_TLS, LOGIN)),
    Peer(server="ProFTPD, anonymous", start=proftpd_for(anyone=True), cells=(OPEN, LOGIN)),
    Peer(
        server="pyftpdlib, anonymous may write",
        start=serving(lambda *places: pyftpdlib(*places, permissions="elradfmwM")),
        cells=(WRITABLE, LOGIN),
    ),
    Peer(
        server="vsftpd, users only",
        start=serving(lambda *places: vsftpd(*places, anonymous_enable="NO", local_enable="YES")),
        cells=(LOCKED, NO_LOGIN),
    ),
    Peer(server="ProFTPD, users only", start=proftpd_for(anyone=False), cells=(LOCKED, NO_LOGIN)),
]


IMAGE = as_file(instance(0))
LINE = b"type=file;size=%d; IM000001\r\n" % len(IMAGE)
NOWHERE = {b"EPSV": b"500 no\r\n", b"PASV": b"227 Entering (198,18,0,9,0,9)\r\n"}


def behind_the_login(server: str, peer: Callable[[], FtpPeer], **seen: Any) -> Hostile:
    """One that lets anyone in."""
    cells = (Cell(state=State.HOSTILE, resource="/", **seen), LOGIN)
    return Hostile(server=server, serve=lambda: peer().serve, cells=cells)


HOSTILE = [
    hostile("silent", lambda: FtpPeer(greeting=b"").serve, **no_service(Stage.HANDSHAKE, Reason.TIMEOUT)),
    hostile(
        "a greeting without an end",
        lambda: FtpPeer(greeting=b"220-" + b"more\r\n" * 20_000).serve,
        **no_service(Stage.HANDSHAKE, Reason.LIMIT),
    ),
    behind_the_login(
        "a listing without an end",
        lambda: FtpPeer(data={b"MLSD": endless(LINE), b"RETR": sending(IMAGE)}),
        list=PROVEN,
        read=PROVEN,
        studies=at_least(1),
        images=at_least(1),
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    behind_the_login(
        "a folder that contains itself",
        lambda: FtpPeer(data={b"MLSD": sending(b"type=dir; again\r\n" + LINE), b"RETR": sending(IMAGE)}),
        list=PROVEN,
        read=PROVEN,
        studies=at_least(1),
        images=at_least(1),
        why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    behind_the_login(
        "a listing that never comes",
        lambda: FtpPeer(data={b"MLSD": silent}),
        list=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.TIMEOUT), (Stage.COUNT, Reason.TIMEOUT)}),
    ),
    behind_the_login(
        "data at another host",
        lambda: FtpPeer(answers=NOWHERE),
        list=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.REFUSED), (Stage.COUNT, Reason.REFUSED)}),
    ),
]
