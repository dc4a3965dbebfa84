"""iSCSI: whether a target talks to a stranger. Its disks are not asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from real_servers import Namespace, free_ports, require

from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import Cell, Peer, State, hostile, no_service
from matrix.starting import answering, at, hanging_up, says_and_closes
from protocols.iscsi.test_iscsi_login import response


@contextlib.contextmanager
def tgt(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    """A target without a disk: it talks of it all the same. The daemon does not end while it has one."""
    require("tgtd", "tgtadm")
    (port,) = free_ports(1)
    here, control = at(port), f"TGT_IPC_SOCKET={folder / 'control'}"
    own = ("env", control, "tgtadm", "--lld", "iscsi", "--mode", "target", "--tid", 1)
    with inside.serving(port, "env", control, "tgtd", "-f", "--iscsi", f"portal={here}", log=folder / "tgtd.log"):
        made = inside.run(*own, "--op", "new", "-T", "iqn.2026-11.invalid:made-up")
        assert made.returncode == 0, made.stderr
        try:
            yield here
        finally:
            inside.run(*own, "--op", "delete")


PEERS = [Peer(server="Linux SCSI target framework (tgt)", start=tgt, cells=(Cell(state=State.OPEN),))]

HOSTILE = [
    hostile("hangs up", hanging_up, **no_service(Stage.HANDSHAKE, Reason.RESET)),
    hostile(
        "a response of 16 MiB",
        answering(lambda: lambda _: response()[:5] + b"\xff\xff\xff" + response()[8:]),
        **no_service(Stage.HANDSHAKE, Reason.LIMIT),
    ),
    hostile(
        "half a response",
        lambda: says_and_closes(response()[:50]),
        **no_service(Stage.HANDSHAKE, Reason.TRUNCATED),
    ),
    hostile(
        "a web server",
        answering(lambda: lambda _: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
]
