"""A web server on which nothing was found is one without anything only where every door looked to the end."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from conversing import Server, converse
from leadapron.identify.match import IDENTIFY
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Owner, Reason, Stage, Verdict
from leadapron.protocols.base import Case, Payload, Terms
from leadapron.protocols.dicomweb.finding import Archives
from leadapron.protocols.fhir.counting import FhirPlaces
from leadapron.protocols.http.plan import HttpPlan
from leadapron.protocols.http.probe import PROTOCOL
from leadapron.protocols.http.web import Front, left_to_look, look_of, web_doors
from leadapron.protocols.listing.looking import Listings
from leadapron.protocols.portal.looking import PortalPages
from leadapron.protocols.webdav.looking import DavPlace, DavPlaces

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON", now=dt.datetime.now(dt.UTC))
CASE = Case(endpoint=HERE, terms=TERMS, attempts={})
RESET = Failed(stage=Stage.LIST, reason=Reason.RESET)
LOOKS: dict[str, Attempt[Any]] = {
    "dicomweb.look": Completed(result=Archives()),
    "fhir.look": Completed(result=FhirPlaces()),
    "listing.look": Completed(result=Listings()),
    "portal.look": Completed(result=PortalPages()),
    "webdav.look": Completed(result=DavPlaces()),
}
SPENT: dict[str, Attempt[Any]] = {"dicomweb.look": Completed(result=Archives(requests=1))}


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        (LOOKS, Reason.EMPTY),
        ({**LOOKS, "fhir.look": Completed(result=FhirPlaces(why=RESET))}, Reason.RESET),
        ({**LOOKS, "portal.look": Completed(result=PortalPages(why=RESET))}, Reason.RESET),
        ({**LOOKS, "portal.look": RESET}, Reason.RESET),
        ({name: look for name, look in LOOKS.items() if name != "fhir.look"}, Reason.STOPPED),
        ({"portal.look": Completed(result=PortalPages(why=RESET))}, Reason.RESET),
        ({**SPENT, "portal.look": Completed(result=PortalPages(requests=39))}, Reason.BUDGET),
        ({**SPENT, "portal.look": Completed(result=PortalPages(requests=38))}, Reason.STOPPED),
        ({}, Reason.STOPPED),
    ],
)
def test_a_look_that_was_cut_short_is_not_nothing(looks: dict[str, Attempt[object]], reason: Reason) -> None:
    attempts = {"hello": Completed(result=Front(status=200)), **looks}
    found, why = HttpPlan().conclude(CASE, attempts)
    assert not found
    assert why is not None
    assert why.reason is reason


def test_where_there_is_nothing_to_look_for_nothing_was_left_out() -> None:
    """What lies below a front page that is locked is locked: there is no look for listings."""
    attempts = {"hello": Completed(result=Front(status=401)), **LOOKS}
    del attempts["listing.look"]
    assert HttpPlan().conclude(CASE, attempts)[1] == Failed(
        stage=Stage.TALK, reason=Reason.EMPTY, detail="a web server, and nothing of imaging on it"
    )


# -- one budget for all looks ------------------------------------------------------------------------------------------


def audited(server: Server, terms: Terms = TERMS, seconds: float = 0.0) -> tuple[dict[str, Payload], Case]:
    """All jobs, each attempt stored with so many seconds."""
    attempts: dict[str, Payload] = {}
    while True:
        case = Case(endpoint=HERE, terms=terms, attempts=attempts)
        if (job := PROTOCOL.next_job(case, IDENTIFY)) is None or job.name.startswith("tls:"):
            return attempts, case
        attempt, _ = converse(job.converse(), server)
        attempts[job.name] = PROTOCOL.encode_attempt(attempt, seconds)


class Nothing:
    """A server with a front page and nothing else, of whatever status."""

    def __init__(self, status: int = 404, *fields: bytes) -> None:
        self.status, self.fields = status, fields
        self.asked: list[bytes] = []

    def __call__(self, sent: bytes) -> tuple[bytes, bool]:
        self.asked.append(sent.split(b" ")[1])
        status, body = (200, b"<title>SYNTHETIC practice</title>") if self.asked[-1] == b"/" else (self.status, b"")
        lines = [b"HTTP/1.1 %d x" % status, b"Content-Length: %d" % len(body), *self.fields, b"", body]
        return b"\r\n".join(lines), True


@pytest.mark.parametrize(
    "server",
    [Nothing(), Nothing(403), Nothing(401, b"WWW-Authenticate: Basic"), Nothing(302, b"Location: /")],
    ids=["404", "403", "401", "to the front page"],
)
def test_a_server_with_nothing_is_asked_at_most_forty_times_and_to_the_end(server: Nothing) -> None:
    attempts, case = audited(server)
    assert len(server.asked) <= TERMS.queries + 1, "and one to see whether it still answers"
    assert {look_of(door) for door in web_doors()} <= attempts.keys()
    found, why = PROTOCOL.conclude(case)
    assert (list(found), why and why.reason) == ([], Reason.EMPTY)


@pytest.mark.parametrize("queries", [1, 3, 7, 15, 30])
def test_what_one_look_asked_the_next_may_not(queries: int) -> None:
    server = Nothing()
    attempts, case = audited(server, replace(TERMS, queries=queries))
    front = len([target for target in server.asked if target in (b"/", b"/favicon.ico")][:2]) + 1
    *asked, last = server.asked if "health" in attempts else [*server.asked, b"/"]
    assert len(asked) == max(queries, front), "the front page itself is always asked for"
    assert last == b"/", "whether it still answers"
    found, why = PROTOCOL.conclude(case)
    assert (list(found), why and why.reason) == ([], Reason.BUDGET)
    assert PROTOCOL.next_job(Case(endpoint=HERE, terms=case.terms, attempts=attempts), IDENTIFY) is None


def test_the_most_telling_door_looks_first_and_all_look_before_one_counts() -> None:
    attempts, _ = audited(Nothing())
    looks = [name for name in attempts if name.endswith(".look")]
    assert looks == [f"{name}.look" for name in ("dicomweb", "portal", "webdav", "listing", "fhir")]


def test_seconds_are_shared_as_well() -> None:
    terms = replace(TERMS, seconds=10.0)
    attempts, case = audited(Nothing(), terms, seconds=4.0)
    assert [name for name in attempts if name.endswith(".look")] == ["dicomweb.look", "portal.look", "webdav.look"]
    decoded = PROTOCOL.decoded(attempts)
    assert left_to_look(case, decoded) is None
    assert left_to_look(replace(case, terms=replace(terms, seconds=14.0)), decoded) is not None


def test_what_was_found_stands_beside_the_look_that_was_cut() -> None:
    def server(sent: bytes) -> tuple[bytes, bool]:
        body = b'{"resourceType":"Bundle","total":3}' if b"_summary=count" in sent else b""
        body = b"a page" if sent.startswith(b"GET / ") else body
        if b"/fhir/metadata" in sent:
            body = b'{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}'
        head = b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (200 if body else 404, len(body))
        return head + body, True

    attempts, case = audited(server, replace(TERMS, queries=36))
    (seen,), why = PROTOCOL.conclude(case)
    assert (seen.service.protocol, seen.access.list) == ("fhir", Verdict.PROVEN)
    assert why == Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    assert "fhir.count:/fhir" in attempts, "what counts has a budget of its own"


@pytest.mark.parametrize("cut", [RESET, Completed(result=PortalPages(why=RESET))], ids=["not at all", "in the middle"])
def test_what_one_door_found_does_not_hide_what_another_could_not_look_for(cut: Attempt[object]) -> None:
    looks = {"webdav.look": Completed(result=DavPlaces(places=(DavPlace(resource="/", status=401),)))}
    attempts: dict[str, Attempt[object]] = {"hello": Completed(result=Front(status=200)), **looks, "portal.look": cut}
    found, why = HttpPlan().conclude(CASE, attempts)
    assert why == RESET
    assert [seen.service.resource for seen in found] == ["/"]
