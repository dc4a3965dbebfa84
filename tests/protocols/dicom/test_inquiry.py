"""The verdict table of docs/dicom.md, row by row, and the counts behind it."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import EVERYTHING, Keys, OnFind, Peer, Step, carry, serving, study

from leadapron.lab.archive import Archive, made_up
from leadapron.model import Completed, CountKind, CountSource, Endpoint, Failed, Reason, Stage
from leadapron.protocols.dicom.inquiry import Inquiry, InquiryResult, Model
from leadapron.protocols.dicom.verdict import Answer, Found
from leadapron.protocols.dicom.wire import elements, uids
from leadapron.protocols.dicom.wire.dimse import Status
from leadapron.protocols.dicom.wire.pdu import AssociateRJ

OFFIS_CAP, OUT_OF_RESOURCES = 0xC000, 0xA700
CAPS = [Status.CANCEL, OUT_OF_RESOURCES, OFFIS_CAP, 0xC123]

JOB = Inquiry(
    name="ask",
    endpoint=Endpoint(address=ip_address("127.0.0.1"), port=104),
    called_aet="ANY-SCP",
    calling_aet="LEADAPRON",
    model=Model.STUDY_ROOT,
    ask_echo=True,
    ask_worklist=False,
    queries=40,
    answers=20_000,
    today=dt.date(2026, 11, 24),
)


def ask(peer: Peer, job: Inquiry = JOB) -> InquiryResult:
    attempt = carry(job.converse(), peer.answer)
    assert isinstance(attempt, Completed), attempt
    assert len(peer.asked) == attempt.result.queries
    return attempt.result


def model(on_find: OnFind, job: Inquiry = JOB) -> Found:
    found = ask(Peer(on_find), job).model
    assert found is not None
    return found


def always(*steps: Step) -> OnFind:
    return lambda _: iter(steps)


# -- the verdict table -------------------------------------------------------------------------------------------------


def test_a_context_that_is_rejected_is_a_refusal_and_not_asked() -> None:
    peer = Peer(accepts=frozenset((uids.VERIFICATION,)))
    refused = Found(answer=Answer.REFUSED)
    result = ask(peer, replace(JOB, ask_worklist=True))
    assert result == InquiryResult(echo_status=Status.SUCCESS, model=refused, worklist=refused)
    assert peer.released


@pytest.mark.parametrize("status", [Status.SOP_CLASS_NOT_SUPPORTED, Status.NOT_AUTHORIZED])
def test_not_supported_and_not_authorized_are_refusals(status: int) -> None:
    found = model(always((status, b"")))
    assert (found.answer, found.why, found.status) == (Answer.REFUSED, None, status)


def test_an_abort_after_c_find_where_c_echo_worked_is_kept_for_reproduction() -> None:
    result = ask(Peer(always("abort")))
    assert result.echo_status == Status.SUCCESS
    assert result.model == Found(answer=Answer.ABORTED, why=Reason.ABORTED)
    assert result.ended == Failed(stage=Stage.LIST, reason=Reason.ABORTED)


@pytest.mark.parametrize("reason", [Reason.RESET, Reason.TIMEOUT, Reason.LIMIT, Reason.STOPPED])
def test_a_connection_that_ends_without_a_word_says_nothing_but_why(reason: Reason) -> None:
    result = ask(Peer(always(reason)))
    assert result.model == Found(answer=Answer.UNKNOWN, why=reason)
    assert result.ended == Failed(stage=Stage.LIST, reason=reason)


def test_pending_answers_prove_it_and_success_makes_them_exact() -> None:
    found = model(serving(made_up(1, 37)))
    archive = made_up(1, 37)
    assert (found.answer, found.why, found.most_answers) == (Answer.PROVEN, None, 37)
    for count, truth in ((found.studies, 37), (found.series, archive.series), (found.images, archive.images)):
        assert count is not None
        assert (count.value, count.kind) == (truth, CountKind.EXACT)
    assert found.studies is not None and found.studies.source is CountSource.ENUMERATED
    assert found.images is not None and found.images.source is CountSource.CLAIMED


@pytest.mark.parametrize("status", CAPS)
def test_a_cap_is_split_by_date_and_never_exact(status: int) -> None:
    archive = made_up(3, 300)
    dated = sum(1 for each in archive.studies if each.values[0x00080020])
    found = model(serving(archive, cap=120, status=status))
    assert (found.answer, found.why, found.capped) == (Answer.PROVEN, Reason.LIMIT, True)
    assert found.studies is not None
    assert found.studies.kind is CountKind.BOUND
    assert dated <= found.studies.value <= 300  # what has no date falls out of every range


@pytest.mark.parametrize("status", [OUT_OF_RESOURCES, OFFIS_CAP])
def test_a_cap_without_one_answer_is_unknown(status: int) -> None:
    found = model(always((status, b"")))
    assert (found.answer, found.why, found.capped) == (Answer.UNKNOWN, Reason.LIMIT, True)


def test_a_day_that_is_capped_is_split_by_accession() -> None:
    def on_find(keys: Keys) -> Iterator[Step]:
        """Six studies of one day, two for each of three first letters; two answers at most."""
        days, accession = keys.get(0x00080020, b"").decode(), keys.get(0x00080050, b"").decode().rstrip("* ")
        first, _, last = days.strip().partition("-")
        if not first <= "20240310" <= (last or first or "9"):
            yield Status.SUCCESS, b""
            return
        fitting = [(letter, n) for letter in "AB7" for n in (1, 2) if not accession or letter == accession]
        for letter, n in fitting[:2]:
            yield Status.PENDING, study(ord(letter) * 10 + n)
        yield (Status.CANCEL if len(fitting) > 2 else Status.SUCCESS), b""

    found = model(on_find, replace(JOB, queries=200))
    assert found.studies is not None
    assert (found.studies.value, found.studies.kind) == (6, CountKind.BOUND)


def test_two_days_that_are_capped_together_are_asked_one_by_one() -> None:
    def on_find(keys: Keys) -> Iterator[Step]:
        """Two studies on each of two days, without accession numbers; two answers at most."""
        first, _, last = keys.get(0x00080020, b"").decode().strip().partition("-")
        days = [day for day in ("20240310", "20240311") if first <= day <= (last or first or "9")]
        fitting = [] if keys.get(0x00080050) else [int(f"{day}{n}") for day in days for n in (1, 2)]
        yield from ((Status.PENDING, study(number)) for number in fitting[:2])
        yield (Status.CANCEL if len(fitting) > 2 else Status.SUCCESS), b""

    found = model(on_find, replace(JOB, queries=200))
    assert found.studies is not None
    assert (found.studies.value, found.studies.kind) == (4, CountKind.BOUND)


@pytest.mark.parametrize("cap", [50, 100])
def test_a_cap_that_pretends_to_be_a_success_is_seen(cap: int) -> None:
    archive = made_up(4, 400)
    dated = sum(1 for each in archive.studies if each.values[0x00080020])
    found = model(serving(archive, cap=cap, status=Status.SUCCESS), replace(JOB, queries=400))
    assert (found.answer, found.why, found.capped) == (Answer.PROVEN, Reason.LIMIT, True)
    assert found.studies is not None
    assert found.studies.kind is CountKind.BOUND
    assert dated <= found.studies.value <= 400


def test_a_round_number_that_is_no_cap_stays_exact() -> None:
    found = model(serving(made_up(5, 100)))
    assert found.studies is not None
    assert (found.studies.value, found.studies.kind, found.why) == (100, CountKind.EXACT, None)


def test_a_query_that_does_not_fit_is_ours() -> None:
    found = model(always((Status.IDENTIFIER_DOES_NOT_MATCH, b"")))
    assert (found.answer, found.why) == (Answer.UNKNOWN, Reason.PROTOCOL)


def test_a_success_without_answers_is_asked_again_with_another_key() -> None:
    peer = Peer(always((Status.SUCCESS, b"")))
    found = ask(peer).model
    assert found is not None
    assert (found.answer, found.why) == (Answer.UNKNOWN, Reason.EMPTY)
    assert len(peer.asked) == 2
    assert peer.asked[0] != peer.asked[1]


def test_a_filter_is_no_empty_archive() -> None:
    def on_find(keys: Keys) -> Iterator[Step]:
        if keys[0x00080020]:
            yield Status.PENDING, study(1)
        yield Status.SUCCESS, b""

    found = model(on_find)
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.EMPTY)
    assert found.studies is not None
    assert (found.studies.value, found.studies.kind) == (1, CountKind.BOUND)


def test_a_rejection_is_no_answer_to_a_query() -> None:
    peer = Peer(rejects=AssociateRJ(result=1, source=1, reason=7))
    attempt = carry(JOB.converse(), peer.answer)
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.HANDSHAKE, Reason.REFUSED)


def test_an_error_behind_answers_leaves_a_bound() -> None:
    found = model(always((Status.PENDING, study(1)), (0x0110, b"")))
    assert (found.answer, found.status) == (Answer.PROVEN, 0x0110)
    assert found.studies is not None
    assert found.why is not None
    assert found.studies.kind is CountKind.BOUND


# -- budgets, loops and lies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries", [1, 2, 7])
def test_the_budget_of_queries_binds(queries: int) -> None:
    peer = Peer(serving(made_up(6, 500), cap=3))
    result = ask(peer, replace(JOB, queries=queries))
    assert result.queries <= queries
    assert result.model is not None
    assert result.model.studies is not None
    assert result.model.studies.kind is CountKind.BOUND


def test_a_stream_without_end_is_cancelled_at_the_budget() -> None:
    peer = Peer(lambda _: ((Status.PENDING, study(number)) for number in itertools.count(1)), batch=100)
    result = ask(peer, replace(JOB, answers=1000))
    assert peer.cancels == 1
    found = result.model
    assert found is not None
    assert found.studies is not None
    assert (found.answer, found.why, found.studies.kind) == (Answer.PROVEN, Reason.BUDGET, CountKind.BOUND)
    assert 1000 <= found.studies.value <= 1200


def test_who_does_not_hear_the_cancel_is_aborted() -> None:
    class Deaf(Peer):
        def _hear(self, message: object) -> bytes:
            return b"" if getattr(message, "command").field == 0x0FFF else super()._hear(message)  # type: ignore[arg-type]  # noqa: B009

    peer = Deaf(lambda _: ((Status.PENDING, study(number)) for number in itertools.count(1)), batch=500)
    found = ask(peer, replace(JOB, answers=1000)).model
    assert peer.aborted
    assert found is not None
    assert (found.answer, found.why) == (Answer.PROVEN, Reason.BUDGET)


def test_the_same_record_for_ever_is_one_study() -> None:
    peer = Peer(lambda _: itertools.repeat((Status.PENDING, study(1, images=7))))
    found = ask(peer).model
    assert len(peer.asked) == 1
    assert found is not None
    assert found.looping
    assert found.studies is not None
    assert found.images is not None
    assert (found.studies.value, found.studies.kind, found.why) == (1, CountKind.BOUND, Reason.LIMIT)
    assert found.images.value == 7


@pytest.mark.parametrize("lie", [-5, 10**12, "many", "1e3", ""])
def test_claims_that_cannot_be_are_not_counted(lie: object) -> None:
    found = model(always((Status.PENDING, study(1, images=9)), (Status.PENDING, study(2, images=lie)), (0, b"")))
    assert found.studies is not None
    assert found.images is not None
    assert (found.studies.value, found.images.value, found.images.kind) == (2, 9, CountKind.BOUND)


def test_a_study_that_comes_twice_counts_once() -> None:
    twice = study(1, images=9)
    found = model(always((Status.PENDING, twice), (Status.PENDING, twice), (Status.SUCCESS, b"")))
    assert found.studies is not None
    assert found.images is not None
    assert (found.studies.value, found.images.value) == (1, 9)


def test_answers_without_the_unique_key_make_nothing_exact() -> None:
    nameless = elements.encode([(0x00201208, b"4 ")])
    found = model(always((Status.PENDING, study(1)), (Status.PENDING, nameless), (Status.SUCCESS, b"")))
    assert found.studies is not None
    assert (found.studies.value, found.studies.kind, found.why) == (1, CountKind.BOUND, Reason.PROTOCOL)


# -- levels ------------------------------------------------------------------------------------------------------------


def test_where_studies_claim_nothing_series_and_images_are_counted_themselves() -> None:
    archive = made_up(8, 4, claims=False, largest=5)
    found = model(serving(archive))
    assert found.series is not None
    assert found.images is not None
    assert (found.series.value, found.series.kind) == (archive.series, CountKind.EXACT)
    assert (found.images.value, found.images.kind) == (archive.images, CountKind.EXACT)


def test_a_sample_of_the_studies_is_an_estimate_around_the_truth() -> None:
    archive = made_up(9, 200, claims=False, largest=5)
    found = model(serving(archive), replace(JOB, queries=90))
    assert found.why is Reason.BUDGET
    assert found.images is not None
    assert found.images.kind is CountKind.ESTIMATE
    assert found.images.low is not None
    assert found.images.high is not None
    width = found.images.high - found.images.low  # of a 95 % interval: the truth is outside of it once in twenty runs
    assert 0 < width < archive.images
    assert found.images.low - width <= archive.images <= found.images.high + width


def test_patients_of_the_patient_root_claim_their_studies() -> None:
    patient = elements.encode([(0x00100020, b"S1"), (0x00201200, b"3 "), (0x00201202, b"5 "), (0x00201204, b"70")])
    found = model(always((Status.PENDING, patient), (Status.SUCCESS, b"")), replace(JOB, model=Model.PATIENT_ROOT))
    values = [count.value for count in (found.studies, found.series, found.images) if count is not None]
    assert values == [3, 5, 70]


def test_worklist_entries_are_counted_beside_the_studies() -> None:
    def on_find(keys: Keys) -> Iterator[Step]:
        if 0x00400100 in keys:
            yield from ((Status.PENDING, elements.encode([(0x00080050, b"SYN1")])) for _ in range(5))
        else:
            yield Status.PENDING, study(1)
        yield Status.SUCCESS, b""

    result = ask(Peer(on_find), replace(JOB, ask_worklist=True))
    assert result.worklist is not None
    assert result.worklist.worklist is not None
    assert (result.worklist.worklist.value, result.worklist.worklist.kind) == (5, CountKind.EXACT)
    assert result.model is not None
    assert result.model.studies is not None
    assert result.model.studies.value == 1


def test_one_query_only_to_reproduce_an_abort() -> None:
    peer = Peer(serving(made_up(3, 300), cap=10))
    assert ask(peer, replace(JOB, narrow=False)).queries == 1


def test_an_explicit_title_of_nobody_changes_no_count() -> None:
    assert model(serving(Archive())).studies is None


# -- any bytes ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(0, 3))
def test_any_bytes_give_a_result(noise: list[bytes], honest: int) -> None:
    """After `honest` true answers, noise; then nothing."""
    peer, coming = Peer(serving(made_up(2, 3))), iter(noise)
    turn = itertools.count()

    def answer(data: bytes) -> bytes | Reason:
        if next(turn) < honest:
            return peer.answer(data)
        return next(coming, b"") or Reason.TIMEOUT

    attempt = carry(replace(JOB, ask_worklist=True).converse(), answer)
    assert isinstance(attempt, Completed | Failed)


@given(st.integers(1, 4000), st.sampled_from([Reason.RESET, Reason.TIMEOUT, Reason.STOPPED]))
def test_a_stream_that_breaks_off_anywhere_is_never_exact(place: int, reason: Reason) -> None:
    peer = Peer(serving(made_up(2, 30)), accepts=EVERYTHING - {uids.VERIFICATION})
    left, over = [place], [False]

    def answer(data: bytes) -> bytes | Reason:
        coming = peer.answer(data)
        if over[0] or isinstance(coming, Reason):
            return reason
        if not peer.asked:
            return coming
        piece, left[0] = coming[: left[0]], left[0] - len(coming)
        over[0] = left[0] <= 0
        return piece or reason

    attempt = carry(JOB.converse(), answer)
    assert isinstance(attempt, Completed)
    result = attempt.result
    assert result.model is not None
    if result.ended is not None and result.ended.stage is Stage.LIST:
        assert result.model.why is not None
        assert result.model.studies is None or result.model.studies.kind is CountKind.BOUND
    else:
        assert result.model.studies is not None
        assert result.model.studies.value == 30
