"""The FHIR door: what is asked, what its answers mean, and that nothing of them stays."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversing import converse
from leadapron.model import (
    Completed,
    CountKind,
    CountSource,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Owner,
    Product,
    Reason,
    Stage,
    Verdict,
)
from leadapron.protocols import payload
from leadapron.protocols.base import Case, Page, Terms
from leadapron.protocols.fhir.counting import BASES
from leadapron.protocols.fhir.door import DOOR, LOOK
from leadapron.protocols.http.web import Front

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON", now=dt.datetime.now(dt.UTC))
CASE = Case(endpoint=HERE, terms=TERMS, attempts={})
SECRET = "SYNTHETIC^PATIENT"

FHIR_JSON = b"application/fhir+json"
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "software": {"name": "HAPI FHIR Server", "version": "7.4.0"},
    "publisher": SECRET,
}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": SECRET}]}

Route = tuple[int, object]
"""A status, and what is answered: JSON, or bytes as they are."""


class Identify:
    def __call__(self, *_: object, **__: object) -> Product:
        return Product()

    def page(self, _: Page) -> Product:
        return Product()


def bundle(total: object = None, entries: int = 0) -> dict[str, object]:
    entry = [{"resource": {"resourceType": "Patient", "name": SECRET}}] * entries
    return {"resourceType": "Bundle", "total": total, "entry": entry}


class Server:
    """Answers by path; 404 for everything else. `asked` are the targets in their order."""

    def __init__(self, routes: Mapping[str, Route], content_type: bytes = FHIR_JSON) -> None:
        self.routes, self.content_type = routes, content_type
        self.asked: list[str] = []
        self.requests: list[bytes] = []

    def __call__(self, sent: bytes) -> tuple[bytes, bool]:
        target = sent.split(b" ")[1].decode()
        self.asked.append(target)
        self.requests.append(sent)
        status, content = self.routes.get(target, (404, b""))
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        lines = [b"HTTP/1.1 %d x" % status, b"Content-Type: " + self.content_type, b"Content-Length: %d" % len(body)]
        return b"\r\n".join([*lines, b"", body]), True


def observed(server: Server, case: Case = CASE, *, piece: int = 1 << 16) -> list[Observation]:
    """Every job of the door, its results stored and read again in between."""
    attempts: dict[str, Any] = {}
    front = Front(status=200)
    while (job := DOOR.next_job(case, attempts, front, Identify())) is not None:
        attempt, _ = converse(job.converse(), server, piece=piece)
        stored = payload.encode(attempt, DOOR.results)
        assert SECRET not in json.dumps(stored)
        attempts[job.name] = payload.decode(stored, DOOR.results)
        assert attempts[job.name] == attempt
        assert len(attempts) < 10
    return list(DOOR.conclude(case, attempts, front))


def open_server(studies: Route, patients: Route, base: str = "/fhir") -> Server:
    return Server(
        {
            f"{base}/metadata": (200, STATEMENT),
            f"{base}/ImagingStudy?_summary=count": studies,
            f"{base}/Patient?_summary=count": patients,
        }
    )


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
@pytest.mark.parametrize("base", BASES)
def test_totals_prove_a_list_and_are_the_servers_own(base: str, piece: int) -> None:
    server = open_server((200, bundle(12)), (200, bundle(7)), base)
    (seen,) = observed(server, piece=piece)

    assert (seen.service.protocol, seen.service.resource) == ("fhir", base or "/")
    assert (seen.access.talk, seen.access.list, seen.access.read) == (Verdict.PROVEN, Verdict.PROVEN, Verdict.OFFERED)
    assert seen.counts.studies is not None
    assert seen.counts.patients is not None
    assert (seen.counts.studies.value, seen.counts.studies.source) == (12, CountSource.CLAIMED)
    assert (seen.counts.patients.value, seen.counts.patients.kind) == (7, CountKind.EXACT)
    assert (seen.product.name, seen.product.version, seen.facts["fhir.release"]) == ("HAPI FHIR", "7.4.0", 4)
    assert seen.unknowns == ()
    assert seen.exposed


def test_only_json_is_asked_for_and_only_totals() -> None:
    server = open_server((200, bundle(12)), (200, bundle(7)))
    observed(server)

    assert server.asked == [
        *(f"{base}/metadata" for base in BASES),
        "/fhir/ImagingStudy?_summary=count",
        "/fhir/Patient?_summary=count",
    ]
    assert all(request.startswith(b"GET ") for request in server.requests)
    assert all(b"\r\nAccept: application/fhir+json\r\n" in request for request in server.requests)


@pytest.mark.parametrize(
    ("studies", "patients", "verdict", "reasons"),
    [
        ((200, bundle(3)), (403, OUTCOME), Verdict.PROVEN, [(Stage.COUNT, Reason.AUTH)]),
        ((404, OUTCOME), (200, bundle(3)), Verdict.PROVEN, [(Stage.COUNT, Reason.PROTOCOL)]),
        ((200, bundle(None, 3)), (200, bundle(3)), Verdict.PROVEN, [(Stage.COUNT, Reason.LIMIT)]),
        ((401, OUTCOME), (403, b""), Verdict.REFUSED, []),
        ((200, bundle(0)), (200, bundle(0)), Verdict.UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        ((200, bundle(0)), (401, b""), Verdict.UNKNOWN, [(Stage.LIST, Reason.EMPTY), (Stage.LIST, Reason.AUTH)]),
        ((200, OUTCOME), (200, OUTCOME), Verdict.UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
        ((200, b"<html>"), (500, OUTCOME), Verdict.UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
        ((429, b""), (503, OUTCOME), Verdict.UNKNOWN, [(Stage.LIST, Reason.LIMIT)]),
        ((200, b"{" + b" " * (2 << 20)), (200, b"[" * 100_000), Verdict.UNKNOWN, None),
        ((201, bundle(3)), (302, bundle(3)), Verdict.UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
    ],
)
def test_what_an_answer_means(
    studies: Route, patients: Route, verdict: Verdict, reasons: list[tuple[Stage, Reason]] | None
) -> None:
    (seen,) = observed(open_server(studies, patients))

    assert seen.access.list is verdict
    assert seen.access.read is {Verdict.PROVEN: Verdict.OFFERED, Verdict.REFUSED: Verdict.REFUSED}.get(
        verdict, Verdict.UNKNOWN
    )
    if reasons is not None:
        assert [(why.stage, why.reason) for why in seen.unknowns] == reasons
    assert bool(seen.unknowns) or verdict is Verdict.REFUSED


def test_an_answer_that_is_cut_is_never_nothing() -> None:
    (seen,) = observed(open_server((200, b"{" + b" " * (2 << 20)), (200, bundle(0))))
    assert [why.reason for why in seen.unknowns] == [Reason.TRUNCATED, Reason.EMPTY]


def test_entries_without_a_total_are_a_bound() -> None:
    (seen,) = observed(open_server((200, bundle(None, 5)), (200, bundle(0))))
    assert seen.counts.studies is not None
    assert (seen.counts.studies.value, seen.counts.studies.kind, seen.counts.studies.high) == (5, CountKind.BOUND, None)


def test_a_service_that_refuses_even_its_statement_is_told_by_what_it_says() -> None:
    (seen,) = observed(Server({"/fhir/metadata": (401, OUTCOME)}))
    assert (seen.access.list, seen.access.read, seen.unknowns) == (Verdict.REFUSED, Verdict.REFUSED, ())

    (seen,) = observed(Server({"/fhir/metadata": (403, b"")}))
    assert seen.access.list is Verdict.REFUSED
    assert observed(Server({"/fhir/metadata": (403, b"")}, b"text/html")) == []


def test_a_statement_that_is_too_long_is_still_a_service() -> None:
    server = open_server((200, bundle(2)), (200, bundle(2)))
    server.routes = {
        **server.routes,
        "/fhir/metadata": (200, b'{"resourceType": "CapabilityStatement", "x": "' + b"x" * (5 << 20)),
    }
    (seen,) = observed(server)
    assert (seen.access.list, seen.product.name) == (Verdict.PROVEN, "")


def test_a_server_without_a_statement_is_one_by_the_bundle_that_it_answers() -> None:
    """fhirsnake takes `metadata` for the name of a resource."""
    server = open_server((200, bundle(2)), (200, bundle(2)))
    server.routes = {**server.routes, "/fhir/metadata": (200, bundle(0))}
    assert observed(server)[0].access.list is Verdict.PROVEN


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b"{}", b"[]", b"[" * 100_000, b'{"resourceType":"Patient"}']
)
def test_a_server_that_answers_anything_with_a_page_is_none(content: bytes) -> None:
    routes = {f"{base}/metadata": (200, content) for base in BASES}
    assert observed(Server(routes, b"text/html")) == []


def test_where_the_server_ends_the_connection_the_count_is_unknown() -> None:
    def server(sent: bytes) -> tuple[bytes, bool]:
        return (b"", False) if b"ImagingStudy" in sent else inner(sent)

    inner = open_server((200, bundle(1)), (200, bundle(1)))
    attempts: dict[str, Any] = {}
    front = Front(status=200)
    while (job := DOOR.next_job(CASE, attempts, front, Identify())) is not None:
        attempts[job.name], _ = converse(job.converse(), server)
    (seen,) = DOOR.conclude(CASE, attempts, front)
    assert seen.access.list is not Verdict.REFUSED
    assert seen.unknowns


def test_a_budget_that_is_spent_is_said() -> None:
    case = replace(CASE, terms=replace(TERMS, queries=1))
    job = DOOR.next_job(case, {}, Front(status=200), Identify())
    assert job is not None
    attempt, _ = converse(job.converse(), open_server((200, bundle(1)), (200, bundle(1)), base=""))
    assert isinstance(attempt, Completed)
    assert attempt.result.why == Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    (seen,) = DOOR.conclude(case, {LOOK: attempt}, Front(status=200))
    assert [why.reason for why in seen.unknowns] == [Reason.BUDGET]


@settings(max_examples=60)
@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([200, 204, 301, 401, 404, 429, 500]))
def test_any_answers_give_a_result(statement: bytes, answer: bytes, status: int) -> None:
    routes: dict[str, Route] = {f"{base}/metadata": (status, statement) for base in BASES}
    routes |= {"/fhir/metadata": (200, STATEMENT), "/fhir/ImagingStudy?_summary=count": (status, answer)}
    for seen in observed(Server(routes)):
        assert seen.access.list is not Verdict.NOT_ASKED
        assert seen.unknowns or seen.access.list in (Verdict.PROVEN, Verdict.REFUSED)
