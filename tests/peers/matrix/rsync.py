"""The daemon of rsync: modules with seven images by their names, and two texts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from file_doors import rsyncd
from real_servers import Namespace

from leadapron.model import Reason, Stage
from matrix.cells import PROVEN, REFUSED, UNKNOWN, Cell, Hostile, Peer, Start, State, hostile, no_service
from matrix.starting import serving
from protocols.rsync.rsync_peer import SEED, RsyncPeer, endless
from protocols.rsync.test_rsync_flist import DIRECTORY, REGULAR, encode, frames


def module(name: str, *lines: str) -> Start:
    """One module of the whole folder."""

    def start(inside: Namespace, folder: Path, root: Path) -> AbstractContextManager[int]:
        secrets = folder / "secrets"
        secrets.write_text("somebody:made up\n")
        secrets.chmod(0o600)
        more = "".join(f"{line}\n" for line in lines).format(secrets=secrets)
        return rsyncd(inside, folder, f"[{name}]\npath = {root}\n{more}")

    return serving(start)


THE_DAEMON = Cell()
NAMES_ONLY = frozenset({(Stage.COUNT, Reason.LIMIT), (Stage.CENSUS, Reason.LIMIT)})
LOCKED: dict[str, Any] = {"state": State.LOCKED, "list": REFUSED, "read": REFUSED}

PEERS = [
    Peer(
        server="rsync, a module for anyone",
        start=module("public"),
        cells=(
            Cell(
                state=State.OPEN,
                resource="public",
                list=PROVEN,
                read=UNKNOWN,
                why=NAMES_ONLY,
                controls=frozenset({"LA-03", "LA-43"}),
            ),
            THE_DAEMON,
        ),
    ),
    Peer(
        server="rsync, auth users",
        start=module("private", "auth users = somebody", "secrets file = {secrets}"),
        cells=(Cell(resource="private", **LOCKED), THE_DAEMON),
    ),
    Peer(
        server="rsync, hosts deny",
        start=module("internal", "hosts deny = *"),
        cells=(Cell(resource="internal", **LOCKED), THE_DAEMON),
    ),
]

FIRST = encode([(b".", 0, DIRECTORY), (b"study", 0, DIRECTORY), (b"study/a.dcm", 9000, REGULAR)])[:-5]
MORE = encode([(b"study/a.dcm", 9000, REGULAR)])[:-5]


async def hanging_up() -> AsyncIterator[bytes]:
    yield SEED + frames(FIRST)
    raise ConnectionResetError


async def without_end() -> AsyncIterator[bytes]:
    yield SEED + frames(FIRST)
    while True:
        yield frames(MORE * 100)


def behind(server: str, why: frozenset[tuple[Stage, Reason]], peer: RsyncPeer) -> Hostile:
    """One whose list of files is not as it should be."""
    cell = Cell(
        state=State.HOSTILE,
        resource="public",
        list=PROVEN,
        read=UNKNOWN,
        why=why,
        controls=frozenset({"LA-03", "LA-43"}),
    )
    return Hostile(server=server, serve=lambda: peer.serve, cells=(cell, THE_DAEMON))


HOSTILE = [
    hostile("silent", lambda: RsyncPeer(greeting=b"").serve, **no_service(Stage.HANDSHAKE, Reason.TIMEOUT)),
    hostile(
        "a greeting without an end",
        lambda: RsyncPeer(greeting=b"x" * 100_000).serve,
        **no_service(Stage.HANDSHAKE, Reason.LIMIT),
    ),
    hostile(
        "modules without an end",
        lambda: RsyncPeer(modules=endless(b"motd\n" * 100)).serve,
        list=UNKNOWN,
        read=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.LIMIT)}),
    ),
    behind(
        "a list of files without an end",
        NAMES_ONLY | {(Stage.COUNT, Reason.BUDGET)},
        RsyncPeer(listing=without_end),
    ),
    behind(
        "a list of files that stops",
        NAMES_ONLY | {(Stage.COUNT, Reason.RESET)},
        RsyncPeer(listing=hanging_up),
    ),
]
