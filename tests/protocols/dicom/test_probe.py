"""The plan of an audit of one endpoint: what is asked next, and what everything together means. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.identify.match import match
from leadapron.model import (
    Attempt,
    Completed,
    Count,
    CountKind,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Owner,
    Reason,
    Stage,
    Verdict,
)
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import Inquiry, InquiryResult, Model
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Negotiation, Outcome, request
from leadapron.protocols.dicom.plan import LOOKS, MAX_ASKS, RETRIES
from leadapron.protocols.dicom.probe import PROTOCOL, Dicom

HERE = Endpoint(address=ip_address("127.0.0.1"), port=104)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")
OPEN = Negotiated(outcome=Outcome.ACCEPTED, accepted=("verification", "study_find"))
NO_SUCH_TITLE = Negotiated(outcome=Outcome.REJECTED, rj_result=1, rj_source=1, rj_reason=7)
NO_SUCH_CALLER = replace(NO_SUCH_TITLE, rj_reason=3)
BUSY = Negotiated(outcome=Outcome.REJECTED, rj_result=2, rj_source=3, rj_reason=2)
CONGESTED = replace(NO_SUCH_TITLE, rj_source=3, rj_reason=1)
"""What dcmqrscp says when it cannot fork: permanent by its letter, and gone a moment later."""
OTHER_VERSION = replace(NO_SUCH_TITLE, rj_source=2, rj_reason=2)
PROVEN = Found(answer=Answer.PROVEN, studies=Count.exact(3), images=Count.exact(9), most_answers=3)
ABORTED = Found(answer=Answer.ABORTED, why=Reason.ABORTED)
DICOM = Dicom()
ASK, AGAIN, THIRD = (f"{kind}:{ANY_TITLE}" for kind in ("ask", "ask.2", "ask.3"))
P, OFF, R, U, N = Verdict.PROVEN, Verdict.OFFERED, Verdict.REFUSED, Verdict.UNKNOWN, Verdict.NOT_ASKED


def case(attempts: Mapping[str, Attempt[Any]], terms: Terms = TERMS) -> Case:
    return Case(
        endpoint=HERE,
        terms=terms,
        attempts={name: PROTOCOL.encode_attempt(attempt) for name, attempt in attempts.items()},
    )


def done(result: object) -> Completed[Any]:
    return Completed(result=result)


def asked(model: Found | None = None, *, echo: int = 0, ended: Reason | None = None, **more: Any) -> Completed[Any]:
    why = None if ended is None else Failed(stage=Stage.LIST, reason=ended)
    return done(InquiryResult(echo_status=echo, model=model, queries=1, ended=why, **more))


def following(attempts: Mapping[str, Attempt[Any]], terms: Terms = TERMS) -> Any:
    return DICOM.next_job(case(attempts, terms), match)


def observed(attempts: Mapping[str, Attempt[Any]], terms: Terms = TERMS) -> Observation:
    (observation,), failed = DICOM.conclude(case(attempts, terms))
    assert failed is None
    return observation


def test_attempts_survive_their_way_through_the_store() -> None:
    for attempt in (done(OPEN), done(BUSY), asked(PROVEN), Failed(stage=Stage.LIST, reason=Reason.TIMEOUT)):
        assert PROTOCOL.decoded({"hello": PROTOCOL.encode_attempt(attempt)}) == {"hello": attempt}


# -- what is asked next ------------------------------------------------------------------------------------------------


def test_where_the_title_of_nobody_works_it_is_asked_and_no_other_is_tried() -> None:
    job = following({"hello": done(OPEN)}, replace(TERMS, called_aets=("ARCHIVE",)))
    assert isinstance(job, Inquiry)
    assert (job.name, job.called_aet, job.model, job.ask_echo) == (
        f"ask:{ANY_TITLE}",
        ANY_TITLE,
        Model.STUDY_ROOT,
        True,
    )


def test_titles_of_the_owner_are_tried_in_their_order_once_each_where_the_title_of_nobody_is_rejected() -> None:
    terms = replace(TERMS, called_aets=("ONE", "TWO"))
    attempts: dict[str, Attempt[Any]] = {"hello": done(NO_SUCH_TITLE)}
    for title in ("ONE", "TWO"):
        job = following(attempts, terms)
        assert isinstance(job, Negotiation)
        assert (job.name, job.called_aet) == (f"title:{title}", title)
        attempts[job.name] = done(NO_SUCH_TITLE)
    assert following(attempts, terms) is None


def test_no_title_is_tried_where_the_caller_is_not_known() -> None:
    assert following({"hello": done(NO_SUCH_CALLER)}, replace(TERMS, called_aets=("ONE",))) is None


def test_a_busy_server_is_asked_again_later_and_never_said_to_check_titles() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(BUSY)}
    delays = []
    while (job := following(attempts, replace(TERMS, called_aets=("ONE",)))) is not None:
        assert isinstance(job, Negotiation)
        assert job.called_aet == ANY_TITLE
        delays.append(job.delay)
        attempts[job.name] = done(BUSY)
    assert len(delays) == RETRIES
    assert delays == sorted(delays)
    assert delays[0] > 0
    facts = observed(attempts).facts
    assert "called_title_enforced" not in facts
    assert "calling_title_enforced" not in facts


def test_a_server_that_was_busy_is_asked_once_it_is_free() -> None:
    job = following({"hello": done(BUSY), "hello.2": done(OPEN)})
    assert job.name == f"ask:{ANY_TITLE}"


@pytest.mark.parametrize(("depth", "model"), [(Depth.TALK, Model.NONE), (Depth.COUNT, Model.STUDY_ROOT)])
def test_depth_talk_sends_an_echo_and_lists_nothing(depth: Depth, model: Model) -> None:
    job = following({"hello": done(OPEN)}, replace(TERMS, depth=depth))
    assert (job.model, job.ask_worklist, job.ask_echo, job.depth) == (model, False, True, depth)


@pytest.mark.parametrize(
    ("depth", "census", "taken"), [(Depth.CENSUS, True, True), (Depth.CENSUS, False, False), (Depth.COUNT, True, False)]
)
def test_a_census_passes_the_gate_at_its_own_depth(depth: Depth, census: bool, taken: bool) -> None:
    job = following({"hello": done(OPEN)}, replace(TERMS, depth=depth, census=census))
    assert (job.take_census, job.depth) == (taken, Depth.CENSUS if taken else Depth.COUNT)


def test_depth_connect_asks_nothing() -> None:
    assert following({"hello": done(OPEN)}, replace(TERMS, depth=Depth.CONNECT)) is None


def test_the_budget_of_associations_binds() -> None:
    terms = replace(TERMS, called_aets=tuple(f"T{number}" for number in range(30)), associations=5)
    attempts: dict[str, Attempt[Any]] = {"hello": done(NO_SUCH_TITLE)}
    while (job := following(attempts, terms)) is not None:
        attempts[job.name] = done(NO_SUCH_TITLE)
    assert len(attempts) == 5


def test_without_a_handshake_there_is_nothing_to_ask() -> None:
    for failed in (
        Failed(stage=Stage.CONNECT, reason=Reason.TIMEOUT),
        Failed(stage=Stage.HANDSHAKE, reason=Reason.MIDDLEBOX),
    ):
        assert following({"hello": failed}) is None
        found, why = DICOM.conclude(case({"hello": failed}))
        assert (list(found), why) == ([], failed)


def test_an_abort_is_reproduced_by_one_query_and_then_left_alone() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(OPEN), f"ask:{ANY_TITLE}": asked(ABORTED, ended=Reason.ABORTED)}
    job = following(attempts)
    assert isinstance(job, Inquiry)
    assert (job.name, job.narrow) == (AGAIN, False)
    attempts[job.name] = asked(ABORTED, ended=Reason.ABORTED)
    assert following(attempts) is None


BOTH = replace(OPEN, accepted=("verification", "study_find", "worklist_find"))
REFUSED = Found(answer=Answer.REFUSED, status=0x0122)
TURNED_DOWN = Found(answer=Answer.REFUSED)
"""Its context was rejected."""


def test_a_worklist_behind_a_query_that_is_aborted_twice_is_still_asked() -> None:
    aborts = asked(ABORTED, ended=Reason.ABORTED)
    attempts: dict[str, Attempt[Any]] = {"hello": done(BOTH), ASK: aborts, AGAIN: aborts}
    assert observed(attempts).access.list is Verdict.UNKNOWN
    job = following(attempts)
    assert (job.name, job.model, job.ask_worklist) == (THIRD, Model.NONE, True)
    attempts[THIRD] = asked(worklist=Found(answer=Answer.PROVEN, worklist=Count.exact(3)))
    assert observed(attempts).access.list is Verdict.PROVEN
    attempts[THIRD] = asked(worklist=REFUSED)
    assert observed(attempts).access.list is Verdict.REFUSED
    assert following(attempts) is None


def test_a_server_that_is_congested_is_asked_again_however_it_says_so() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(CONGESTED)}
    assert following(attempts).name == "hello.2"
    assert following({"hello": done(OTHER_VERSION)}, replace(TERMS, called_aets=("ONE",))) is None


def test_a_title_that_is_rejected_for_now_is_tried_again_later() -> None:
    terms = replace(TERMS, called_aets=("ONE", "TWO"))
    attempts: dict[str, Attempt[Any]] = {"hello": done(NO_SUCH_TITLE), "title:ONE": done(BUSY)}
    names = []
    while (job := following(attempts, terms)) is not None:
        names.append((job.name, job.delay > 0))
        attempts[job.name] = done(BUSY if "ONE" in job.name else NO_SUCH_TITLE)
    assert names == [("title.2:ONE", True), ("title.3:ONE", True), ("title:TWO", False)]


@pytest.mark.parametrize(
    ("titles", "budget", "reason"),
    [
        ({"title:ONE": Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT)}, 12, Reason.TIMEOUT),
        ({"title:ONE": done(BUSY), "title.2:ONE": done(BUSY), "title.3:ONE": done(BUSY)}, 12, Reason.REFUSED),
        ({"title:ONE": done(Negotiated(outcome=Outcome.ABORTED))}, 12, Reason.ABORTED),
        ({}, 1, Reason.BUDGET),
        ({}, 12, Reason.STOPPED),
    ],
    ids=["timeout", "busy", "aborted", "no association left", "the run ended"],
)
def test_a_title_of_the_owner_that_stays_open_leaves_the_verdict_unknown(
    titles: dict[str, Attempt[Any]], budget: int, reason: Reason
) -> None:
    terms = replace(TERMS, called_aets=("ONE",), associations=budget)
    observation = observed({"hello": done(NO_SUCH_TITLE), **titles}, terms)
    assert observation.access.list is Verdict.UNKNOWN
    assert {failed.reason for failed in observation.unknowns} == {reason}


def test_a_title_that_stays_open_is_told_beside_one_that_works() -> None:
    attempts = {
        "hello": done(NO_SUCH_TITLE),
        "title:ONE": done(OPEN),
        "ask:ONE": asked(PROVEN),
        "title:TWO": Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT),
    }
    observation = observed(attempts, replace(TERMS, called_aets=("ONE", "TWO")))
    assert observation.access.list is Verdict.PROVEN
    assert observation.unknowns == (Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT),)


def test_a_caller_that_is_checked_behind_the_title_is_noticed() -> None:
    attempts = {"hello": done(NO_SUCH_TITLE), "title:ONE": done(NO_SUCH_CALLER)}
    facts = observed(attempts, replace(TERMS, called_aets=("ONE",))).facts
    assert (facts["called_title_enforced"], facts["calling_title_enforced"]) == (True, True)


def rejected_for_now() -> Completed[Any]:
    ended = Failed(stage=Stage.HANDSHAKE, reason=Reason.REFUSED)
    return done(InquiryResult(rj_result=2, rj_source=3, rj_reason=1, ended=ended))


def test_a_question_that_is_rejected_for_now_is_asked_again_later_but_not_for_ever() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(OPEN)}
    delays = []
    while (job := following(attempts)) is not None:
        assert job.model is Model.STUDY_ROOT
        delays.append(job.delay)
        attempts[job.name] = rejected_for_now()
    assert (len(delays), delays[0], sorted(delays)) == (RETRIES + 1, 0.0, delays)
    observation = observed(attempts)
    assert observation.access.list is Verdict.UNKNOWN
    assert observation.unknowns == (Failed(stage=Stage.HANDSHAKE, reason=Reason.REFUSED),)


@pytest.mark.parametrize("reason", [Reason.ABORTED, Reason.RESET])
def test_where_c_echo_ends_the_association_the_query_goes_without_it(reason: Reason) -> None:
    end = Failed(stage=Stage.TALK, reason=reason)
    attempts: dict[str, Attempt[Any]] = {"hello": done(OPEN), ASK: done(InquiryResult(ended=end))}
    job = following(attempts)
    assert (job.ask_echo, job.model, job.narrow) == (False, Model.STUDY_ROOT, True)
    attempts[job.name] = asked(PROVEN, echo=-1)
    assert observed(attempts).access.list is Verdict.PROVEN


def test_the_budget_is_the_services_and_not_the_associations() -> None:
    first = done(InquiryResult(echo_status=0, model=ABORTED, queries=3, answers=500))
    stored = {**PROTOCOL.encode_attempt(first), "seconds": 20.0}
    terms = replace(TERMS, seconds=60.0, queries=40, answers=20_000)
    job = DICOM.next_job(
        Case(endpoint=HERE, terms=terms, attempts={"hello": PROTOCOL.encode_attempt(done(OPEN)), ASK: stored}), match
    )
    assert isinstance(job, Inquiry)
    assert (job.queries, job.answers, job.limits.deadline) == (37, 19_500, 40.0)
    spent = {**stored, "seconds": 59.5}
    attempts = {"hello": PROTOCOL.encode_attempt(done(OPEN)), ASK: spent}
    assert DICOM.next_job(Case(endpoint=HERE, terms=terms, attempts=attempts), match) is None


@given(
    st.lists(
        st.sampled_from(["proven", "refused", "turned down", "aborted", "rejected", "echo aborts", "lost", "gone"]),
        max_size=12,
    ),
    st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=12),
)
def test_whatever_a_server_does_there_is_an_end_of_questions(plan: list[str], names: list[str]) -> None:
    """Whoever it says it is, from one association to the next."""
    ends: dict[str, Attempt[Any]] = {
        "proven": asked(PROVEN),
        "refused": asked(REFUSED),
        "turned down": asked(TURNED_DOWN),
        "aborted": asked(ABORTED, ended=Reason.ABORTED),
        "rejected": rejected_for_now(),
        "echo aborts": done(InquiryResult(ended=Failed(stage=Stage.TALK, reason=Reason.ABORTED))),
        "lost": asked(Found(answer=Answer.UNKNOWN, why=Reason.RESET), ended=Reason.RESET),
        "gone": Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT),
    }
    attempts: dict[str, Attempt[Any]] = {"hello": done(BOTH)}
    doings, sayings = iter(plan), iter(names)
    while (job := following(attempts, replace(TERMS, associations=100))) is not None:
        assert job.name not in attempts
        end = ends[next(doings, "lost")] if isinstance(job, Inquiry) else done(OPEN)
        if isinstance(end, Completed):
            end = done(replace(end.result, implementation=next(sayings, "")))
        attempts[job.name] = end
        assert len(attempts) < MAX_ASKS + LOOKS + 4
    assert observed(attempts).access.list in (P, R, U)


# -- several back ends ----------------------------------------------------------------------------------------------------

LOOK, LOOK_AGAIN = f"look:{ANY_TITLE}", f"look.2:{ANY_TITLE}"


def by(name: str, attempt: Completed[Any]) -> Completed[Any]:
    """An answer of the back end of this name."""
    return done(replace(attempt.result, implementation=name))


def test_of_two_that_answer_in_turn_each_is_asked_and_the_most_open_counts() -> None:
    """One lists, the other one refuses."""
    other = replace(OPEN, accepted=("verification", "study_find", "study_get"))
    attempts: dict[str, Attempt[Any]] = {"hello": by("a", done(OPEN)), ASK: by("b", asked(PROVEN))}
    for name, expected in ((LOOK, "a"), (LOOK_AGAIN, "b")):
        job = following(attempts)
        assert isinstance(job, Negotiation)
        assert job.name == name
        attempts[name] = by(expected, done(OPEN if expected == "a" else other))
    job = following(attempts)
    assert isinstance(job, Inquiry)
    assert (job.name, job.model, job.skip, job.narrow) == (AGAIN, Model.STUDY_ROOT, {"b"}, True)
    assert observed(attempts).facts["implementations"] == 2
    attempts[AGAIN] = by("b", done(InquiryResult()))  # again the same: it is left in peace
    assert following(attempts).name == THIRD
    attempts[THIRD] = by("a", asked(REFUSED))

    assert following(attempts) is None
    seen = observed(attempts)
    assert verdicts(seen) == (P, P, P, OFF, R)
    assert seen.counts.studies == Count.exact(3)
    assert seen.facts["implementations"] == 2
    assert "answers_differ" not in seen.facts, "two that differ are no one that changes its mind"
    assert seen.facts["context.study_get"] is True


ECHO_ONLY = replace(OPEN, accepted=("verification",))


def test_of_one_that_was_never_negotiated_with_nothing_is_refused() -> None:
    """It answered one question, and never came up again."""
    attempts: dict[str, Attempt[Any]] = {"hello": by("a", done(ECHO_ONLY)), ASK: by("b", asked())}
    while (job := following(attempts)) is not None:
        attempts[job.name] = by("a", done(ECHO_ONLY) if isinstance(job, Negotiation) else asked())
    seen = observed(attempts)
    assert verdicts(seen) == (P, P, U, U, U)
    assert Failed(stage=Stage.LIST, reason=Reason.LIMIT) in seen.unknowns
    assert False not in [value for name, value in seen.facts.items() if name.startswith("context.")]
    assert "service_classes" not in seen.facts


def test_no_count_is_exact_while_a_back_end_that_may_list_was_not_counted() -> None:
    lost = asked(Found(answer=Answer.UNKNOWN, why=Reason.TIMEOUT))
    attempts: dict[str, Attempt[Any]] = {
        "hello": by("a", done(OPEN)),
        LOOK: by("b", done(OPEN)),
        ASK: by("a", asked(PROVEN)),
        AGAIN: by("b", lost),
    }
    assert observed(attempts).counts.studies == Count.at_least(3)
    attempts[AGAIN] = by("b", asked(REFUSED))
    assert observed(attempts).counts.studies == Count.exact(3)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_two_that_serve_different_models_are_each_asked_in_their_own(names: str) -> None:
    study, patient = names
    roots = {study: OPEN, patient: replace(OPEN, accepted=("verification", "patient_find"))}
    attempts: dict[str, Attempt[Any]] = {"hello": by(study, done(OPEN)), LOOK: by(patient, done(roots[patient]))}
    asked_in = []
    turns = iter((patient, patient, study, patient, study, patient))
    while (job := following(attempts)) is not None:
        who = next(turns)
        attempts[job.name] = by(who, done(InquiryResult()) if who in job.skip else asked(REFUSED))
        asked_in += [] if who in job.skip else [(who, job.model)]
    assert sorted(asked_in) == sorted([(study, Model.STUDY_ROOT), (patient, Model.PATIENT_ROOT)])
    assert verdicts(observed(attempts)) == (P, P, R, R, R)


def test_what_one_of_two_refuses_is_not_refused_before_the_other_one_was_asked() -> None:
    attempts: dict[str, Attempt[Any]] = {
        "hello": by("a", done(OPEN)),
        LOOK: by("b", done(OPEN)),
        ASK: by("b", asked(REFUSED)),
    }
    assert verdicts(observed(attempts)) == (P, P, U, R, R)
    job = following(attempts)
    assert (job.name, job.skip) == (AGAIN, {"b"})
    attempts[AGAIN] = by("a", asked(ABORTED, ended=Reason.ABORTED))
    attempts[THIRD] = by("a", asked(ABORTED, ended=Reason.ABORTED))
    assert verdicts(observed(attempts)) == (P, P, R, R, R)
    assert following(attempts) is None


def test_two_archives_behind_one_door_are_a_bound() -> None:
    """They may show the same studies, or all others."""
    more = replace(PROVEN, studies=Count.exact(5), images=Count.at_least(20), why=Reason.BUDGET)
    attempts: dict[str, Attempt[Any]] = {
        "hello": by("a", done(OPEN)),
        LOOK: by("b", done(OPEN)),
        ASK: by("a", asked(PROVEN)),
        AGAIN: by("b", asked(more)),
    }
    seen = observed(attempts)
    assert seen.counts.studies == Count(value=5, low=5, high=8, kind=CountKind.BOUND, source=Count.exact(5).source)
    assert seen.counts.images == Count(value=20, low=20, high=None, kind=CountKind.BOUND, source=Count.exact(5).source)
    assert Failed(stage=Stage.COUNT, reason=Reason.LIMIT) in seen.unknowns


def test_one_that_answers_alike_has_one_back_end() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": by("a", done(OPEN)), ASK: by("a", asked(PROVEN))}
    assert following(attempts) is None
    assert observed(attempts).facts.keys().isdisjoint({"implementations", "answers_differ"})


def test_a_rejection_for_good_behind_an_acceptance_is_asked_about_again() -> None:
    no = done(InquiryResult(rj_result=1, rj_source=1, rj_reason=7, ended=GONE))
    attempts: dict[str, Attempt[Any]] = {"hello": by("a", done(OPEN)), ASK: no}
    job = following(attempts)
    assert (job.name, job.delay > 0) == (AGAIN, True)
    attempts[AGAIN] = by("a", asked(PROVEN))

    assert following(attempts) is None
    seen = observed(attempts)
    assert (seen.access.list, seen.facts["answers_differ"]) == (P, True)


# -- a service that stops answering ------------------------------------------------------------------------------------

CHECK, LATER = f"health:{ANY_TITLE}", f"health.2:{ANY_TITLE}"
GONE = Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT)
LOST = asked(Found(answer=Answer.UNKNOWN, why=Reason.RESET), ended=Reason.RESET)


def test_a_service_that_went_silent_is_looked_for_twice_and_then_left_alone() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(OPEN), ASK: LOST}
    first = following(attempts)
    assert isinstance(first, Negotiation)
    assert first.name == CHECK
    attempts[CHECK] = GONE
    assert DICOM.no_longer_answers(case(attempts)) == frozenset()
    second = following(attempts)
    assert (second.name, second.delay > first.delay) == (LATER, True)
    attempts[LATER] = GONE
    assert following(attempts) is None
    assert DICOM.no_longer_answers(case(attempts)) == {CHECK, LATER}
    observation = observed(attempts)
    assert observation.facts["answers_afterwards"] is False
    assert Failed(stage=Stage.TALK, reason=Reason.TIMEOUT) in observation.unknowns


@pytest.mark.parametrize(
    "check", [done(OPEN), done(NO_SUCH_TITLE), Failed(stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL)]
)
def test_a_service_that_says_anything_is_there(check: Attempt[Any]) -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": done(OPEN), ASK: LOST, CHECK: check}
    assert following(attempts) is None
    assert DICOM.no_longer_answers(case(attempts)) == frozenset()
    assert observed(attempts).facts["answers_afterwards"] is True


@pytest.mark.parametrize("ended", [None, Reason.ABORTED, Reason.BUDGET, Reason.PROTOCOL, Reason.LIMIT])
def test_who_said_something_last_is_not_looked_for(ended: Reason | None) -> None:
    assert following({"hello": done(OPEN), ASK: asked(PROVEN, ended=ended)}) is None


def test_what_was_answered_is_not_asked_again() -> None:
    assert following({"hello": done(OPEN), f"ask:{ANY_TITLE}": asked(PROVEN)}) is None


# -- what it means -----------------------------------------------------------------------------------------------------


def verdicts(observation: Observation) -> tuple[Verdict, ...]:
    access = observation.access
    return access.reach, access.talk, access.list, access.read, access.write


EVERYTHING = replace(OPEN, accepted=("verification", "study_find", "study_get", "ct_storage"))


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ({"hello": done(EVERYTHING), ASK: asked(PROVEN)}, (P, P, P, OFF, OFF)),
        ({"hello": done(OPEN), ASK: asked(PROVEN)}, (P, P, P, R, R)),
        ({"hello": done(NO_SUCH_TITLE)}, (P, R, R, R, R)),
        ({"hello": done(replace(NO_SUCH_TITLE, rj_reason=1))}, (P, R, R, R, R)),
        ({"hello": done(replace(NO_SUCH_TITLE, rj_source=2, rj_reason=1))}, (P, R, R, R, R)),
        ({"hello": done(OTHER_VERSION)}, (P, U, U, U, U)),
        ({"hello": done(CONGESTED)}, (P, U, U, U, U)),
        ({"hello": done(NO_SUCH_CALLER)}, (P, R, R, R, R)),
        ({"hello": done(BUSY)}, (P, U, U, U, U)),
        ({"hello": done(Negotiated(outcome=Outcome.ABORTED))}, (P, U, U, U, U)),
        ({"hello": done(replace(OPEN, accepted=("verification",))), ASK: asked()}, (P, P, R, R, R)),
        ({"hello": done(OPEN), ASK: asked(REFUSED)}, (P, P, R, R, R)),
        ({"hello": done(OPEN), ASK: asked(TURNED_DOWN)}, (P, P, U, R, R)),
        ({"hello": done(OPEN), ASK: asked(TURNED_DOWN), AGAIN: asked(TURNED_DOWN)}, (P, P, R, R, R)),
        ({"hello": done(OPEN), ASK: asked(TURNED_DOWN), AGAIN: asked(PROVEN)}, (P, P, P, R, R)),
        ({"hello": done(OPEN), ASK: asked(ABORTED), AGAIN: asked(ABORTED)}, (P, P, R, R, R)),
        ({"hello": done(OPEN), ASK: asked(ABORTED)}, (P, P, U, R, R)),
        ({"hello": done(OPEN), ASK: asked(ABORTED, echo=-1), AGAIN: asked(ABORTED, echo=-1)}, (P, P, U, R, R)),
        ({"hello": done(OPEN), ASK: asked(ABORTED), AGAIN: asked(PROVEN)}, (P, P, P, R, R)),
        ({"hello": done(OPEN), ASK: Failed(stage=Stage.CONNECT, reason=Reason.TIMEOUT)}, (P, P, U, R, R)),
    ],
    ids=[
        "open for everything", "open for queries", "called title", "without a reason", "provider without a reason",
        "another version", "congested for good", "calling title", "busy", "abort at once", "echo only",
        "refused", "turned down once", "turned down twice", "turned down, then answers",
        "abort twice", "abort once", "abort without echo", "abort then answers", "gone",
    ],
)  # fmt: skip
def test_verdicts(attempts: dict[str, Attempt[Any]], expected: tuple[Verdict, ...]) -> None:
    observation = observed(attempts)
    assert verdicts(observation) == expected
    if Verdict.UNKNOWN in (observation.access.talk, observation.access.list):
        assert observation.unknowns, "an unknown has its reason"


def test_a_depth_of_talk_lists_nothing_and_says_so() -> None:
    assert observed({"hello": done(OPEN), ASK: asked()}, replace(TERMS, depth=Depth.TALK)).access.list is N


def test_two_titles_on_one_port_are_two_services_with_their_own_counts() -> None:
    more = replace(PROVEN, studies=Count.exact(5))
    attempts = {
        "hello": done(NO_SUCH_TITLE),
        "title:ONE": done(OPEN),
        "title:TWO": done(OPEN),
        "ask:ONE": asked(PROVEN),
        "ask:TWO": asked(more),
    }
    found, failed = DICOM.conclude(case(attempts, replace(TERMS, called_aets=("ONE", "TWO"))))
    assert failed is None
    counts = {each.service.resource: each.counts.studies for each in found}
    assert counts == {"ONE": Count.exact(3), "TWO": Count.exact(5)}
    assert all(each.facts["called_title_enforced"] is True for each in found)


def test_titles_are_not_checked_where_nobody_is_let_in() -> None:
    facts = observed({"hello": done(OPEN), ASK: asked(PROVEN)}).facts
    assert facts["called_title_enforced"] is False
    assert facts["calling_title_enforced"] is False


def test_our_own_bytes_are_a_middlebox() -> None:
    echoed = request(ANY_TITLE, "LEADAPRON").encode()
    attempt = PROTOCOL.decoded({"hello": DICOM.read_hello(echoed, HERE, match)})["hello"]
    assert isinstance(attempt, Failed)
    assert attempt.reason is Reason.MIDDLEBOX


# -- a budget that was lifted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "answers", "is_cut"),
    [
        (Reason.BUDGET, 20_000, True),
        (Reason.TIMEOUT, 700, True),
        (Reason.LIMIT, 20_000, False),
        (None, 3, False),
        (Reason.BUDGET, 5_000_000, False),
    ],
)
def test_what_a_budget_cut_is_asked_again_under_a_higher_one(why: Reason | None, answers: int, is_cut: bool) -> None:
    attempts = {"hello": done(OPEN), ASK: asked(replace(PROVEN, why=why, most_answers=answers))}
    lifted = replace(TERMS, answers=5_000_000)
    assert DICOM.cut_by_budget(case(attempts, lifted)) == (frozenset({ASK}) if is_cut else frozenset())
