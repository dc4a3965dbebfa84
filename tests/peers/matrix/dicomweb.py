"""Archives over HTTP: five studies with seven images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dicomweb_servers import TINY_PACS_ROOT, orthanc_web, stow, tiny_pacs
from real_servers import Namespace, as_file, instance, load_orthanc
from tls_servers import Maker
from web_servers import nginx_https

from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import OFFERED, PROVEN, REFUSED, Cell, Peer, State, at_least, exact, hostile, no_service
from matrix.starting import response, taking, web
from protocols.dicomweb.web_archive import WebArchive

FILES = [as_file(instance(study, 0, number, is_dated=True)) for study in range(5) for number in range(1 + study % 2)]


@contextlib.contextmanager
def orthanc(inside: Namespace, folder: Path, **settings: Any) -> Iterator[Endpoint]:
    with orthanc_web(inside, folder, WebDavEnabled=False, **settings) as here:
        load_orthanc(inside, here.port, FILES)
        yield here


@contextlib.contextmanager
def tiny(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    with tiny_pacs(inside, folder) as here:
        assert stow(inside, here, TINY_PACS_ROOT, FILES).status == 200
        yield here


@contextlib.contextmanager
def https(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    """As clinics put nginx before an Orthanc, with a certificate that nobody signed."""
    pair = Maker(folder=folder).make("pacs")
    with orthanc(inside, folder) as archive, nginx_https(inside, folder, archive, pair) as here:
        yield here


NGINX_TLS = frozenset({"LA-02", "LA-20", "LA-22"})
"""Its suites, as it ships, have some without forward secrecy; nobody signed its certificate."""
OPEN: dict[str, Any] = {
    "state": State.OPEN,
    "list": PROVEN,
    "read": OFFERED,
    "studies": exact(5),
    "controls": frozenset({"LA-02", "LA-43"}),
}

PEERS = [
    Peer(
        server="Orthanc",
        start=orthanc,
        cells=(
            Cell(resource="/dicom-web", what="with DICOMweb", **OPEN, images=exact(7)),
            Cell(resource="/", what="its own routes", **OPEN, images=exact(7)),
        ),
    ),
    Peer(
        server="nginx, HTTPS with a certificate of its own, before Orthanc",
        start=https,
        cells=(
            Cell(resource="/dicom-web", **{**OPEN, "controls": frozenset({"LA-02"})}, images=exact(7)),
            Cell(resource="/", **{**OPEN, "controls": NGINX_TLS}, images=exact(7)),
        ),
    ),
    Peer(
        server="tiny_pacs, which says no number of images",
        start=tiny,
        cells=(Cell(resource=TINY_PACS_ROOT, **OPEN, why=frozenset({(Stage.COUNT, Reason.EMPTY)})),),
    ),
    Peer(
        server="tiny_pacs, for who bears a token",
        start=lambda inside, folder: tiny_pacs(inside, folder, tokens=("made-up",)),
        cells=(Cell(state=State.LOCKED, resource=TINY_PACS_ROOT, list=REFUSED, read=REFUSED),),
    ),
    Peer(
        server="Orthanc, registered users",
        start=lambda inside, folder: orthanc_web(inside, folder, locked=True),
        cells=(Cell(state=State.LOCKED, protocol="http", list=REFUSED, read=REFUSED, controls=frozenset({"LA-18"})),),
    ),
]

HOSTILE = [
    hostile(
        "the same page of studies, whatever is asked",
        taking(lambda: WebArchive(500, honours_offset=False, honours_dates=False)),
        resource="/dicom-web",
        list=PROVEN,
        read=OFFERED,
        studies=at_least(500),
        images=at_least(1000),
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-02", "LA-43"}),
    ),
    hostile(
        "more studies than the budget has answers",
        taking(lambda: WebArchive(5000)),
        resource="/dicom-web",
        list=PROVEN,
        read=OFFERED,
        studies=at_least(3000),
        images=at_least(6000),
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-02", "LA-43"}),
    ),
    hostile(
        "one page for any path",
        web(lambda: lambda *_: [response(b"<html><div id=root></div></html>")]),
        **no_service(Stage.TALK, Reason.EMPTY),
    ),
]
