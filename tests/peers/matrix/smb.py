"""SMB: shares with seven images of seven studies, and two texts."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from real_servers import Namespace, free_ports, require
from samba import SMBD, smbd

from leadapron.model import Reason, Stage
from leadapron.protocols.smb.wire.header import Command, Status
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
from matrix.starting import answering, hanging_up, serving
from protocols.smb.smb_server import Answer, Said, Server, entries, entry


def samba(name: str, settings: dict[str, str] | None = None, **share: str) -> Start:
    """One share of the whole folder, with its options; `settings` are global ones."""

    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path, root: Path) -> Iterator[int]:
        require(SMBD)
        if share.get("read_only") == "no":
            root.chmod(0o777)
        (port,) = free_ports(1)
        options = {key.replace("_", " "): value for key, value in share.items()}
        with smbd(inside, folder / "samba", port, {name: {"path": root, **options}}, **(settings or {})):
            yield port

    return serving(start)


LOGIN = Cell(controls=frozenset({"LA-23"}))
OPEN: dict[str, Any] = {
    "state": State.OPEN,
    "resource": "public",
    "list": PROVEN,
    "read": PROVEN,
    "studies": exact(7),
    "images": exact(7),
}

PEERS = [
    Peer(
        server="Samba, guest ok",
        start=samba("public", guest_ok="yes"),
        cells=(Cell(**OPEN, write=REFUSED, controls=frozenset({"LA-03", "LA-43"})), LOGIN),
    ),
    Peer(
        server="Samba, guest ok, not read only",
        start=samba("public", guest_ok="yes", read_only="no"),
        cells=(Cell(**OPEN, write=OFFERED, controls=frozenset({"LA-03", "LA-41", "LA-43"})), LOGIN),
    ),
    Peer(
        server="Samba, no guests on the share",
        start=samba("private", guest_ok="no"),
        cells=(Cell(state=State.LOCKED, resource="private", list=REFUSED, read=REFUSED, write=REFUSED), LOGIN),
    ),
    Peer(
        server="Samba, restrict anonymous = 2",
        start=samba("public", {"map_to_guest": "Never", "restrict_anonymous": "2"}, guest_ok="yes"),
        cells=(Cell(state=State.LOCKED, list=REFUSED, read=REFUSED),),
    ),
]


def over(answers: Callable[[], dict[Command, Answer]]) -> Callable[[], Any]:
    """A server that is sound but for some commands; made anew for each connection."""
    return answering(lambda: Server(over=answers()).answer)


def folders_without_end() -> dict[Command, Answer]:
    """Every folder lists a hundred files and as many folders, whose names never come again."""
    count = itertools.count()

    def query(_: Any) -> Said:
        page = next(count)
        return entries(*(entry(f"{page}-{n}", 0x10 if n % 2 else 0x80, size=4000) for n in range(200)))

    return {Command.QUERY_DIRECTORY: query}


HOSTILE = [
    hostile("hangs up", hanging_up, **no_service(Stage.HANDSHAKE, Reason.RESET)),
    hostile(
        "a frame of 16 MiB",
        over(lambda: {Command.NEGOTIATE: lambda _: Said(raw=b"\0\xff\xff\xff")}),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    hostile(
        "the answer is still to come, for ever",
        over(lambda: {Command.SESSION_SETUP: lambda _: [Said(Status.PENDING, is_async=True)] * 1000}),
        list=UNKNOWN,
        read=UNKNOWN,
        why=frozenset({(Stage.HANDSHAKE, Reason.LIMIT)}),
    ),
    Hostile(
        server="folders without an end, of files that are none",
        serve=over(folders_without_end),
        cells=(
            Cell(
                state=State.HOSTILE,
                resource="public",
                list=PROVEN,
                read=PROVEN,
                write=REFUSED,
                images=at_least(0),
                why=frozenset({(Stage.COUNT, Reason.BUDGET), (Stage.CENSUS, Reason.EMPTY)}),
            ),
            LOGIN,
        ),
    ),
]
