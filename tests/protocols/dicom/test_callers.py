"""A blank login, and the titles of peers: tried only where the grant says so, and judged by what they opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.identify.match import match
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Owner, Reason, Stage
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import Inquiry, InquiryResult
from leadapron.protocols.dicom.negotiation import ANY_TITLE, BLANK, Negotiated, Negotiation, Outcome
from leadapron.protocols.dicom.probe import PROTOCOL, Dicom

HERE = Endpoint(address=ip_address("127.0.0.1"), port=104)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")
TOLD = replace(TERMS, calling_aets=("CT1", "MR1"))
BLANK_LOGIN = replace(TERMS, blank_login=True)
DICOM = Dicom()
OPEN = Negotiated(outcome=Outcome.ACCEPTED, accepted=("verification", "study_find"))
NO_CALLER = Negotiated(outcome=Outcome.REJECTED, rj_result=1, rj_source=1, rj_reason=3)
BUSY = Negotiated(outcome=Outcome.REJECTED, rj_result=2, rj_source=3, rj_reason=2)
REFUSED = InquiryResult(echo_status=0, model=Found(answer=Answer.REFUSED, status=0x0124), queries=1)
LISTED = InquiryResult(model=Found(answer=Answer.PROVEN, why=Reason.BUDGET, most_answers=1), queries=1, answers=1)
ASK, CT1, MR1 = f"ask:{ANY_TITLE}", f"caller:CT1:{ANY_TITLE}", f"caller:MR1:{ANY_TITLE}"
IDENTITY = f"identity:{ANY_TITLE}"


def case(attempts: Mapping[str, Attempt[Any]], terms: Terms) -> Case:
    return Case(
        endpoint=HERE,
        terms=terms,
        attempts={name: PROTOCOL.encode_attempt(attempt) for name, attempt in attempts.items()},
    )


def done(result: object) -> Completed[Any]:
    return Completed(result=result)


def following(attempts: Mapping[str, Attempt[Any]], terms: Terms) -> Any:
    return DICOM.next_job(case(attempts, terms), match)


def fact(name: str, attempts: Mapping[str, Attempt[Any]], terms: Terms) -> int | bool | None:
    (seen,), _ = DICOM.conclude(case(attempts, terms))
    return seen.facts.get(name)


SETTLED = {"hello": done(OPEN), ASK: done(REFUSED)}


def test_without_a_word_of_the_grant_neither_is_tried() -> None:
    assert following(SETTLED, TERMS) is None
    assert following({"hello": done(NO_CALLER)}, TERMS) is None


def test_a_title_of_a_peer_is_tried_where_ours_is_rejected() -> None:
    first = following({"hello": done(NO_CALLER)}, TOLD)
    assert isinstance(first, Negotiation)
    assert (first.name, first.calling_aet, first.called_aet) == (CT1, "CT1", ANY_TITLE)
    second = following({"hello": done(NO_CALLER), CT1: done(NO_CALLER)}, TOLD)
    assert second.name == MR1
    assert following({"hello": done(NO_CALLER), CT1: done(NO_CALLER), MR1: done(NO_CALLER)}, TOLD) is None


def test_where_a_query_is_refused_a_peer_asks_one_and_leaves_at_its_first_answer() -> None:
    job = following(SETTLED, TOLD)
    assert isinstance(job, Inquiry)
    assert (job.name, job.calling_aet, job.answers, job.narrow, job.take_census) == (CT1, "CT1", 1, False, False)
    talk = replace(TOLD, depth=Depth.TALK)
    assert following({"hello": done(OPEN), ASK: done(InquiryResult(echo_status=0))}, talk) is None


def test_who_lists_to_strangers_need_not_be_tried_as_a_peer() -> None:
    assert following({"hello": done(OPEN), ASK: done(LISTED)}, TOLD) is None


def test_a_service_that_fell_silent_is_left_alone() -> None:
    lost = replace(REFUSED, ended=Failed(stage=Stage.LIST, reason=Reason.TIMEOUT))
    there = {"hello": done(OPEN), ASK: done(lost), f"health:{ANY_TITLE}": done(OPEN)}
    assert following(there, replace(TOLD, blank_login=True)) is None


def test_the_budget_of_associations_is_that_of_the_service() -> None:
    assert following(SETTLED, replace(TOLD, associations=2)) is None


@pytest.mark.parametrize(
    ("ct1", "mr1", "expected"),
    [
        (done(NO_CALLER), done(NO_CALLER), True),
        (done(NO_CALLER), done(OPEN), False),
        (done(OPEN), Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT), False),
        (done(NO_CALLER), done(BUSY), None),
        (done(NO_CALLER), Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT), None),
    ],
)
def test_whether_titles_are_bound_where_ours_is_rejected(
    ct1: Attempt[Any], mr1: Attempt[Any], expected: bool | None
) -> None:
    assert fact("caller_bound", {"hello": done(NO_CALLER), CT1: ct1, MR1: mr1}, TOLD) is expected
    assert fact("caller_bound", {"hello": done(NO_CALLER)}, TOLD) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (LISTED, False),
        (REFUSED, True),
        (InquiryResult(rj_result=1, rj_source=1, rj_reason=3), True),
        (InquiryResult(rj_result=2, rj_source=3, rj_reason=2), None),
        (InquiryResult(model=Found(answer=Answer.UNKNOWN, why=Reason.EMPTY)), None),
    ],
)
def test_whether_titles_are_bound_where_queries_are_refused(answer: InquiryResult, expected: bool | None) -> None:
    assert fact("caller_bound", {**SETTLED, CT1: done(answer)}, replace(TOLD, calling_aets=("CT1",))) is expected


def test_a_blank_login_is_tried_once() -> None:
    job = following(SETTLED, BLANK_LOGIN)
    assert isinstance(job, Negotiation)
    assert (job.name, job.identity, job.calling_aet) == (IDENTITY, BLANK, "LEADAPRON")
    assert (BLANK.primary, BLANK.secondary) == (b"", b"")
    assert following({**SETTLED, IDENTITY: Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT)}, BLANK_LOGIN) is None


@pytest.mark.parametrize(
    ("answer", "ignored", "accepted"),
    [
        (OPEN, True, False),
        (replace(OPEN, identity_response=True), False, True),
        (replace(NO_CALLER, rj_reason=1), False, False),
        (BUSY, None, None),
        (Negotiated(outcome=Outcome.ABORTED), None, None),
    ],
)
def test_what_becomes_of_a_blank_login(answer: Negotiated, ignored: bool | None, accepted: bool | None) -> None:
    attempts = {**SETTLED, IDENTITY: done(answer)}
    assert fact("identity_ignored", attempts, BLANK_LOGIN) is ignored
    assert fact("identity_blank_accepted", attempts, BLANK_LOGIN) is accepted
