"""Series and images below studies that claim no numbers: enumerated, estimated, or a bound with its reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from scripted_peer import (
    Peer,
    Query,
    Script,
    always,
    answering,
    answers_from,
    archive,
    in_turn,
    inquire,
    model_of,
    spread,
    study,
)

from leadapron.lab.archive import INSTANCE_UID, SERIES_IMAGES, SERIES_UID, STUDY_UID
from leadapron.model import Count, CountKind, CountSource, Reason
from leadapron.protocols.dicom.inquiry import Answer
from leadapron.protocols.dicom.wire.dimse import Status


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


def test_the_answers_of_all_queries_share_one_budget() -> None:
    shelf = archive(*(study(number, series=(31, 31)) for number in range(1, 22)), claims=False)
    peer = Peer(answers_from(shelf))
    result = inquire(peer, answers=100)
    sent = sum(len(list(shelf.find(query.keys))) for query in peer.queries)
    assert sent <= 100 + 31
    assert result.model is not None
    assert result.model.why is Reason.BUDGET
    assert result.model.studies == Count.exact(21)


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
    found = model_of(Peer(in_turn(*[answers_from(shelf)] * 4, lost)))
    assert (found.why, found.studies) == (Reason.RESET, Count.exact(2))
    assert found.images == Count.at_least(3, CountSource.SAMPLED)


HOSTILE_UIDS = [b"*", b"1.2.3\\1.2.4", b"?" * 9, b"SYNTHETIC^CANARY", b"1" * 65, b"9" * 60_000, b"1.2-1.3"]


@pytest.mark.parametrize("uid", HOSTILE_UIDS, ids=lambda uid: uid[:12].decode())
def test_what_is_no_uid_is_counted_but_never_kept_or_sent_back(uid: bytes) -> None:
    peer = Peer(answering({STUDY_UID: uid}, {STUDY_UID: b"2.25.1"}))
    found = model_of(peer)
    assert found.studies == Count.exact(2)
    assert {query.keys.get(STUDY_UID, b"").strip(b"\0 ") for query in peer.queries} == {b"", b"2.25.1"}


def test_a_server_that_ignores_which_study_it_is_asked_for_is_no_count() -> None:
    shelf = spread(7, claims=False)
    series = answering(*({SERIES_UID: f"2.25.77.{number}".encode(), SERIES_IMAGES: b"3"} for number in range(7)))
    found = model_of(Peer(in_turn(answers_from(shelf), series)))
    assert (found.why, found.studies, found.images) == (Reason.PROTOCOL, Count.exact(7), None)


def test_series_that_claim_their_images_cost_one_query_a_study() -> None:
    studies = [study(number, day="20250101", series=(2, 3)) for number in range(1, 34)]
    shelf = archive(*studies, claims=False)

    def series(query: Query) -> Iterator[bytes]:
        for values in shelf.find(query.keys):
            yield query.answer({**values, SERIES_IMAGES: b"4"} if SERIES_UID in values else values)
        yield query.final()

    peer = Peer(series)
    found = model_of(peer)
    assert (found.series, found.images) == (Count.exact(66), Count.exact(264))
    assert len(peer.queries) == 34


def test_large_studies_do_not_fall_out_of_the_sample() -> None:
    """Half of the studies have one series, the others thirty: a budget that ran out within them would show the small."""
    studies = [study(number, series=(2,) * (1 if number % 2 else 30)) for number in range(1, 124)]
    peer = Peer(answers_from(archive(*studies, claims=False)))
    found = model_of(peer)
    truth = sum(each.images for each in studies)
    assert len(peer.queries) <= 40
    assert found.images is not None
    assert found.images.kind is CountKind.ESTIMATE
    assert found.images.high is not None
    width = found.images.high - found.images.low  # of a 95 % interval: the truth is outside of it once in twenty runs
    assert found.images.low - width <= truth <= found.images.high + width
