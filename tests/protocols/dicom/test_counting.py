"""Counts against scripted peers: caps are split, claims are checked, and nothing is exact that a server may have cut."""

from __future__ import annotations

import datetime as dt

import pytest
from scripted_peer import (
    Peer,
    always,
    answering,
    answers_from,
    archive,
    endless,
    in_turn,
    model_of,
    spread,
    study,
)

from leadapron.lab.archive import ACCESSION, PATIENT_ID, STUDY_DATE, STUDY_IMAGES, STUDY_SERIES, STUDY_UID
from leadapron.model import Count, CountKind, CountSource, Reason
from leadapron.protocols.dicom.inquiry import Answer, Model
from leadapron.protocols.dicom.wire import elements
from leadapron.protocols.dicom.wire.dimse import Status

PATIENT_STUDIES, PATIENT_IMAGES = 0x00201200, 0x00201204


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
    found = model_of(Peer(answers_from(archive(study(1, series=(3,)), study(1, series=(3,)), study(2)))))
    assert (found.why, found.studies) == (None, Count.exact(2))
    assert found.images == Count.exact(4, CountSource.CLAIMED)


def test_a_study_that_contradicts_itself_leaves_the_larger_claim_as_a_bound() -> None:
    shelf = archive(study(1, series=(3,)), study(1, series=(5,)), study(2, series=(2,)))
    found = model_of(Peer(answers_from(shelf)))
    assert (found.why, found.studies) == (Reason.PROTOCOL, Count.exact(2))
    assert found.images == Count.at_least(7, CountSource.CLAIMED)


def test_one_patient_id_of_two_issuers_leaves_no_count_exact() -> None:
    record = {PATIENT_ID: b"SYNTHETIC-1", PATIENT_STUDIES: b"2", PATIENT_IMAGES: b"9"}
    found = model_of(Peer(answering(record, record)), model=Model.PATIENT_ROOT)
    assert (found.why, found.studies) == (Reason.PROTOCOL, Count.at_least(2, CountSource.CLAIMED))


@pytest.mark.parametrize("cap", [25, 64, 99, 100, 101, 250, 256, 257, 500, 512, 999, 1000, 1024, 2500])
def test_a_silent_cap_at_any_likely_number_is_no_exact_count(cap: int) -> None:
    found = model_of(Peer(answers_from(spread(cap + 37, first=dt.date(2018, 1, 1)), cap=cap, at_cap=0)))
    assert found.studies is not None
    assert found.studies.kind is CountKind.BOUND
    assert found.studies.low >= cap


@pytest.mark.parametrize("day", ["", "21000101"])
def test_a_silent_cap_that_cuts_studies_without_a_date_in_reach_is_no_exact_count(day: str) -> None:
    dated = [study(number, day=f"2023{number % 12 + 1:02}15") for number in range(1, 61)]
    others = [study(number, day=day) for number in range(1000, 1090)]
    found = model_of(Peer(answers_from(archive(*dated, *others), cap=100, at_cap=0)))
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(100))


@pytest.mark.parametrize("count", [1, 7, 37, 123, 1237, 2503, 12_340])
def test_a_number_at_which_nobody_caps_is_exact_at_once(count: int) -> None:
    peer = Peer(answers_from(spread(count)))
    assert model_of(peer).studies == Count.exact(count)
    assert len(peer.queries) == 1


@pytest.mark.parametrize("status", [0xA700, 0xC000])
def test_a_server_that_gives_nothing_but_a_cap_is_left_alone_after_a_day_and_a_prefix(status: int) -> None:
    peer = Peer(always(status))
    assert model_of(peer).answer is Answer.UNKNOWN
    assert [sorted({STUDY_DATE, ACCESSION} & {key for key, value in query.keys.items() if value.strip(b"\0 ")})
            for query in peer.queries] == [[], [STUDY_DATE], [STUDY_DATE, ACCESSION]]  # fmt: skip


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


def test_a_reproduced_query_judges_a_round_number_no_better() -> None:
    found = model_of(Peer(answers_from(spread(50))), narrow=False)
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(50))


def test_the_most_generous_query_is_told() -> None:
    found = model_of(Peer(in_turn(always(0xA700), answers_from(spread(30, step=60)))))
    assert found.most_answers == 30


def test_a_number_that_only_some_studies_claim_is_a_bound_with_its_reason() -> None:
    record = {STUDY_UID: b"2.25.1", STUDY_SERIES: b"1", STUDY_IMAGES: b"7"}
    found = model_of(Peer(answering(record, {STUDY_UID: b"2.25.2", STUDY_SERIES: b"1"})))
    assert (found.why, found.images) == (Reason.PROTOCOL, Count.at_least(7, CountSource.CLAIMED))
    assert (found.studies, found.series) == (Count.exact(2), Count.exact(2, CountSource.CLAIMED))


def test_a_round_number_of_patients_cannot_be_proven() -> None:
    patients = [{PATIENT_ID: f"SYNTHETIC-{n}".encode(), PATIENT_STUDIES: b"1"} for n in range(50)]
    found = model_of(Peer(answering(*patients)), model=Model.PATIENT_ROOT)
    assert (found.why, found.studies) == (Reason.LIMIT, Count.at_least(50, CountSource.CLAIMED))
