"""Where archives are looked for, and what their answers mean: whole plans on servers that are functions."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

import pytest
from web_archive import WebArchive, data_set, reply

from conversing import Server, converse
from leadapron.identify.match import IDENTIFY
from leadapron.model import Completed, Count, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.http.probe import PROTOCOL

HERE = Endpoint(address=ip_address("198.18.0.1"), port=80)


def terms(**values: Any) -> Terms:
    given: dict[str, Any] = {
        "depth": Depth.CENSUS,
        "owner": Owner(grant="g"),
        "calling_aet": "LEADAPRON",
        "census": True,
    }
    return Terms(**{**given, **values})


def audited(server: Server, **values: Any) -> tuple[list[Observation], Failed | None, list[str]]:
    """All that is seen there, why nothing is, and the jobs in their order."""
    attempts: dict[str, Any] = {}
    while True:
        case = Case(endpoint=HERE, terms=terms(**values), attempts=attempts)
        if (job := PROTOCOL.next_job(case, IDENTIFY)) is None or job.name.startswith("tls"):
            break
        attempt, _ = converse(job.converse(), server)
        attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
    found, why = PROTOCOL.conclude(Case(endpoint=HERE, terms=terms(**values), attempts=attempts))
    jobs = [name for name in attempts if name in ("hello", "blank") or name.startswith("dicomweb")]
    return list(found), why, jobs


@pytest.mark.parametrize("base", ["/dicom-web", "/orthanc/dicom-web", "/dicomweb", "/rs", "/qido-rs", ""])
def test_an_archive_is_found_where_products_have_it(base: str) -> None:
    (seen,), why, jobs = audited(WebArchive(30, base=base))
    assert why is None
    assert (seen.service.protocol, seen.service.resource) == ("dicomweb", base or "/")
    assert (seen.access.list, seen.access.read) == (Verdict.PROVEN, Verdict.OFFERED)
    assert seen.counts.studies == Count.exact(30)
    assert seen.census is not None
    assert seen.census.sampled == 25
    assert seen.census.present["PatientName"] == 25
    assert seen.facts["sign.records"] == 25
    assert jobs == ["hello", "dicomweb.look", f"dicomweb.count:{base or '/'}", f"dicomweb.census:{base or '/'}"]


def test_depths_end_where_they_say() -> None:
    nothing, why, jobs = audited(WebArchive(3), depth=Depth.TALK)
    assert (nothing, jobs) == ([], ["hello"])
    assert why is not None
    (seen,), _, jobs = audited(WebArchive(3), depth=Depth.COUNT)
    assert (seen.census, len(jobs)) == (None, 3)
    (seen,), _, _ = audited(WebArchive(3), census=False)
    assert seen.census is None
    assert seen.facts["census_withheld"] is True


def test_the_archives_of_dcm4chee_go_by_their_titles() -> None:
    base = "/dicom/none"
    pages = {
        "/dicom-web/studies": b"<html></html>",
        "/dcm4chee-arc/aets": json.dumps([{"dicomAETitle": "ARCHIVE"}, {"dicomAETitle": "MUSTERMANN^MAX"}]).encode(),
        "/dcm4chee-arc/aets/ARCHIVE/rs/studies/count": b'{"count": 2}',
        "/dcm4chee-arc/aets/ARCHIVE/rs/studies": json.dumps([data_set(1), data_set(2)]).encode(),
    }
    (seen,), _, _ = audited(WebArchive(0, base=base, pages=pages))
    assert seen.service.resource == "/dcm4chee-arc/aets/ARCHIVE/rs"
    assert seen.access.list is Verdict.PROVEN


@pytest.mark.parametrize(
    ("status", "others", "verdict"),
    [(401, 404, Verdict.REFUSED), (403, 404, Verdict.REFUSED), (401, 401, None), (500, 404, None), (404, 404, None)],
)
def test_a_refusal_tells_a_route_only_where_others_are_not_refused(
    status: int, others: int, verdict: Verdict | None
) -> None:
    found, why, _ = audited(WebArchive(3, status=status, others=others))
    assert [seen.access.list for seen in found] == ([] if verdict is None else [verdict])
    assert (why is None) == bool(found)


def test_a_page_for_any_path_is_no_archive() -> None:
    def catch_all(sent: bytes) -> tuple[bytes, bool]:
        return reply(b"<html><title>An application</title></html>"), True

    found, why, jobs = audited(catch_all)
    assert found == []
    assert why == Failed(stage=Stage.TALK, reason=Reason.EMPTY, detail="a web server, and nothing of imaging on it")
    assert jobs == ["hello", "dicomweb.look"]


def test_no_content_for_any_path_is_no_archive() -> None:
    assert audited(lambda sent: (reply(b"", 204), True))[0] == []


def test_an_empty_archive_is_unknown() -> None:
    (seen,), _, _ = audited(WebArchive(0))
    assert seen.access.list is Verdict.UNKNOWN
    assert seen.unknowns == (Failed(stage=Stage.LIST, reason=Reason.EMPTY),)
    assert not seen.exposed


def test_a_route_that_is_locked_without_the_slash_only() -> None:
    """OHIF issue 3993."""
    archive = WebArchive(3, status=401, pages={"/dicom-web/studies/": json.dumps([data_set(1)]).encode()})
    (seen,), _, _ = audited(archive)
    assert seen.access.list is Verdict.PROVEN
    assert seen.facts["dicomweb.slash"] is True


def test_a_product_behind_a_login_is_refused() -> None:
    realm = b'WWW-Authenticate: Basic realm="Orthanc Secure Area"'
    (seen,), why, _ = audited(lambda sent: (reply(b"", 401, realm), True))
    assert (seen.product.name, seen.access.list, seen.access.talk) == ("Orthanc", Verdict.REFUSED, Verdict.PROVEN)
    assert seen.facts["web.basic"] is True
    assert why is None


@pytest.mark.parametrize(("status", "accepted"), [(200, True), (401, False)])
def test_a_blank_login_is_tried_once_and_only_where_the_grant_says_so(status: int, accepted: bool) -> None:
    realm = b'WWW-Authenticate: Basic realm="Orthanc Secure Area"'
    tried: list[bytes] = []

    def server(sent: bytes) -> tuple[bytes, bool]:
        if b"Authorization: Basic Og==" in sent:
            tried.append(sent)
            return reply(b"", status), True
        return reply(b"", 401, realm), True

    (seen,), _, jobs = audited(server, blank_login=True)
    assert jobs.count("blank") == len(tried) == 1
    assert seen.facts["blank_login_accepted"] is accepted
    (seen,), _, jobs = audited(server)
    assert "blank" not in jobs
    assert "blank_login_accepted" not in seen.facts


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"ApiVersion": 1, "DicomAet": "x"}', b"\xff" * 1000, b""])
def test_hostile_bodies_are_nothing(body: bytes) -> None:
    found, _, _ = audited(lambda sent: (reply(body), True))
    assert all(seen.access.list is not Verdict.PROVEN for seen in found)


def test_names_of_patients_are_in_no_attempt() -> None:
    attempts: dict[str, Any] = {}
    archive = WebArchive(30, pages={"/": b"<title>SYNTHETIC^7</title>"})
    while (job := PROTOCOL.next_job(Case(endpoint=HERE, terms=terms(), attempts=attempts), IDENTIFY)) is not None:
        attempt, _ = converse(job.converse(), archive)
        attempts[job.name] = PROTOCOL.encode_attempt(attempt)
    assert isinstance(attempt, Completed)
    assert "SYNTHETIC" not in json.dumps(attempts)
    assert "2.25.11" not in json.dumps(attempts)
