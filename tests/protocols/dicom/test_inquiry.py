"""The inquiry against scripted peers: each row of the verdict table, and every way in which a query may end."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_peer import Peer, Query, Script, always, answers_from, archive, ask, in_turn, inquire, spread, study

from leadapron.lab.archive import ACCESSION, INSTANCE_UID, PATIENT_ID, STUDY_DATE, STUDY_IMAGES, STUDY_SERIES, STUDY_UID
from leadapron.model import Count, CountKind, CountSource, Failed, Reason, Stage
from leadapron.protocols import payload
from leadapron.protocols.dicom.exchange import MAX_DRAIN
from leadapron.protocols.dicom.inquiry import Answer, Found, Model
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.dimse import Status
from leadapron.protocols.dicom.wire.pdu import Abort, ReleaseRQ

PATIENT_STUDIES, PATIENT_IMAGES = 0x00201200, 0x00201204


def model_of(peer: Peer, **changes: object) -> Found:
    found = inquire(peer, **changes).model
    assert found is not None
    return found


# -- the verdict table -------------------------------------------------------------------------------------------------


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


# -- C-ECHO and the association ----------------------------------------------------------------------------------------


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


# -- budgets -----------------------------------------------------------------------------------------------------------


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


def endless(query: Query) -> Iterator[bytes]:
    for number in itertools.count(1):
        yield b"".join(query.answer({STUDY_UID: f"2.25.{number}{last}".encode()}) for last in range(100))


def the_same(query: Query) -> Iterator[bytes]:
    piece = query.answer({STUDY_UID: b"2.25.1", STUDY_IMAGES: b"5"}) * 100
    while True:
        yield piece


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


# -- claims ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [b"-5", b"1000000000000", b"1000001", b"4e3", b"0x10", b"1\\2"])
def test_a_number_that_no_study_has_is_no_claim(claim: bytes) -> None:
    shelf = [{STUDY_UID: b"2.25.1", STUDY_SERIES: b"1", STUDY_IMAGES: claim}]
    shelf.append({STUDY_UID: b"2.25.2", STUDY_SERIES: b"1", STUDY_IMAGES: b"7"})
    found = model_of(Peer(lambda query: [*map(query.answer, shelf), query.final()]))
    assert found.bad_claims == 1
    assert found.why is Reason.LIMIT
    assert found.images == Count.at_least(7, CountSource.CLAIMED)
    assert found.series == Count.exact(2, CountSource.CLAIMED)


def test_a_study_that_comes_twice_is_counted_once() -> None:
    shelf = archive(study(1, series=(3,)), study(1, series=(5,)), study(2, series=(2,)))
    found = model_of(Peer(answers_from(shelf)))
    assert found.studies == Count.exact(2)
    assert found.images == Count.exact(7, CountSource.CLAIMED)


# -- narrowing ---------------------------------------------------------------------------------------------------------


def test_a_cap_is_split_by_date_until_the_pieces_are_whole() -> None:
    peer = Peer(answers_from(spread(90, step=25), cap=20, at_cap=0xC001))
    assert model_of(peer).studies == Count.at_least(90)
    ranges = [query.keys[STUDY_DATE] for query in peer.queries[1:]]
    assert ranges[0].strip() == b"20200101-20260518"
    assert len(ranges) == len(set(ranges))


def test_studies_of_one_day_are_split_by_accession() -> None:
    studies = [study(number, day="20260517", accession=f"{number % 6}SYN{number}") for number in range(1, 61)]
    peer = Peer(answers_from(archive(*studies), cap=15, at_cap=0xA700))
    assert model_of(peer, queries=80).studies == Count.at_least(60)
    prefixes = {query.keys.get(ACCESSION, b"").strip() for query in peer.queries}
    assert {b"0*", b"5*", b"Z*"} <= prefixes


def test_studies_of_one_day_are_split_by_their_time() -> None:
    clock = [f"{hour:02}{minute:02}00" for hour in range(8, 18) for minute in (0, 20, 40)] + [
        "115959.750",
        "235959.750",
    ]
    studies = [study(number, day="20260517", time=time) for number, time in enumerate(clock, start=1)]
    peer = Peer(answers_from(archive(*studies), cap=10, at_cap=0xA700))
    assert model_of(peer, queries=60).studies == Count.at_least(32)
    assert len(peer.queries) < 60
    assert not any(ACCESSION in query.keys for query in peer.queries)


def test_an_hour_that_is_capped_itself_is_split_by_accession() -> None:
    studies = [study(n, day="20260517", time="100500", accession=f"{n % 3}SYN{n}") for n in range(1, 31)]
    peer = Peer(answers_from(archive(*studies), cap=12))
    assert model_of(peer, queries=100).studies == Count.at_least(30)


def test_studies_without_a_date_fall_out_of_every_range_so_that_the_sum_is_a_bound() -> None:
    dated = [study(number, day="20250101" if number % 2 else "20150101") for number in range(1, 21)]
    undated = [study(number) for number in range(100, 110)]
    found = model_of(Peer(answers_from(archive(*dated, *undated), cap=12)))
    assert found.studies is not None
    assert (found.studies.kind, found.studies.value) == (CountKind.BOUND, 20)


def test_a_silent_cap_shows_when_narrower_queries_find_more() -> None:
    found = model_of(Peer(answers_from(spread(180, first=dt.date(2005, 1, 1), step=40), cap=100, at_cap=0)))
    assert (found.answer, found.why, found.capped) == (Answer.PROVEN, Reason.LIMIT, True)
    assert found.studies == Count.at_least(180)


def test_a_round_number_is_exact_where_narrower_queries_find_no_more() -> None:
    found = model_of(Peer(answers_from(spread(100, first=dt.date(2005, 1, 1), step=70))))
    assert (found.why, found.capped) == (None, False)
    assert found.studies == Count.exact(100)


# -- series and images where studies claim no numbers ------------------------------------------------------------------


def test_series_and_images_are_enumerated_where_nothing_is_claimed() -> None:
    shelf = archive(study(1, series=(3, 4)), study(2, series=(5,)), claims=False)
    peer = Peer(answers_from(shelf))
    found = model_of(peer)
    assert found.why is None
    assert found.series == Count.exact(3)
    assert found.images == Count.exact(12)
    assert len(peer.queries) == 1 + 2 + 3


def test_a_sample_of_the_studies_makes_an_estimate_with_its_interval() -> None:
    found = model_of(Peer(answers_from(spread(60, step=30, claims=False))), queries=33)
    assert found.why is Reason.BUDGET
    assert found.studies == Count.exact(60)
    assert found.images is not None
    assert (found.images.kind, found.images.source) == (CountKind.ESTIMATE, CountSource.SAMPLED)
    assert found.images.low <= 60 <= (found.images.high or 0)


def test_of_a_capped_archive_the_sample_is_a_bound() -> None:
    found = model_of(Peer(answers_from(spread(60, step=30, claims=False), cap=40)), queries=33)
    assert found.images is not None
    assert found.images.kind is CountKind.BOUND


def test_a_connection_lost_below_the_studies_keeps_the_studies() -> None:
    shelf = spread(7, claims=False)
    found = model_of(Peer(in_turn(answers_from(shelf), lambda query: [Reason.RESET])))
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.RESET)
    assert found.studies == Count.exact(7)
    assert found.images is None


# -- the other information models --------------------------------------------------------------------------------------


def test_patients_claim_their_studies_and_are_never_stored_as_patients() -> None:
    shelf = [
        {PATIENT_ID: b"SYNTHETIC-1", PATIENT_STUDIES: b"2", PATIENT_IMAGES: b"9"},
        {PATIENT_ID: b"SYNTHETIC-2", PATIENT_STUDIES: b"1", PATIENT_IMAGES: b"4"},
    ]
    peer = Peer(lambda query: [*(query.pending(elements.encode(values.items())) for values in shelf), query.final()])
    found = model_of(peer, model=Model.PATIENT_ROOT)
    assert found.studies == Count.exact(3, CountSource.CLAIMED)
    assert found.images == Count.exact(13, CountSource.CLAIMED)
    assert found.series is None
    assert len(peer.queries) == 1


def worklist_of(entries: int, final: int = Status.SUCCESS) -> Script:
    return lambda query: [query.answer({PATIENT_ID: b"SYNTHETIC-1"}) * entries + query.final(final)]


def ask_worklist(peer: Peer, **changes: object) -> Found:
    result = inquire(peer, ask_worklist=True, **{"model": Model.NONE, **changes})
    assert result.worklist is not None
    return result.worklist


def test_worklist_entries_are_counted() -> None:
    found = ask_worklist(Peer(worklist_of(37)))
    assert (found.answer, found.why) == (Answer.PROVEN, None)
    assert found.worklist == Count.exact(37)


def test_a_worklist_comes_behind_the_model_in_one_association() -> None:
    result = inquire(Peer(in_turn(answers_from(spread(2)), worklist_of(3))), ask_worklist=True)
    assert result.model is not None
    assert result.worklist is not None
    assert (result.model.studies, result.worklist.worklist) == (Count.exact(2), Count.exact(3))


def test_a_rejected_worklist_is_refused() -> None:
    peer = Peer(always(0), rejects=frozenset((uids.MODALITY_WORKLIST_FIND,)))
    assert ask_worklist(peer) == Found(answer=Answer.REFUSED)


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (0x0122, Answer.REFUSED, None),
        (0x0124, Answer.REFUSED, None),
        (0x0000, Answer.UNKNOWN, Reason.EMPTY),
        (0xA700, Answer.UNKNOWN, Reason.LIMIT),
        (0xA900, Answer.UNKNOWN, Reason.PROTOCOL),
    ],
)
def test_a_worklist_without_entries_says_what_its_status_says(status: int, answer: Answer, why: Reason | None) -> None:
    assert ask_worklist(Peer(always(status))) == Found(answer=answer, why=why, status=status)


@pytest.mark.parametrize(
    ("last", "answer"), [(Abort().encode(), Answer.ABORTED), (Reason.RESET, Answer.UNKNOWN)], ids=["abort", "reset"]
)
def test_a_worklist_cut_off(last: bytes | Reason, answer: Answer) -> None:
    assert ask_worklist(Peer(lambda query: [last])).answer is answer
    some = ask_worklist(Peer(lambda query: [query.answer({PATIENT_ID: b"SYNTHETIC-1"}) * 4, last]))
    assert (some.answer, some.worklist) == (Answer.PROVEN, Count.at_least(4))


def test_a_worklist_is_not_asked_where_the_queries_are_used_up() -> None:
    peer = Peer(answers_from(spread(2)))
    assert ask_worklist(peer, model=Model.STUDY_ROOT, queries=1) == Found(answer=Answer.UNKNOWN, why=Reason.BUDGET)
    assert len(peer.queries) == 1


# -- servers that mean harm --------------------------------------------------------------------------------------------


def answering(*records: dict[int, bytes], final: int = Status.SUCCESS) -> Script:
    """The same records, raw, whatever is asked."""
    return lambda query: [*(query.pending(elements.encode(values.items())) for values in records), query.final(final)]


def test_a_round_number_is_not_exact_where_the_budget_leaves_no_narrower_queries() -> None:
    found = model_of(Peer(answers_from(spread(100, step=20))), queries=1)
    assert (found.why, found.studies) == (Reason.BUDGET, Count.at_least(100))


def test_a_silent_cap_on_recent_studies_only_is_no_exact_count() -> None:
    found = model_of(Peer(answers_from(spread(150, first=dt.date(2024, 1, 1), step=3), cap=100, at_cap=0)))
    assert (found.why, found.capped) == (Reason.LIMIT, True)
    assert found.studies == Count.at_least(150)


def test_a_silent_cap_on_studies_of_one_moment_is_no_exact_count() -> None:
    shelf = archive(*(study(number, day="20260517", time="101500") for number in range(1, 181)))
    found = model_of(Peer(answers_from(shelf, cap=100, at_cap=0)))
    assert found.studies is not None
    assert found.studies.kind is CountKind.BOUND
    assert found.why in (Reason.BUDGET, Reason.LIMIT)


@pytest.mark.parametrize("status", [0, 0xA900, 0x0124])
def test_narrower_queries_that_find_nothing_or_fail_do_not_prove_a_round_number(status: int) -> None:
    found = model_of(Peer(in_turn(answers_from(spread(50)), always(status))))
    assert (found.why, found.studies, found.capped) == (Reason.LIMIT, Count.at_least(50), False)


def test_records_that_come_twice_do_not_hide_what_narrower_queries_find_more() -> None:
    first, rest = spread(90, step=25), spread(95, step=24)
    peer = Peer(in_turn(answers_from(archive(*first.studies, *first.studies[:10])), answers_from(rest)))
    found = model_of(peer)
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(95))


def test_answers_without_their_unique_key_leave_no_count_exact() -> None:
    record = {STUDY_UID: b"2.25.1", STUDY_SERIES: b"1", STUDY_IMAGES: b"7"}
    found = model_of(Peer(answering(record, {**record, STUDY_UID: b""})))
    assert found.why is Reason.PROTOCOL
    assert (found.studies, found.series) == (Count.at_least(1), Count.at_least(1, CountSource.CLAIMED))
    assert found.images == Count.at_least(7, CountSource.CLAIMED)


def test_patients_without_an_identifier_leave_no_count_exact() -> None:
    record = {PATIENT_ID: b"SYNTHETIC-1", PATIENT_STUDIES: b"2", PATIENT_IMAGES: b"9"}
    found = model_of(Peer(answering(record, {**record, PATIENT_ID: b""})), model=Model.PATIENT_ROOT)
    assert found.studies == Count.at_least(2, CountSource.CLAIMED)


def test_answers_without_any_unique_key_claim_nothing() -> None:
    found = model_of(Peer(answering({STUDY_IMAGES: b"7"})))
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.PROTOCOL)
    assert (found.studies, found.images) == (Count.at_least(0), None)


@pytest.mark.parametrize("narrow", [True, False])
def test_a_success_behind_our_cancel_is_no_exact_count(narrow: bool) -> None:
    peer = Peer(endless, after_cancel=always(Status.SUCCESS))
    found = model_of(peer, answers=70, narrow=narrow)
    assert (found.why, found.studies) == (Reason.BUDGET, Count.at_least(100))


def test_a_worklist_past_the_budget_is_no_exact_count() -> None:
    entry = lambda query: itertools.repeat(query.answer({PATIENT_ID: b"SYNTHETIC-1"}) * 7)  # noqa: E731
    found = ask_worklist(Peer(entry, after_cancel=always(Status.SUCCESS)), answers=20)
    assert (found.why, found.worklist, found.capped) == (Reason.BUDGET, Count.at_least(21), False)


def test_a_round_number_of_worklist_entries_or_patients_cannot_be_proven() -> None:
    assert ask_worklist(Peer(worklist_of(100))).worklist == Count.at_least(100)
    patients = [{PATIENT_ID: f"SYNTHETIC-{n}".encode(), PATIENT_STUDIES: b"1"} for n in range(50)]
    found = model_of(Peer(answering(*patients)), model=Model.PATIENT_ROOT)
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(50, CountSource.CLAIMED))


def test_a_long_worklist_does_not_count_as_a_loop() -> None:
    assert ask_worklist(Peer(worklist_of(4999))).worklist == Count.exact(4999)


def test_a_reproduced_query_judges_a_round_number_no_better() -> None:
    found = model_of(Peer(answers_from(spread(50))), narrow=False)
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(50))


def test_the_answers_of_all_queries_share_one_budget() -> None:
    shelf = archive(*(study(number, series=(30, 30)) for number in range(1, 21)), claims=False)
    peer = Peer(answers_from(shelf))
    result = inquire(peer, answers=100)
    sent = sum(len(list(shelf.find(query.keys))) for query in peer.queries)
    assert sent <= 100 + 30
    assert result.model is not None
    assert result.model.why is Reason.BUDGET
    assert result.model.studies == Count.exact(20)


def test_a_round_number_of_images_in_a_series_may_be_a_silent_cap() -> None:
    found = model_of(Peer(answers_from(archive(study(1, series=(180, 3)), claims=False), cap=100, at_cap=0)))
    assert found.why is Reason.LIMIT
    assert found.studies == Count.exact(1)
    assert found.images == Count.at_least(103)


def test_a_round_number_of_images_is_exact_where_the_server_once_gave_more() -> None:
    studies = [study(1, series=(50, 51)), *(study(number) for number in range(2, 53))]
    found = model_of(Peer(answers_from(archive(*studies, claims=False))), queries=200)
    assert (found.why, found.images) == (None, Count.exact(152))
    found = model_of(Peer(answers_from(archive(*studies[1:], study(1, series=(50,)), claims=False))), queries=200)
    assert (found.why, found.images) == (None, Count.exact(101))


def test_images_that_go_round_are_cancelled_and_no_exact_count() -> None:
    image: Script = lambda query: itertools.repeat(query.answer({INSTANCE_UID: b"2.25.9"}) * 100)  # noqa: E731
    shelf = answers_from(archive(study(1), claims=False))
    found = model_of(Peer(in_turn(shelf, shelf, image), after_cancel=always(Status.SUCCESS)))
    assert (found.why, found.studies, found.images) == (Reason.LIMIT, Count.exact(1), None)


def test_a_level_that_the_server_refuses_below_the_studies_is_no_budget() -> None:
    found = model_of(Peer(in_turn(answers_from(spread(3, claims=False)), always(0xA900))))
    assert (found.answer, found.why, found.studies) == (Answer.PROVEN, Reason.PROTOCOL, Count.exact(3))
    assert (found.series, found.images) == (None, None)


def test_the_studies_counted_before_the_connection_was_lost_are_kept() -> None:
    shelf = archive(study(1, series=(3,)), study(2, series=(3,)), claims=False)
    lost: Script = lambda query: [Reason.RESET]  # noqa: E731
    found = model_of(Peer(in_turn(*[answers_from(shelf)] * 3, lost)))
    assert (found.why, found.studies) == (Reason.RESET, Count.exact(2))
    assert found.images == Count.at_least(3, CountSource.SAMPLED)


HOSTILE_UIDS = [b"*", b"1.2.3\\1.2.4", b"?" * 9, b"SYNTHETIC^CANARY", b"1" * 65, b"9" * 100_000, b"1.2-1.3"]


@pytest.mark.parametrize("uid", HOSTILE_UIDS, ids=lambda uid: uid[:12].decode())
def test_what_is_no_uid_is_counted_but_never_kept_or_sent_back(uid: bytes) -> None:
    peer = Peer(answering({STUDY_UID: uid}, {STUDY_UID: b"2.25.1"}))
    found = model_of(peer)
    assert found.studies == Count.exact(2)
    assert {query.keys.get(STUDY_UID, b"").strip(b"\0 ") for query in peer.queries} == {b"", b"2.25.1"}


def test_an_abort_behind_a_query_that_was_answered_is_no_refusal() -> None:
    found = model_of(Peer(in_turn(always(0xA700), lambda query: [Abort().encode()])))
    assert found == Found(answer=Answer.UNKNOWN, why=Reason.ABORTED, status=0xA700)


def test_the_most_generous_query_is_told() -> None:
    found = model_of(Peer(in_turn(always(0xA700), answers_from(spread(30, step=60)))))
    assert found.most_answers == 30


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


def test_a_number_that_only_some_studies_claim_is_a_bound_with_its_reason() -> None:
    record = {STUDY_UID: b"2.25.1", STUDY_SERIES: b"1", STUDY_IMAGES: b"7"}
    found = model_of(Peer(answering(record, {STUDY_UID: b"2.25.2", STUDY_SERIES: b"1"})))
    assert (found.why, found.images) == (Reason.PROTOCOL, Count.at_least(7, CountSource.CLAIMED))
    assert (found.studies, found.series) == (Count.exact(2), Count.exact(2, CountSource.CLAIMED))


@given(st.binary(max_size=300), st.sampled_from((1, 2, 3)))
def test_any_bytes_end_in_a_result_without_a_value_of_the_peer(noise: bytes, when: int) -> None:
    canary = b"CANARY^SYNTHETIC"
    said: Script = lambda query: [query.answer({PATIENT_ID: canary, STUDY_UID: b"2.25.1"}), noise + canary]  # noqa: E731
    peer = Peer(in_turn(*[answers_from(spread(50))] * (when - 1), said))
    told = repr(payload.dump(inquire(peer)))
    assert "CANARY" not in told
    assert "2.25" not in told
