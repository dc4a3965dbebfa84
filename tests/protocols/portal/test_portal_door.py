"""Portals open, empty and locked: what is asked, what the pages mean, and that nothing of them stays."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portal_server import (
    CASE,
    CONQUEST,
    HERE,
    HOROS_EMPTY,
    HOROS_HEAD,
    HOROS_LOGIN,
    OHIF,
    OVIYAM_LOGIN,
    OVIYAM_OPEN,
    SECRET,
    TERMS,
    XNAT_LOGIN,
    Answered,
    Identify,
    Server,
    archive,
    conquest,
    data_sets,
    horos,
    observed,
    ohif_config,
    ok,
    to,
)

from conversing import converse
from leadapron.identify.catalogue import fingerprints, page_marks
from leadapron.model import Completed, CountKind, CountSource, Failed, Observation, Reason, Stage, Verdict
from leadapron.net.conversation import Lost
from leadapron.protocols.http.web import Front
from leadapron.protocols.portal.door import DOOR, LOOK
from leadapron.protocols.portal.portals import portals

PROVEN, REFUSED, UNKNOWN, NOT_ASKED = Verdict.PROVEN, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.NOT_ASKED
KEYCLOAK = (
    "https://sso.hospital.example/realms/dcm4che/protocol/openid-connect/auth?response_type=code"
    "&client_id=dcm4chee-arc-ui&redirect_uri=http%3A%2F%2Fpacs"
)


def why(seen: Observation) -> list[tuple[Stage, Reason]]:
    return [(each.stage, each.reason) for each in seen.unknowns]


# -- the table ---------------------------------------------------------------------------------------------------------


BEHIND_THE_FRONT = [path for path in portals() if path != "/"]
"""What is asked for where the front page is no portal."""


def test_every_portal_is_of_a_product_that_has_a_name_in_the_catalogue() -> None:
    names = {mark.name for mark in page_marks()} | {each.name for each in fingerprints()}
    assert {portal.product for portal in portals().values()} <= names


def test_every_portal_says_where_it_is_known_from() -> None:
    assert all("/" in portal.source and "recall" not in portal.source for portal in portals().values())


def test_a_look_asks_for_every_page_once_and_posts_nothing() -> None:
    server = Server({})
    assert observed(server) == []
    assert server.asked == BEHIND_THE_FRONT
    assert not any(b"Cookie:" in request or b"Authorization:" in request for request in server.requests)


# -- pages that list studies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 1 << 16])
@pytest.mark.parametrize(("path", "page"), [("/studyList", horos(3)), (CONQUEST, conquest(3))])
def test_a_page_with_studies_proves_the_list_and_counts_at_least_them(path: str, page: str, piece: int) -> None:
    (seen,) = observed(Server({path: ok(page)}), piece=piece)

    assert (seen.service.protocol, seen.service.resource) == ("portal", path)
    assert (seen.access.talk, seen.access.list, seen.access.read) == (PROVEN, PROVEN, Verdict.OFFERED)
    assert seen.counts.studies is not None
    assert (seen.counts.studies.value, seen.counts.studies.kind) == (3, CountKind.BOUND)
    assert seen.counts.studies.source is CountSource.ENUMERATED
    assert why(seen) == [(Stage.COUNT, Reason.LIMIT)]
    assert seen.exposed


@pytest.mark.parametrize(
    ("path", "page", "verdict", "reasons"),
    [
        ("/studyList", ok(HOROS_EMPTY), UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        ("/studyList", ok(HOROS_LOGIN), REFUSED, []),
        ("/studyList", (401, HOROS_HEAD.encode(), ()), REFUSED, []),
        ("/studyList", ok(HOROS_HEAD), NOT_ASKED, []),
        ("/studyList", ok(HOROS_HEAD + " " * (1 << 20)), UNKNOWN, [(Stage.LIST, Reason.TRUNCATED)]),
        (CONQUEST, ok(conquest(0)), UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        ("/oviyam2/", ok(OVIYAM_LOGIN), REFUSED, []),
        ("/oviyam2/", ok(OVIYAM_OPEN), NOT_ASKED, []),
        ("/dcm4chee-arc/ui2/", ok("<title>dcm4chee-arc-ui</title>"), NOT_ASKED, []),
        ("/dcm4chee-arc/ui2/", to(KEYCLOAK), REFUSED, []),
        ("/app/template/Index.vm", ok(XNAT_LOGIN), REFUSED, []),
    ],
)
def test_what_a_page_means(path: str, page: Answered, verdict: Verdict, reasons: list[tuple[Stage, Reason]]) -> None:
    (seen,) = observed(Server({path: page}))
    assert (seen.service.resource, seen.access.list, why(seen)) == (path, verdict, reasons)
    assert seen.product.name == portals()[path].product
    assert seen.access.read is (verdict if verdict in (REFUSED, NOT_ASKED) else UNKNOWN)
    assert seen.facts["portal.login"] is (verdict is REFUSED)


@pytest.mark.parametrize(
    "page",
    [
        ok("<title>Another product</title>"),
        ok(b"\xff\xfe\0" * 100),
        (500, horos(3).encode(), ()),
        (401, b"", (b'WWW-Authenticate: Basic realm="x"',)),
        to("https://sso.hospital.example/login"),
        to("http://198.18.0.9/studyList"),
        (503, b"", ()),
    ],
)
def test_what_is_not_told_by_its_content_is_no_portal(page: Answered) -> None:
    assert observed(Server(dict.fromkeys(portals(), page))) == []


def test_a_redirect_on_the_same_server_is_followed_and_no_further_than_two() -> None:
    server = Server(
        {
            "/app/template/Index.vm": to("/app/template/Login.vm"),
            "/app/template/Login.vm": ok(XNAT_LOGIN),
            "/studyList": to("/studyList"),
        }
    )
    (seen,) = observed(server)
    assert (seen.service.resource, seen.access.list) == ("/app/template/Index.vm", REFUSED)
    assert server.asked.count("/studyList") == 2, "what a redirect leads to is asked for once"


def test_a_page_to_which_every_other_leads_is_asked_for_once() -> None:
    server = Server({**dict.fromkeys(BEHIND_THE_FRONT, to("/login")), "/login": ok(OVIYAM_LOGIN)})
    assert [seen.service.resource for seen in observed(server)] == ["/oviyam2/"]
    assert server.asked.count("/login") == 1
    assert len(server.asked) == len(BEHIND_THE_FRONT) + 1


def test_a_portal_that_ends_every_connection_is_read_the_same() -> None:
    server = Server({"/studyList": ok(horos(2)), "/oviyam2/": ok(OVIYAM_LOGIN)}, closes=True)
    assert [seen.access.list for seen in observed(server)] == [PROVEN, REFUSED]


# -- viewers whose data lie elsewhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("root", ["/pacs/dicom-web", "http://198.18.0.1:8080/pacs/dicom-web", "../pacs/dicom-web/"])
def test_what_a_viewer_shows_from_the_same_server_is_counted(root: str, closes: bool) -> None:
    routes = {"/ohif/": ok(OHIF), "/ohif/app-config.js": ok(ohif_config(root)), **archive("/pacs/dicom-web", 7)}
    server = Server(routes, closes=closes)
    (seen,) = observed(server)

    assert (seen.service.resource, seen.access.list, seen.access.read) == ("/ohif/", PROVEN, Verdict.OFFERED)
    assert seen.counts.studies is not None
    assert seen.counts.images is not None
    assert (seen.counts.studies.value, seen.counts.studies.kind) == (7, CountKind.EXACT)
    assert seen.counts.images.value == 14
    assert seen.unknowns == ()
    assert (seen.facts["portal.sources_here"], seen.facts["portal.sources_elsewhere"]) == (1, 0)
    assert "/commented/studies?limit=1" not in server.asked


def test_what_the_door_of_dicomweb_counts_is_not_counted_twice() -> None:
    routes = {"/": ok(OHIF), "/app-config.js": ok(ohif_config("/dicom-web")), **archive("/dicom-web", 7)}
    server = Server(routes)
    (seen,) = observed(server)
    assert (seen.access.list, seen.counts.studies, seen.unknowns) == (PROVEN, None, ())
    assert sum("offset" in target for target in server.asked) == 0


@pytest.mark.parametrize(
    "root",
    [
        "https://d33do7qe4w26qo.cloudfront.net/dicomweb",
        "http://198.18.0.9:8080/dicom-web",
        "http://198.18.0.1:8043/dicom-web",
        "//198.18.0.9/dicom-web",
        "ftp://198.18.0.1:8080/dicom-web",
        "/delete?everything=1",
        "/a/%2e%2e/b",
    ],
)
def test_a_source_that_is_elsewhere_is_never_asked(root: str) -> None:
    server = Server({"/viewer/": ok(OHIF), "/viewer/app-config.js": ok(ohif_config(root))})
    (seen,) = observed(server)
    assert server.asked == [*BEHIND_THE_FRONT[:6], "/viewer/app-config.js", *BEHIND_THE_FRONT[6:]]
    assert (seen.access.list, seen.facts["portal.sources_elsewhere"]) == (NOT_ASKED, 1)


@pytest.mark.parametrize(
    ("answer", "verdict", "reasons"),
    [
        (ok(b"[]"), UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        (ok(b" [ ] "), UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        ((204, b"", ()), UNKNOWN, [(Stage.LIST, Reason.EMPTY)]),
        ((401, b"", ()), REFUSED, []),
        ((500, b"", ()), UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
        (ok("<html>"), UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
        (ok(b"[" * 100_000), UNKNOWN, [(Stage.LIST, Reason.PROTOCOL)]),
    ],
)
def test_what_the_data_of_a_viewer_mean(
    answer: Answered, verdict: Verdict, reasons: list[tuple[Stage, Reason]]
) -> None:
    routes = {"/ohif/": ok(OHIF), "/ohif/app-config.js": ok(ohif_config("/q")), "/q/studies?limit=1": answer}
    (seen,) = observed(Server(routes))
    assert (seen.access.list, why(seen)) == (verdict, reasons)


def test_of_several_sources_the_one_that_shows_most_counts() -> None:
    config = ohif_config("/locked", "https://elsewhere.example/x", "/open", "/third")
    routes = {"/ohif/": ok(OHIF), "/ohif/app-config.js": ok(config), "/locked/studies?limit=1": (403, b"", ())}
    server = Server({**routes, **archive("/open", 2)})
    (seen,) = observed(server)
    assert seen.counts.studies is not None
    assert (seen.access.list, seen.counts.studies.value) == (PROVEN, 2)
    assert (seen.facts["portal.sources_here"], seen.facts["portal.sources_elsewhere"]) == (3, 1)
    assert "/third/studies?limit=1" not in server.asked


def test_a_viewer_whose_data_are_gone_at_the_second_look_is_not_nothing() -> None:
    answers = iter([ok(data_sets(1)), (503, b"", ())])
    routes: dict[str, Any] = {
        "/ohif/": ok(OHIF),
        "/ohif/app-config.js": ok(ohif_config("/q")),
        "/q/studies?limit=1": lambda _: next(answers),
    }
    (seen,) = observed(Server(routes))
    assert (seen.access.list, seen.counts.studies) == (PROVEN, None)
    assert why(seen) == [(Stage.COUNT, Reason.PROTOCOL)]


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_a_budget_that_is_spent_is_said_and_what_was_seen_is_kept() -> None:
    case = replace(CASE, terms=replace(TERMS, queries=2))
    job = DOOR.next_job(case, {}, Front(status=200), Identify())
    assert job is not None
    attempt, _ = converse(job.converse(), Server({"/studyList": ok(horos(1))}))
    assert isinstance(attempt, Completed)
    assert attempt.result.why == Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    (seen,) = DOOR.conclude(case, {LOOK: attempt}, Front(status=200))
    assert seen.access.list is PROVEN


def test_where_the_server_falls_silent_what_was_seen_is_kept() -> None:
    def server(sent: bytes) -> tuple[bytes, bool]:
        return (b"", True) if b"/oviyam2/" in sent else inner(sent)

    inner = Server({"/studyList": ok(horos(1))})
    job = DOOR.next_job(CASE, {}, Front(status=200), Identify())
    assert job is not None
    steps = job.converse()
    sending = next(steps)
    for _ in range(3):
        sending = steps.send(server(bytes(sending))[0])
    with pytest.raises(StopIteration) as stop:
        steps.throw(Lost(Reason.TIMEOUT))
    attempt = stop.value.value
    assert attempt.result.why == Failed(stage=Stage.LIST, reason=Reason.TIMEOUT)
    assert [page.path for page in attempt.result.pages] == ["/studyList"]


@pytest.mark.parametrize(
    "filler",
    [
        b"<form ",
        b'<form action="',
        b"<input ",
        b'<input name="',
        b'<a href="study?',
        b"<tr><td><a href=dgate",
        b"<meta\n",
    ],
)
def test_a_page_of_one_word_over_and_over_is_read_in_bounded_time(filler: bytes) -> None:
    marks = HOROS_HEAD.encode() + OHIF.encode() + XNAT_LOGIN.encode() + OVIYAM_LOGIN.encode() + conquest(0).encode()
    page = ok(marks + filler * ((1 << 19) // len(filler)))
    began = time.process_time()
    observed(Server(dict.fromkeys(portals(), page)))
    assert time.process_time() - began < 20.0


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            [horos(1), HOROS_EMPTY, HOROS_LOGIN, OHIF, OVIYAM_LOGIN, XNAT_LOGIN, conquest(2), "[]", "\0", SECRET]
        ),
        max_size=4,
    ),
    st.sampled_from([200, 204, 302, 401, 403, 404, 500]),
    st.binary(max_size=60).filter(lambda text: not re.search(rb"[\r\n]", text)),
)
def test_any_pages_give_results_in_our_own_words(pieces: list[str], status: int, location: bytes) -> None:
    answer = (status, "".join(pieces).encode() if status != 204 else b"", (b"Location: " + location,))
    for seen in observed(Server(dict.fromkeys((*portals(), "/app-config.js", "/ohif/app-config.js"), answer))):
        assert seen.service.resource in portals()
        assert seen.unknowns or seen.access.list in (PROVEN, REFUSED, NOT_ASKED)
        assert seen.service.endpoint == HERE
