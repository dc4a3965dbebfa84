"""Worklist entries against scripted peers."""

from __future__ import annotations

import itertools

import pytest
from scripted_peer import (
    Peer,
    always,
    answers_from,
    inquire,
    spread,
    worklist_of,
)

from leadapron.lab.archive import PATIENT_ID
from leadapron.model import Count, Reason
from leadapron.protocols.dicom.inquiry import Answer, Found, Model
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.dicom.wire.dimse import Status
from leadapron.protocols.dicom.wire.pdu import Abort


def ask_worklist(peer: Peer, **changes: object) -> Found:
    result = inquire(peer, ask_worklist=True, **{"model": Model.NONE, **changes})
    assert result.worklist is not None
    return result.worklist


def test_worklist_entries_are_counted() -> None:
    found = ask_worklist(Peer(worklist_of(37)))
    assert (found.answer, found.why) == (Answer.PROVEN, None)
    assert found.worklist == Count.exact(37)


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


def test_a_worklist_past_the_budget_is_no_exact_count() -> None:
    entry = lambda query: itertools.repeat(query.answer({PATIENT_ID: b"SYNTHETIC-1"}) * 7)  # noqa: E731
    found = ask_worklist(Peer(entry, after_cancel=always(Status.SUCCESS)), answers=20)
    assert (found.why, found.worklist, found.capped) == (Reason.BUDGET, Count.at_least(21), False)


def test_a_round_number_of_entries_cannot_be_proven() -> None:
    assert ask_worklist(Peer(worklist_of(100))).worklist == Count.at_least(100)


def test_a_long_worklist_does_not_count_as_a_loop() -> None:
    assert ask_worklist(Peer(worklist_of(4997))).worklist == Count.exact(4997)
