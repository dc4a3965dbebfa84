"""Viewers and portals: logins with and without a blank name, and a viewer whose data are five studies with seven images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat
from pathlib import Path

from portal_servers import form_login, viewer
from real_servers import Namespace

from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import OFFERED, PROVEN, REFUSED, Cell, Peer, Start, State, at_least, exact, hostile, no_service
from matrix.dicomweb import orthanc
from matrix.starting import Web, at, on_port, response, web, without_end
from protocols.portal.portal_server import HOROS_HEAD, OHIF, horos, ohif_config

BLANK = '<user username="" password="" roles="WebUser"/>'
SOMEBODY = '<user username="made-up" password="made-up" roles="WebUser"/>'
CONFIG = "window.config = { dataSources: [{ configuration: { qidoRoot: '/pacs/dicom-web' } }] };"


def login(users: str) -> Start:
    return on_port(lambda inside, folder: form_login(inside, folder, users))


def ohif(*, password: bool) -> Start:
    @contextlib.contextmanager
    def start(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
        with (
            orthanc(inside, folder) as archive,
            viewer(inside, folder, archive.port, CONFIG, password=password) as port,
        ):
            yield at(port)

    return start


PEERS = [
    Peer(
        server="OHIF's page on nginx, Orthanc behind it",
        start=ohif(password=False),
        cells=(
            Cell(
                state=State.OPEN,
                resource="/ohif/",
                list=PROVEN,
                read=OFFERED,
                studies=exact(5),
                images=exact(7),
                controls=frozenset({"LA-02", "LA-43"}),
            ),
        ),
    ),
    Peer(
        server="Tomcat with Oviyam's login, a blank user",
        start=login(BLANK),
        cells=(
            Cell(
                state=State.OPEN,
                resource="/oviyam2/",
                list=REFUSED,
                read=REFUSED,
                controls=frozenset({"LA-23"}),
            ),
        ),
    ),
    Peer(
        server="Tomcat with Oviyam's login",
        start=login(SOMEBODY),
        cells=(Cell(state=State.LOCKED, resource="/oviyam2/", list=REFUSED, read=REFUSED),),
    ),
    Peer(
        server="OHIF's page on nginx, a password before its data",
        start=ohif(password=True),
        cells=(Cell(state=State.LOCKED, resource="/ohif/", list=REFUSED, read=REFUSED),),
    ),
]

ROWS = horos(1).partition("<table>")[2].partition("</table>")[0].encode()


ELSEWHERE = [f"https://pacs-{number}.invalid/dicom-web" for number in range(1000)]


def pages(answers: Mapping[str, Callable[[], Iterable[bytes]]]) -> Web:
    """Answers by path; nothing elsewhere."""

    def serve(_method: bytes, target: bytes) -> Iterable[bytes]:
        return answers.get(target.decode(), lambda: [response(b"", 404)])()

    return serve


HOSTILE = [
    hostile(
        "a list of studies without an end (as Horos shows it)",
        web(lambda: pages({"/studyList": lambda: without_end(HOROS_HEAD.encode(), repeat(ROWS * 100))})),
        resource="/studyList",
        list=PROVEN,
        read=OFFERED,
        studies=at_least(1),
        why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
        controls=frozenset({"LA-02", "LA-43"}),
    ),
    hostile(
        "a viewer with a thousand roots, all of them elsewhere",
        web(
            lambda: pages(
                {
                    "/ohif/": lambda: [response(OHIF.encode())],
                    "/ohif/app-config.js": lambda: [response(ohif_config(*ELSEWHERE).encode())],
                }
            )
        ),
        resource="/ohif/",
    ),
    hostile(
        "redirects without an end",
        web(lambda: lambda _method, target: [response(b"", 302, b"Location: " + target + b"x")]),
        **no_service(Stage.LIST, Reason.BUDGET),
    ),
]
