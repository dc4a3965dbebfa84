"""Counting page by page, of servers that honour what they are asked, and of those that do not."""

from __future__ import annotations

import datetime as dt
import json
from ipaddress import ip_address
from typing import Any

import pytest
from web_archive import WebArchive, data_set, reply

from conversing import converse
from leadapron.model import Completed, Count, CountSource, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Lost
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicomweb.counting import PAGE, Api, Counting, WebCount
from leadapron.protocols.shown import unpacked

HERE = Endpoint(address=ip_address("198.18.0.1"), port=80)
CLAIMED = CountSource.CLAIMED


def job(**values: Any) -> Counting:
    given: dict[str, Any] = {
        "name": "dicomweb.count:/dicom-web",
        "endpoint": HERE,
        "requests": 60,
        "api": Api.QIDO,
        "base": "/dicom-web",
        "answers": 20_000,
        "today": dt.date(2026, 11, 28),
        "key": bytes(32),
        **values,
    }
    return Counting(**given)


def counted(server: WebArchive, **values: Any) -> WebCount:
    attempt, _ = converse(job(**values).converse(), server)
    assert isinstance(attempt, Completed)
    return attempt.result


@pytest.mark.parametrize("studies", [1, 3, 100, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 1234])
def test_pages_that_end_are_exact(studies: int) -> None:
    found = counted(WebArchive(studies))
    assert (found.studies, found.why, found.is_capped) == (Count.exact(studies), None, False)
    assert found.images == Count.exact(2 * studies, CLAIMED)
    assert len(unpacked(found.shown)) == studies


def test_nothing_is_no_count() -> None:
    found = counted(WebArchive(0))
    assert (found.studies, found.status, found.shown, found.why) == (None, 204, b"", None)


@pytest.mark.parametrize("cap", [7, 10, 37, 100, 250])
def test_a_server_that_caps_and_honours_offsets_is_paged_through(cap: int) -> None:
    """Pages of another size than asked for: they go on as long as they bring something."""
    found = counted(WebArchive(3 * cap + 1, cap=cap))
    assert (found.studies, found.why) == (Count.exact(3 * cap + 1), None)


def test_a_server_that_ignores_offsets_and_has_few_is_exact() -> None:
    found = counted(WebArchive(3, honours_offset=False))
    assert (found.studies, found.ignores_offset, found.is_capped) == (Count.exact(3), True, False)


def test_a_server_that_ignores_offsets_is_asked_by_date_and_gives_a_bound() -> None:
    server = WebArchive(1000, cap=100, honours_offset=False)
    found = counted(server, requests=400)
    assert found.ignores_offset
    assert found.is_capped
    assert found.why is Reason.LIMIT
    assert found.studies is not None
    assert found.studies.low == 910  # one in ten has no date; ten of those were on the first page
    assert found.studies.high is None
    assert any("StudyDate=" in target for target in server.asked)


def test_the_budgets_are_kept() -> None:
    by_answers = counted(WebArchive(5 * PAGE), answers=2 * PAGE)
    assert (by_answers.studies, by_answers.why) == (Count.at_least(2 * PAGE), Reason.BUDGET)
    by_requests = counted(WebArchive(5 * PAGE), requests=3)
    assert (by_requests.studies, by_requests.why) == (Count.at_least(2 * PAGE), Reason.BUDGET)


def test_the_route_that_counts_is_believed_where_pages_do_not_end() -> None:
    pages = {"/dicom-web/studies/count": b'{"count": 4321}'}
    found = counted(WebArchive(4321, pages=pages), answers=PAGE)
    assert found.studies == Count.exact(4321, CLAIMED)
    assert found.images is not None
    assert found.images.high is None


def test_own_studies_are_told() -> None:
    assert counted(WebArchive(5), own=Own(roots=(b"2.25.11.",))).own_studies == 5
    assert counted(WebArchive(5), own=Own(roots=(b"1.2.",))).own_studies == 0
    assert counted(WebArchive(5)).own_studies is None


@pytest.mark.parametrize(
    ("status", "why"), [(401, Reason.AUTH), (413, Reason.LIMIT), (500, Reason.PROTOCOL), (302, Reason.PROTOCOL)]
)
def test_a_refusal_has_its_reason(status: int, why: Reason) -> None:
    found = counted(WebArchive(3, status=status))
    assert (found.studies, found.status, found.why) == (None, status, why)


def test_what_is_lost_in_the_middle_leaves_a_bound() -> None:
    steps = job().converse()
    sending = next(steps)
    server = WebArchive(3 * PAGE)
    for _ in range(2):
        sending = steps.send(server(bytes(sending))[0])
    with pytest.raises(StopIteration) as stop:
        steps.throw(Lost(Reason.TIMEOUT))
    found = stop.value.value.result
    assert (found.studies, found.why, found.ended) == (Count.at_least(PAGE), Reason.TIMEOUT, None)
    assert sending


def test_a_stop_is_ours() -> None:
    steps = job().converse()
    next(steps)
    server = WebArchive(3 * PAGE)
    steps.send(server(b"GET /dicom-web/studies/count HTTP/1.1")[0])
    steps.send(server(b"GET /dicom-web/studies?limit=500&offset=0 HTTP/1.1")[0])
    with pytest.raises(StopIteration) as stop:
        steps.throw(Lost(Reason.STOPPED))
    assert stop.value.value.result.ended == Failed(stage=Stage.COUNT, reason=Reason.STOPPED)


def test_before_the_first_page_there_is_nothing() -> None:
    steps = job().converse()
    next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.throw(Lost(Reason.TIMEOUT))
    assert stop.value.value == Failed(stage=Stage.LIST, reason=Reason.TIMEOUT)


def test_orthanc_says_it_all_at_once() -> None:
    numbers = {"CountPatients": 2, "CountStudies": 3, "CountSeries": 4, "CountInstances": 50}
    rows = [{"MainDicomTags": {"StudyInstanceUID": f"1.2.{number}"}, "Series": ["a"]} for number in range(3)]
    pages = {"/statistics": json.dumps(numbers).encode(), "/studies": json.dumps(rows).encode()}
    found = counted(WebArchive(0, pages=pages), api=Api.ORTHANC, base="")
    assert [found.patients, found.studies, found.series, found.images] == [
        Count.exact(number, CLAIMED) for number in (2, 3, 4, 50)
    ]
    assert len(unpacked(found.shown)) == 3
    assert found.why is None


def test_rows_without_a_uid_make_a_bound() -> None:
    rows = [data_set(1), {"00100010": {"vr": "PN"}}]
    server = WebArchive(0, pages={"/dicom-web/studies": json.dumps(rows).encode()})
    found = counted(server)
    assert (found.studies, found.bad_rows) == (Count.at_least(1), 1)


def test_an_endless_page_is_cut() -> None:
    attempt, _ = converse(
        job().converse(),
        lambda sent: (
            reply(b"", 404) if b"count" in sent else b"HTTP/1.1 200 x\r\n\r\n" + b"[" * (9 << 20),
            b"count" in sent,
        ),
    )
    assert isinstance(attempt, Completed)
    assert attempt.result.why is Reason.LIMIT
