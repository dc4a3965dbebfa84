"""Made-up portals: their pages as the products' own sources build them, with made-up patients."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from conversing import converse
from leadapron.model import Depth, Endpoint, Observation, Owner, Product
from leadapron.protocols import payload
from leadapron.protocols.base import Case, Page, Terms
from leadapron.protocols.http.probe import PROTOCOL as HTTP
from leadapron.protocols.http.web import Front
from leadapron.protocols.portal.door import DOOR

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080, name="pacs.hospital.example")
TERMS = Terms(
    depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON", key=b"k" * 32, now=dt.datetime.now(dt.UTC)
)
CASE = Case(endpoint=HERE, terms=TERMS, attempts={})
SECRET = "SYNTHETIC^PATIENT"

Answered = tuple[int, bytes, tuple[bytes, ...]]
"""A status, a body, further lines of the head."""


class Identify:
    def __call__(self, *_: object, **__: object) -> Product:
        return Product()

    def page(self, _: Page) -> Product:
        return Product()


@dataclass
class Server:
    """Answers by the target, or by what makes an answer of a request; 404 for everything else."""

    routes: Mapping[str, Answered | Callable[[bytes], Answered]]
    asked: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    closes: bool = False
    """each answer ends its connection"""

    def __call__(self, sent: bytes) -> tuple[bytes, bool]:
        method, target, _ = sent.split(b"\r\n", 1)[0].decode().split(" ")
        self.asked.append(target if method == "GET" else f"{method} {target}")
        self.requests.append(sent)
        found = self.routes.get(self.asked[-1], (404, b"", ()))
        status, body, fields = found if isinstance(found, tuple) else found(sent)
        ending = (b"Connection: close",) if self.closes else ()
        lines = [b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *fields, *ending]
        return b"\r\n".join([*lines, b"", body]), not self.closes


def observed(server: Server, case: Case = CASE, *, piece: int = 1 << 16) -> list[Observation]:
    """Every job of the door, its results stored and read again in between."""
    attempts: dict[str, Any] = {}
    front = front_of(server)
    while (job := DOOR.next_job(case, attempts, front, Identify())) is not None:
        attempt, _ = converse(job.converse(), server, piece=piece)
        stored = payload.encode(attempt, HTTP.results)
        assert SECRET not in json.dumps(stored)
        attempts[job.name] = payload.decode(stored, HTTP.results)
        assert len(attempts) < 12
    return list(DOOR.conclude(case, attempts, front))


def front_of(server: Server) -> Front:
    """What the door sees in the front page, which another job asked for."""
    found = server.routes.get("/", (404, b"", ()))
    status, body, _ = found if isinstance(found, tuple) else found(b"")
    return Front(status=status, seen=DOOR.look(Page(status=status, body=body)))


def ok(body: str | bytes, *fields: bytes) -> Answered:
    return 200, body if isinstance(body, bytes) else body.encode(), fields


def to(location: str, *fields: bytes) -> Answered:
    return 302, b"", (b"Location: " + location.encode(), *fields)


# -- Horos -------------------------------------------------------------------------------------------------------------

HOROS_HEAD = f"""<html><head><title>{SECRET}</title>
<link rel="stylesheet" type="text/css" href="/style.css" title="standard" />
<link rel="alternate stylesheet" type="text/css" href="/iPhoneStyle.css" title="iPhone" />
</head><body>"""
HOROS_LOGIN = f"{HOROS_HEAD}Access to this page is restricted.<form action='' method='post'></form>"
HOROS_EMPTY = f"{HOROS_HEAD}<div>This list is empty.</div>"


def horos(studies: int) -> str:
    rows = (
        f'<tr class="li0"><td><a href="study?&browse=all&xid={number}">{SECRET}</a></td>'
        f'<td><a href="/weasis.jnlp?xid={number}"></a></td></tr>'
        for number in range(studies)
    )
    return f'{HOROS_HEAD}<div class="title">Studies</div><table>{"".join(rows)}</table>'


# -- Conquest ----------------------------------------------------------------------------------------------------------

CONQUEST = "/cgi-bin/dgate?mode=querystudies"


def conquest(studies: int) -> str:
    rows = (
        f"<TR><TD><A HREF=dgate?port=5678&mode=queryseries&key=&query=DICOMStudies.patientid+=+'{SECRET}'>"
        f"{SECRET}</A><TD>{SECRET}<TD>20260101<TD><TD>CT</TR>\n"
        for _ in range(studies)
    )
    return (
        "<HEAD><TITLE>Conquest DICOM server - version 1.5.0e</TITLE></HEAD>\n<BODY BGCOLOR='CFDFCF'>\n"
        "<table RULES=ALL BORDER=1>\n<Caption>List of all studies on local server</caption>\n"
        "<TR><TD>Patient ID<TD>Name<TD>Study date<TD>Study description<TD>Study modality</TR>\n"
        f"{''.join(rows)}</table>\n</BODY>"
    )


# -- Oviyam ------------------------------------------------------------------------------------------------------------

OVIYAM_OPEN = '<html><head><title>Oviyam </title><script src="js/lib/jquery-latest.js"></script></head></html>'
OVIYAM_LOGIN = """<html><head><title>Oviyam login</title></head><body id="loginbody">
<form action="j_security_check" method="POST">
<input class="text" type="text" name="j_username" ><input class="text" type="password" name="j_password"  >
</form></body></html>"""
OVIYAM_ERROR = "<html><head><title>Oviyam login</title></head><center> Invalid Usernamd or Password. </center></html>"

# -- XNAT --------------------------------------------------------------------------------------------------------------

XNAT_LOGIN = """<html><!-- BEGIN xnat-templates/screens/Login.vm -->
<form name="form1" method="post" action="/login">
<input type="hidden" id="login_method" name="login_method" value="localdb">
<input type="text" id="username" name="username" value=""/><input type="password" name="password"/>
</form></html>"""

# -- OHIF --------------------------------------------------------------------------------------------------------------

OHIF = """<html><head><meta charset="UTF-8" /><meta
 name="application-name"
 content="OHIF Viewer"
/><script src="/ohif/app-config.js"></script><title>OHIF Viewer</title></head></html>"""


def ohif_config(*roots: str) -> str:
    sources = ",".join(
        "{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', configuration: "
        f"{{ wadoUriRoot: '{root}', qidoRoot: '{root}', wadoRoot: '{root}' }} }}"
        for root in roots
    )
    return f"window.config = {{ routerBasename: '/',\n // qidoRoot: '/commented',\n dataSources: [{sources}] }};"


def data_sets(count: int) -> bytes:
    rows = [
        {
            "0020000D": {"vr": "UI", "Value": [f"2.25.{number + 1}"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": SECRET}]},
            "00201208": {"vr": "IS", "Value": [2]},
        }
        for number in range(count)
    ]
    return json.dumps(rows).encode()


def archive(root: str, studies: int) -> dict[str, Answered | Callable[[bytes], Answered]]:
    """Routes of a QIDO-RS service that has one page of studies."""
    fields = "includefield=00201208&includefield=00201206"
    return {
        f"{root}/studies?limit=1": ok(data_sets(min(1, studies))),
        f"{root}/studies?limit=500&offset=0&{fields}": ok(data_sets(studies)),
        f"{root}/studies?limit=500&offset={studies}&{fields}": ok(b"[]"),
    }
