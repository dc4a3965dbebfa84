"""FHIR servers: made-up studies and patients by their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

from portal_servers import fhirsnake, hapi

from leadapron.model import Reason, Stage
from matrix.cells import OFFERED, PROVEN, REFUSED, UNKNOWN, Cell, Peer, State, exact, hostile
from matrix.starting import Web, on_port, response, web, without_end

LOOKS_SPENT = frozenset({(Stage.LIST, Reason.BUDGET)})
"""It answers whatever is asked below its root, so that the looks for other doors, which share one budget, cost more."""
OPEN: dict[str, Any] = {
    "state": State.OPEN,
    "list": PROVEN,
    "read": OFFERED,
    "controls": frozenset({"LA-02", "LA-43"}),
}

PEERS = [
    Peer(
        server="HAPI FHIR on Tomcat",
        start=on_port(lambda inside, folder: hapi(inside, folder, studies=37, patients=12)),
        cells=(Cell(resource="/fhir", **OPEN, studies=exact(37)),),
    ),
    Peer(
        server="fhirsnake",
        start=on_port(lambda inside, folder: fhirsnake(inside, folder, studies=5, patients=3)),
        cells=(Cell(resource="/", **OPEN, studies=exact(5), beside=LOOKS_SPENT),),
    ),
    Peer(
        server="HAPI FHIR on Tomcat, all but its statement locked",
        start=on_port(lambda inside, folder: hapi(inside, folder, studies=37, patients=12, locked=True)),
        cells=(Cell(state=State.LOCKED, resource="/fhir", list=REFUSED, read=REFUSED),),
    ),
]

FHIR = b"Content-Type: application/fhir+json"
STATEMENT = json.dumps({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}).encode()


def totals(of: Callable[[], Iterable[bytes]]) -> Callable[[], Web]:
    """A server at the root that says this to both questions."""

    def serve(_method: bytes, target: bytes) -> Iterable[bytes]:
        if target == b"/fhir/metadata":
            return [response(STATEMENT, 200, FHIR)]
        return of() if target.startswith((b"/fhir/ImagingStudy", b"/fhir/Patient")) else [response(b"", 404)]

    return lambda: serve


def bundle(**fields: object) -> bytes:
    return response(json.dumps({"resourceType": "Bundle", "type": "searchset", **fields}).encode(), 200, FHIR)


HOSTILE = [
    hostile(
        "a total below zero, and no entries",
        web(totals(lambda: [bundle(total=-5)])),
        resource="/fhir",
        list=UNKNOWN,
        read=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.EMPTY)}),
    ),
    hostile(
        "a bundle without an end",
        web(totals(lambda: without_end(b'{"resourceType": "Bundle", "entry": [', repeat(b"{}, " * 1000), FHIR))),
        resource="/fhir",
        list=UNKNOWN,
        read=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.TRUNCATED)}),
    ),
    hostile(
        "a bundle that is nested without an end",
        web(totals(lambda: [response(b'{"resourceType": "Bundle", "entry": ' + b"[" * 200_000, 200, FHIR)])),
        resource="/fhir",
        list=UNKNOWN,
        read=UNKNOWN,
        why=frozenset({(Stage.LIST, Reason.PROTOCOL)}),
    ),
]
