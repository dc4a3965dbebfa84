"""WebDAV: folders with seven images of seven studies, and two texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path

from dicomweb_servers import orthanc_web
from real_servers import Namespace, load_orthanc
from web_servers import apache, lighttpd, nginx_webdav, rclone, wsgidav

from leadapron.model import Endpoint, Reason, Stage
from matrix import listing
from matrix.cells import OFFERED, PROVEN, REFUSED, UNKNOWN, Cell, Peer, State, at_least, exact, hostile
from matrix.dicomweb import FILES
from matrix.listing import IMAGE, of_folder
from matrix.starting import Web, response, web, without_end

OPEN = Cell(
    state=State.OPEN,
    resource="/",
    list=PROVEN,
    read=PROVEN,
    write=OFFERED,
    studies=exact(7),
    images=exact(7),
    controls=frozenset({"LA-03", "LA-41", "LA-43"}),
)
AS_PAGES = replace(listing.OPEN, state=None, protocol="listing")
"""The same folder, which the server lists as pages too."""


@contextlib.contextmanager
def ships_open(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    """Without a plugin: its whole archive, five studies with seven images, is shared at /webdav/."""
    with orthanc_web(inside, folder, Plugins=[]) as here:
        load_orthanc(inside, here.port, FILES)
        yield here


PEERS = [
    Peer(server="nginx, dav-ext", start=of_folder(nginx_webdav), cells=(OPEN,)),
    Peer(server="Apache, mod_dav", start=of_folder(partial(apache, webdav=True)), cells=(OPEN, AS_PAGES)),
    Peer(server="lighttpd, mod_webdav", start=of_folder(partial(lighttpd, webdav=True)), cells=(OPEN, AS_PAGES)),
    Peer(server="rclone serve webdav", start=of_folder(partial(rclone, protocol="webdav")), cells=(OPEN, AS_PAGES)),
    Peer(server="WsgiDAV", start=of_folder(wsgidav), cells=(OPEN, AS_PAGES)),
    Peer(
        server="Orthanc without registered users",
        start=ships_open,
        cells=(
            replace(OPEN, resource="/webdav/", studies=exact(5)),
            Cell(
                protocol="dicomweb",
                resource="/",
                list=PROVEN,
                read=OFFERED,
                studies=exact(5),
                images=exact(7),
                controls=frozenset({"LA-02", "LA-43"}),
            ),
        ),
    ),
    Peer(
        server="Apache, mod_dav, a password for all but OPTIONS",
        start=of_folder(partial(apache, webdav=True, locked=True, all_may_ask=True)),
        cells=(Cell(state=State.LOCKED, resource="/", list=REFUSED),),
    ),
    Peer(
        server="nginx, dav-ext behind a password",
        start=of_folder(partial(nginx_webdav, locked=True)),
        cells=(Cell(state=State.LOCKED, **listing.NOTHING_KNOWN),),
    ),
]

OPTIONS = response(b"", 200, b"DAV: 1, 2", b"Allow: OPTIONS, GET, PROPFIND")
HEAD = b'<D:multistatus xmlns:D="DAV:">'
FOLDER = b"<D:resourcetype><D:collection/></D:resourcetype>"


def answer(name: bytes, kind: bytes = b"<D:resourcetype/>") -> bytes:
    size = b"<D:getcontentlength>%d</D:getcontentlength>" % len(IMAGE)
    return b"<D:response><D:href>%s</D:href><D:propstat><D:prop>%s%s</D:prop></D:propstat></D:response>" % (
        name,
        kind,
        size,
    )


def dav(listed: Callable[[bytes], Iterable[bytes]]) -> Callable[[], Web]:
    """One whose folders say this; every file is the same image."""

    def serve(method: bytes, target: bytes) -> Iterable[bytes]:
        if method == b"OPTIONS":
            return [OPTIONS]
        if method == b"PROPFIND":
            return listed(target)
        return [response(IMAGE if target.endswith(b".dcm") else b"", 200 if target.endswith(b".dcm") else 404)]

    return lambda: serve


def status_207(body: bytes) -> list[bytes]:
    return [response(HEAD + body + b"</D:multistatus>", 207)]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + HEAD + b"&b;</D:multistatus>"

HOSTILE = [
    hostile(
        "a listing without an end",
        web(dav(lambda _: without_end(HEAD, repeat(answer(b"/IM000001.dcm") * 100), status=207))),
        resource="/",
        list=PROVEN,
        read=PROVEN,
        studies=at_least(1),
        images=at_least(1),
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    hostile(
        "a folder that contains itself",
        web(dav(lambda target: status_207(answer(target, FOLDER) + answer(target + b"again/", FOLDER)))),
        resource="/",
        list=PROVEN,
        why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
    ),
    hostile(
        "a document type with entities",
        web(dav(lambda _: [response(BOMB, 207)])),
        resource="/",
        list=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.PROTOCOL), (Stage.COUNT, Reason.PROTOCOL)}),
    ),
]
