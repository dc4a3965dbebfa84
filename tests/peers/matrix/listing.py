"""Directory listings of web servers: folders with seven images of seven studies, and two texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from gzip import compress
from itertools import count
from pathlib import Path
from typing import Any

from file_doors import made_up_folder
from real_servers import Namespace, as_file, instance
from web_servers import Form, apache, caddy, http_server, lighttpd, nginx_listing, rclone

from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import PROVEN, UNKNOWN, Cell, Peer, Start, State, at_least, exact, hostile, no_service
from matrix.starting import Web, response, web, without_end

Server = Callable[[Namespace, Path, Path], AbstractContextManager[Endpoint]]


def of_folder(server: Server) -> Start:
    return lambda inside, folder: server(inside, folder, made_up_folder(folder))


OPEN = Cell(
    state=State.OPEN,
    resource="/",
    list=PROVEN,
    read=PROVEN,
    studies=exact(7),
    images=exact(7),
    controls=frozenset({"LA-03", "LA-43"}),
)
OPEN_SERVERS: dict[str, Server] = {
    "nginx, autoindex": nginx_listing,
    "nginx, autoindex as JSON": partial(nginx_listing, form=Form.JSON),
    "nginx, autoindex as XML": partial(nginx_listing, form=Form.XML),
    "Apache, Options Indexes": apache,
    "Apache, HTMLTable": partial(apache, form=Form.TABLE),
    "lighttpd, dir-listing": lighttpd,
    "Caddy, browse": caddy,
    "rclone serve http": rclone,
    "Python's http.server": http_server,
}
LOCKED_SERVERS: dict[str, Server] = {
    "nginx, autoindex behind a password": partial(nginx_listing, locked=True),
    "Apache, Options Indexes behind a password": partial(apache, locked=True),
    "Caddy, browse behind a password": partial(caddy, locked=True),
}
NOTHING_KNOWN: dict[str, Any] = no_service(Stage.TALK, Reason.EMPTY)
"""Of a locked front page nobody can say that a listing is behind it."""

PEERS = [
    *(Peer(server=name, start=of_folder(server), cells=(OPEN,)) for name, server in OPEN_SERVERS.items()),
    *(
        Peer(server=name, start=of_folder(server), cells=(Cell(state=State.LOCKED, **NOTHING_KNOWN),))
        for name, server in LOCKED_SERVERS.items()
    ),
]

IMAGE = as_file(instance(0))
HEAD = b'<html>\r\n<head><title>Index of /</title></head>\r\n<body>\r\n<h1>Index of /</h1><hr><pre><a href="../">../</a>\r\n'
COMPRESSED = (b"Content-Encoding: gzip",)
TAIL = b"</pre><hr></body>\r\n</html>\r\n"


def line(name: bytes) -> bytes:
    return b'<a href="%s">%s</a>    01-Jan-2026 10:00    %d\r\n' % (name, name, len(IMAGE))


def of_images(root: Callable[[], Iterable[bytes]], image: bytes = IMAGE, *fields: bytes) -> Web:
    """What the root says, and the same image for every file."""

    def serve(_method: bytes, target: bytes) -> Iterable[bytes]:
        if target == b"/":
            return root()
        return [response(image, 200, *fields)] if target.endswith(b".dcm") else [response(b"", 404)]

    return serve


def one_image() -> Iterable[bytes]:
    return [response(HEAD + line(b"IM000001.dcm") + TAIL)]


def without_last() -> Iterable[bytes]:
    return without_end(HEAD, (line(b"IM%06d.dcm" % number) for number in count()))


def in_itself(_method: bytes, target: bytes) -> Iterable[bytes]:
    return [response(HEAD + line(b"again/") + TAIL)]


HOSTILE = [
    hostile(
        "a listing without an end",
        web(lambda: of_images(without_last)),
        resource="/",
        list=PROVEN,
        read=PROVEN,
        studies=at_least(1),
        images=at_least(1),
        why=frozenset({(Stage.COUNT, Reason.BUDGET)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    hostile(
        "a folder that contains itself, whatever is asked",
        web(lambda: in_itself),
        resource="/",
        list=PROVEN,
        why=frozenset({(Stage.COUNT, Reason.LIMIT)}),
    ),
    hostile(
        "a listing that is compressed, though nobody asked for it",
        web(lambda: lambda *_: [response(compress(HEAD + line(b"IM000001.dcm") + TAIL), 200, *COMPRESSED)]),
        **NOTHING_KNOWN,
    ),
    hostile(
        "files that are compressed, though nobody asked for it",
        web(lambda: of_images(one_image, compress(IMAGE), *COMPRESSED)),
        resource="/",
        list=PROVEN,
        read=UNKNOWN,
        why=frozenset({(Stage.COUNT, Reason.PROTOCOL), (Stage.CENSUS, Reason.PROTOCOL)}),
        controls=frozenset({"LA-03", "LA-43"}),
    ),
    hostile(
        "files that are called images and are none",
        web(lambda: of_images(one_image, b"made up" * 100)),
        resource="/",
        list=PROVEN,
        read=PROVEN,
        studies=exact(0),
        images=exact(0),
        why=frozenset({(Stage.CENSUS, Reason.EMPTY)}),
    ),
]
