"""Web servers as such: those of imaging, those that let a blank login in, and all others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from dicomweb_servers import orthanc_web
from portal_servers import FORM_LOGIN, WEB_XML, tomcat
from real_servers import Namespace
from web_servers import nginx_listing

from leadapron.model import Endpoint, Reason, Stage
from matrix.cells import REFUSED, Cell, Peer, State, hostile, no_service
from matrix.starting import answering, at, hanging_up, response, web, without_end

BASIC = FORM_LOGIN.partition("<login-config>")[0] + "<login-config><auth-method>BASIC</auth-method></login-config>"
BLANK = '<user username="" password="" roles="WebUser"/>'


@contextlib.contextmanager
def basic(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    """Tomcat, whose whole site wants a name and a password, and takes empty ones."""
    place = folder / "tomcat"
    root = place / "webapps" / "ROOT"
    (root / "WEB-INF").mkdir(parents=True)
    (root / "WEB-INF" / "web.xml").write_text(WEB_XML.format(content=BASIC))
    (root / "index.html").write_text("<html><title>made up</title></html>")
    with tomcat(inside, place, BLANK) as (port, _):
        yield at(port)


@contextlib.contextmanager
def a_page(inside: Namespace, folder: Path) -> Iterator[Endpoint]:
    site = folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<html><title>A made-up practice</title></html>")
    with nginx_listing(inside, folder, site) as here:
        yield here


LOGIN = {"list": REFUSED, "read": REFUSED}
NOTHING = no_service(Stage.TALK, Reason.EMPTY)
SPENT = no_service(Stage.LIST, Reason.BUDGET)
"""Hops cost requests, which all looks share."""

PEERS = [
    Peer(
        server="Tomcat, Basic, a blank user",
        start=basic,
        cells=(Cell(state=State.OPEN, **LOGIN, controls=frozenset({"LA-18", "LA-23"})),),
    ),
    Peer(server="nginx, a page that has nothing of imaging", start=a_page, cells=(Cell(state=State.OPEN, **NOTHING),)),
    Peer(
        server="Orthanc, registered users",
        start=lambda inside, folder: orthanc_web(inside, folder, locked=True),
        cells=(Cell(state=State.LOCKED, **LOGIN, controls=frozenset({"LA-18"})),),
    ),
]

HOSTILE = [
    hostile("hangs up", hanging_up, **no_service(Stage.HANDSHAKE, Reason.RESET)),
    hostile(
        "a head without an end",
        web(lambda: lambda *_: [b"HTTP/1.1 200 x\r\n", *repeat(b"X: made up\r\n" * 1000, 100)]),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    hostile(
        "an SSH server",
        answering(lambda: lambda _: b"SSH-2.0-made-up\r\n"),
        **no_service(Stage.HANDSHAKE, Reason.PROTOCOL),
    ),
    hostile("a page without an end", web(lambda: lambda *_: without_end(b"<html>", repeat(b"<p>" * 1000))), **NOTHING),
    hostile("a redirect to itself", web(lambda: lambda *_: [response(b"", 302, b"Location: /")]), **SPENT),
]
