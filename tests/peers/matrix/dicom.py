"""DICOM: archives of five studies with seven images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from real_servers import Namespace, free_ports, load_orthanc, orthanc, require
from test_remedies_hold import DCMQRSCP

from hostile.test_hostile_peers import Hostile as HostileArchive
from hostile.test_hostile_peers import nested, oversized, says, without_end
from leadapron.model import Endpoint, Reason, Stage
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
from matrix.dicomweb import FILES
from matrix.starting import at, hanging_up

TITLE = "OPENA"
"""Of dcmqrscp, which checks called titles: one that the owner told us."""


def archive(**settings: Any) -> Start:
    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        require("Orthanc")
        port, http_port = free_ports(2)
        with orthanc(inside, folder, port, http_port, **settings):
            load_orthanc(inside, http_port, FILES)
            yield at(port)

    return start


def dcmqrscp(*, access: str, peers: str) -> Start:
    """Its archive is empty but for what it is sent by storescu."""

    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        require("dcmqrscp", "storescu")
        (port,) = free_ports(1)
        for name in ("area", "outbox"):
            (folder / name).mkdir()
        for number, file in enumerate(FILES):
            (folder / "outbox" / f"{number}.dcm").write_bytes(file)
        configuration = folder / "dcmqrscp.cfg"
        configuration.write_text(DCMQRSCP.format(port=port, folder=folder / "area", access=access, peers=peers))
        with inside.serving(port, "dcmqrscp", "-c", configuration, log=folder / "dcmqrscp.log"):
            if peers == "ANY":
                sent = inside.run("storescu", "-aec", TITLE, "+sd", "127.0.0.1", port, folder / "outbox")
                assert sent.returncode == 0, sent.stderr
            yield at(port)

    return start


ALWAYS = frozenset({"LA-01", "LA-19"})
"""Reached from the internet, and in clear."""

PEERS = [
    Peer(
        server="Orthanc, DicomAlwaysAllowFind",
        start=archive(DicomAlwaysAllowFind=True),
        cells=(
            Cell(
                state=State.OPEN,
                resource="ANY-SCP",
                list=PROVEN,
                read=OFFERED,
                write=OFFERED,
                studies=exact(5),
                images=exact(7),
                controls=ALWAYS | {"LA-07", "LA-08", "LA-10", "LA-11", "LA-13", "LA-14", "LA-17"},
            ),
        ),
    ),
    Peer(
        server="DCMTK's dcmqrscp, peers ANY",
        start=dcmqrscp(access="RW", peers="ANY"),
        cells=(
            Cell(
                state=State.OPEN,
                resource=TITLE,
                list=PROVEN,
                read=OFFERED,
                write=OFFERED,
                studies=exact(5),
                images=exact(7),
                controls=ALWAYS | {"LA-08", "LA-10", "LA-11", "LA-13", "LA-14", "LA-17"},
            ),
        ),
    ),
    Peer(
        server="Orthanc, which answers Echo and Store only",
        start=archive(),
        cells=(
            Cell(
                state=State.LOCKED,
                resource="ANY-SCP",
                list=REFUSED,
                read=OFFERED,
                write=OFFERED,
                controls=ALWAYS | {"LA-07", "LA-08", "LA-10", "LA-13", "LA-14", "LA-17"},
            ),
        ),
    ),
    Peer(
        server="DCMTK's dcmqrscp, peers of a host table",
        start=dcmqrscp(access="RW", peers="known"),
        cells=(Cell(state=State.LOCKED, talk=REFUSED, list=REFUSED, read=REFUSED, write=REFUSED, controls=ALWAYS),),
    ),
]


def behind(server: str, answer: Callable[[int], Iterator[bytes]], **seen: Any) -> Hostile:
    """It accepts Verification and one model of queries, and answers a query so."""
    controls = ALWAYS | {"LA-07", "LA-08", "LA-17"} | seen.pop("controls", frozenset())
    cell = Cell(state=State.HOSTILE, resource="ANY-SCP", read=REFUSED, write=REFUSED, controls=controls, **seen)
    return Hostile(server=server, serve=lambda: HostileArchive(answer).serve, cells=(cell,))


HOSTILE = [
    hostile("hangs up", hanging_up, **no_service(Stage.HANDSHAKE, Reason.RESET)),
    hostile(
        "an acceptance of 4 GB",
        lambda: says(b"\x02\0\xff\xff\xff\xff"),
        **no_service(Stage.HANDSHAKE, Reason.LIMIT),
    ),
    behind(
        "answers without an end",
        without_end,
        list=PROVEN,
        studies=at_least(3000),
        images=at_least(3000),
        why=frozenset({(Stage.COUNT, Reason.BUDGET), (Stage.CENSUS, Reason.BUDGET)}),
        controls=frozenset({"LA-11"}),
    ),
    behind(
        "an answer that is nested without an end", nested, list=UNKNOWN, why=frozenset({(Stage.LIST, Reason.LIMIT)})
    ),
    behind("an answer of 4 GB", oversized, list=UNKNOWN, why=frozenset({(Stage.LIST, Reason.LIMIT)})),
]
