"""The inquiry against scripted peers: each row of the verdict table, its budgets, and every way in which it may end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_peer import (
    Peer,
    Query,
    Script,
    always,
    answers_from,
    archive,
    ask,
    endless,
    in_turn,
    inquire,
    model_of,
    spread,
    study,
    the_same,
    worklist_of,
)

from leadapron.lab.archive import PATIENT_ID, STUDY_UID
from leadapron.model import Count, CountKind, CountSource, Failed, Reason, Stage
from leadapron.protocols import payload
from leadapron.protocols.dicom.exchange import MAX_DRAIN
from leadapron.protocols.dicom.inquiry import Answer, Found
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, uids
from leadapron.protocols.dicom.wire.dimse import Status
from leadapron.protocols.dicom.wire.pdu import Abort, ReleaseRQ


def test_a_rejected_context_is_refused_and_nothing_is_queried() -> None:
    peer = Peer(always(0), rejects=frozenset((uids.STUDY_ROOT_FIND,)))
    assert model_of(peer) == Found(answer=Answer.REFUSED)
    assert (peer.queries, peer.ended) == ([], "release")


@pytest.mark.parametrize("status", [0x0122, 0x0124])
def test_a_refusing_status_is_refused(status: int) -> None:
    peer = Peer(always(status))
    assert model_of(peer) == Found(answer=Answer.REFUSED, status=status)
    assert len(peer.queries) == 1


def test_an_abort_behind_c_find_where_c_echo_works_is_aborted_for_the_plan_to_reproduce() -> None:
    result = inquire(Peer(lambda query: [Abort().encode()]))
    assert result.echo_status == 0
    assert result.model == Found(answer=Answer.ABORTED, why=Reason.ABORTED)
    assert result.ended == Failed(stage=Stage.LIST, reason=Reason.ABORTED)


def test_pending_answers_are_proven_and_exact_where_a_success_ends_them() -> None:
    shelf = archive(study(1, series=(3, 4)), study(2, series=(5,)), study(3))
    found = model_of(Peer(answers_from(shelf)))
    assert (found.answer, found.why, found.most_answers, found.capped) == (Answer.PROVEN, None, 3, False)
    assert found.studies == Count.exact(3)
    assert found.series == Count.exact(4, CountSource.CLAIMED)
    assert found.images == Count.exact(13, CountSource.CLAIMED)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xC000, 0xC123])
def test_a_cap_without_answers_is_narrowed_until_it_is_proven(status: int) -> None:
    found = model_of(Peer(in_turn(always(status), answers_from(spread(30, step=60)))))
    assert (found.answer, found.why, found.status) == (Answer.PROVEN, Reason.LIMIT, status)
    assert found.capped
    assert found.studies == Count.at_least(30)


@pytest.mark.parametrize("status", [0xA700, 0xC000, Status.CANCEL])
def test_a_cap_behind_answers_is_narrowed_and_stays_a_bound(status: int) -> None:
    found = model_of(Peer(answers_from(spread(60, step=35), cap=20, at_cap=status)))
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.LIMIT)
    assert found.studies == Count.at_least(60)
    assert found.images == Count.at_least(60, CountSource.CLAIMED)


@pytest.mark.parametrize("status", [0xA700, 0xC000])
def test_a_cap_that_never_gives_an_answer_is_unknown(status: int) -> None:
    peer = Peer(always(status))
    found = model_of(peer)
    assert (found.answer, found.why, found.capped) == (Answer.UNKNOWN, Reason.LIMIT, True)
    assert 1 < len(peer.queries) <= 40


@pytest.mark.parametrize("status", [0xA900, 0x0110, Status.CANCEL, 0x1234])
def test_a_failure_that_is_no_refusal_is_unknown(status: int) -> None:
    assert model_of(Peer(always(status))) == Found(answer=Answer.UNKNOWN, why=Reason.PROTOCOL, status=status)


def test_a_success_without_answers_is_asked_again_with_other_keys_then_unknown() -> None:
    peer = Peer(always(0))
    assert model_of(peer) == Found(answer=Answer.UNKNOWN, why=Reason.EMPTY, status=0)
    first, second = peer.queries
    assert first.keys != second.keys


def test_a_filter_on_universal_keys_is_seen_through_by_the_second_query() -> None:
    found = model_of(Peer(in_turn(always(0), answers_from(spread(4)))))
    assert (found.answer, found.why, found.most_answers) == (Answer.PROVEN, Reason.EMPTY, 4)
    assert found.studies == Count.at_least(4)


@pytest.mark.parametrize("reason", [Reason.RESET, Reason.TIMEOUT, Reason.OUT_OF_SCOPE, Reason.STOPPED])
def test_a_connection_lost_behind_c_find_is_unknown_with_its_reason(reason: Reason) -> None:
    result = inquire(Peer(lambda query: [reason]))
    assert result.model == Found(answer=Answer.UNKNOWN, why=reason)
    assert result.ended == Failed(stage=Stage.LIST, reason=reason)


def test_a_release_behind_c_find_is_no_refusal() -> None:
    found = model_of(Peer(lambda query: [ReleaseRQ().encode()]))
    assert found == Found(answer=Answer.UNKNOWN, why=Reason.RESET)


@pytest.mark.parametrize("last", [Reason.RESET, Reason.TIMEOUT, Abort().encode()], ids=["reset", "timeout", "abort"])
def test_what_came_before_the_end_counts_as_a_bound(last: Reason | bytes) -> None:
    found = model_of(Peer(lambda query: [query.answer(values) for values in spread(7).find(query.keys)] + [last]))
    assert found.answer is Answer.PROVEN
    assert found.why is (Reason.ABORTED if isinstance(last, bytes) else last)
    assert found.studies == Count.at_least(7)
    assert found.images == Count.at_least(7, CountSource.CLAIMED)


def test_a_connection_lost_in_the_handshake_is_no_inquiry() -> None:
    peer = Peer(always(0))
    peer.receive = lambda data: None  # type: ignore[method-assign]
    assert ask(peer) == Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT)


@pytest.mark.parametrize("status", [0, 0x0122, 0x0110])
def test_the_status_of_c_echo_is_kept_and_the_questions_go_on(status: int) -> None:
    result = inquire(Peer(answers_from(spread(2)), echo=status))
    assert result.echo_status == status
    assert result.model is not None
    assert result.model.studies == Count.exact(2)


def test_without_being_asked_for_c_echo_is_not_sent() -> None:
    peer = Peer(answers_from(spread(2)))
    assert inquire(peer, ask_echo=False).echo_status == -1
    assert peer.echoes == 0


def test_a_message_that_is_no_answer_to_c_echo_ends_the_inquiry_before_its_queries() -> None:
    peer = Peer(always(0))
    peer._answer = lambda message: peer._say([pending_on_echo(message)])  # type: ignore[method-assign]
    result = inquire(peer)
    assert result.model is None
    assert result.ended is not None
    assert (result.ended.stage, result.ended.reason) == (Stage.TALK, Reason.PROTOCOL)


def pending_on_echo(message: wire.Message) -> bytes:
    query = Query(number=1, context_id=message.context_id, command=message.command, keys={}, explicit=False)
    return query.final(0).replace(b"\x30\x80", b"\x20\x80")


def test_a_transfer_syntax_with_explicit_vr_is_read() -> None:
    found = model_of(Peer(answers_from(archive(study(1, series=(3, 4)))), explicit=True))
    assert found.images == Count.exact(7, CountSource.CLAIMED)


@pytest.mark.parametrize("queries", [1, 2, 5, 40])
@pytest.mark.parametrize("claims", [True, False])
def test_no_more_queries_are_sent_than_the_budget_has(queries: int, claims: bool) -> None:
    shelf = spread(150, step=15, claims=claims)
    peer = Peer(answers_from(shelf, cap=10, at_cap=0xA700))
    result = inquire(peer, queries=queries)
    assert result.queries == len(peer.queries) <= queries
    assert result.model is not None
    assert result.model.studies is not None
    assert result.model.studies.kind is CountKind.BOUND


def test_the_answers_past_the_budget_are_cancelled_and_the_count_is_a_bound() -> None:
    peer = Peer(lambda query: (query.answer(values) for values in spread(100).find(query.keys)))
    found = model_of(peer, answers=30)
    assert peer.cancelled == [peer.queries[0].command.message_id]
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.BUDGET)
    assert found.studies == Count.at_least(30)
    assert len(peer.queries) == 1


def test_who_does_not_mind_a_cancel_is_aborted() -> None:
    peer = Peer(endless, after_cancel=endless)
    result = inquire(peer, answers=500)
    assert peer.ended == "abort"
    assert result.ended == Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    assert result.model is not None
    assert result.model.why is Reason.BUDGET
    assert result.model.most_answers <= 500 + MAX_DRAIN + 2 * 100


@pytest.mark.parametrize("after_cancel", [the_same, always(Status.CANCEL), always(Status.SUCCESS)])
def test_the_same_record_for_ever_ends_and_counts_as_one(after_cancel: Script) -> None:
    peer = Peer(the_same, after_cancel=after_cancel)
    found = model_of(peer)
    assert len(peer.queries) == len(peer.cancelled) == 1
    assert (found.why, found.looping) == (Reason.LIMIT, True)
    assert found.studies == Count.at_least(1)
    assert found.images == Count.at_least(5, CountSource.CLAIMED)


def test_an_abort_behind_a_query_that_was_answered_is_no_refusal() -> None:
    found = model_of(Peer(in_turn(always(0xA700), lambda query: [Abort().encode()])))
    assert found == Found(answer=Answer.UNKNOWN, why=Reason.ABORTED, status=0xA700)


def test_without_a_query_left_nothing_is_asked() -> None:
    peer = Peer(answers_from(spread(3)))
    assert model_of(peer, queries=0) == Found(answer=Answer.UNKNOWN, why=Reason.BUDGET)
    assert peer.queries == []


def test_who_breaks_the_protocol_is_aborted_and_what_came_before_is_kept() -> None:
    peer = Peer(lambda query: [query.answer({STUDY_UID: b"2.25.1"}), query.final().replace(b"\x20\x80", b"\x21\x80")])
    result = inquire(peer)
    assert peer.ended == "abort"
    assert result.ended is not None
    assert result.ended.reason is Reason.PROTOCOL
    assert result.model is not None
    assert result.model.studies == Count.at_least(1)


def test_an_abort_before_the_query_is_no_refusal() -> None:
    result = inquire(Peer(always(0), behind_echo=Abort().encode()))
    assert result.model == Found(answer=Answer.UNKNOWN, why=Reason.RESET)
    assert result.queries == 0


def test_answers_before_the_question_are_no_proof() -> None:
    foreseen = Query(
        number=1, context_id=3, command=dimse.find_request(2, uids.STUDY_ROOT_FIND), keys={}, explicit=False
    )
    said = foreseen.answer({STUDY_UID: b"2.25.1"}) + foreseen.final()
    for early in (said, said[:9]):
        found = model_of(Peer(always(0), behind_echo=early))
        assert found == Found(answer=Answer.UNKNOWN, why=Reason.PROTOCOL)


@given(st.binary(max_size=300), st.sampled_from((1, 2, 3)))
def test_any_bytes_end_in_a_result_without_a_value_of_the_peer(noise: bytes, when: int) -> None:
    canary = b"CANARY^SYNTHETIC"
    said: Script = lambda query: [query.answer({PATIENT_ID: canary, STUDY_UID: b"2.25.1"}), noise + canary]  # noqa: E731
    peer = Peer(in_turn(*[answers_from(spread(50))] * (when - 1), said))
    told = repr(payload.dump(inquire(peer)))
    assert "CANARY" not in told
    assert "2.25" not in told


def test_a_worklist_comes_behind_the_model_in_one_association() -> None:
    result = inquire(Peer(in_turn(answers_from(spread(2)), worklist_of(3))), ask_worklist=True)
    assert result.model is not None
    assert result.worklist is not None
    assert (result.model.studies, result.worklist.worklist) == (Count.exact(2), Count.exact(3))
