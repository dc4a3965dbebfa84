"""What is proposed, and what the answer to it means. Any bytes give a result."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.identify.match import match
from leadapron.model import Completed, Endpoint, Failed, Reason
from leadapron.net.conversation import Lost
from leadapron.protocols.dicom.negotiation import (
    ANY_TITLE,
    CONTEXTS,
    Negotiated,
    Negotiation,
    Outcome,
    is_whole,
    request,
)
from leadapron.protocols.dicom.negotiation import read_answer as read
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.dicom.wire.items import ACCEPTANCE, ContextResult, UserInformation
from leadapron.protocols.dicom.wire.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRP

HERE = Endpoint(address=ip_address("127.0.0.1"), port=104)
JOB = Negotiation(name="title:A", endpoint=HERE, called_aet="A", calling_aet="LEADAPRON", identify=match)


def accepting(
    *ids: int, implementation: str = "2.25.9", version: bytes = b"", maximum: int = 16_384, result: int = ACCEPTANCE
) -> bytes:
    user = UserInformation(
        maximum_length=maximum, implementation_class_uid=implementation, implementation_version_name=version
    )
    contexts = tuple(
        ContextResult(id=each, result=result, transfer_syntax=uids.IMPLICIT_VR_LITTLE_ENDIAN) for each in ids
    )
    return AssociateAC(contexts=contexts, user=user, echo=("A", "B")).encode()


def read_answer(answer: bytes) -> Completed[Negotiated] | Failed:
    return read(answer, HERE, match, ANY_TITLE)


def negotiated(answer: bytes) -> Negotiated:
    attempt = read_answer(answer)
    assert isinstance(attempt, Completed)
    return attempt.result


def test_what_is_proposed_is_what_the_docs_say_and_nothing_that_changes_a_server() -> None:
    sent = request(ANY_TITLE, "LEADAPRON")
    assert {each.abstract_syntax for each in sent.contexts} == set(CONTEXTS.values())
    assert len({each.id for each in sent.contexts}) == len(CONTEXTS)
    assert all(each.id % 2 for each in sent.contexts)  # PS3.8 9.3.2.2
    assert sent.user.implementation_class_uid.startswith("2.25.")


def test_accepted_contexts_have_their_names() -> None:
    names = list(CONTEXTS)
    found = negotiated(accepting(1, 3, 3, 2 * len(names) - 1))
    assert found.outcome is Outcome.ACCEPTED
    assert found.accepted == (names[0], names[1], names[-1])


def test_contexts_that_are_refused_are_not_accepted() -> None:
    assert negotiated(accepting(1, 3, result=3)).accepted == ()


@pytest.mark.parametrize("result", [1, 2])
@pytest.mark.parametrize("reason", [1, 2, 3, 7])
def test_a_rejection_keeps_result_source_and_reason(result: int, reason: int) -> None:
    found = negotiated(AssociateRJ(result=result, source=1, reason=reason).encode())
    assert (found.outcome, found.rj_result, found.rj_source, found.rj_reason) == (Outcome.REJECTED, result, 1, reason)


def test_an_abort_is_one() -> None:
    assert negotiated(Abort().encode()).outcome is Outcome.ABORTED


def test_the_product_shows_itself_in_its_implementation() -> None:
    found = negotiated(accepting(1, implementation="1.2.276.0.7230010.3.0.3.6.7", version=b"OFFIS_DCMTK_367"))
    assert "DCMTK" in (found.product.toolkit or "").upper()


@pytest.mark.parametrize("maximum", [0, 1])
def test_a_maximum_length_of_nothing_is_a_number_like_any_other(maximum: int) -> None:
    assert negotiated(accepting(1, maximum=maximum)).maximum_length == maximum


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (accepting(255), Reason.PROTOCOL),
        (ReleaseRP().encode(), Reason.PROTOCOL),
        (request(ANY_TITLE, "LEADAPRON").encode(), Reason.PROTOCOL),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.PROTOCOL),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL),
        (b"\x15\x03\x01\x00\x02\x02\x46", Reason.PROTOCOL),
        (b"\x02\x00\xff\xff\xff\xff", Reason.LIMIT),
        (b"", Reason.RESET),
        (accepting(1)[:-1], Reason.TRUNCATED),
    ],
    ids=["never proposed", "release", "our own", "http", "ssh", "tls", "4 GB", "nothing", "cut"],
)
def test_what_is_no_answer_says_why(answer: bytes, reason: Reason) -> None:
    attempt = read_answer(answer)
    assert isinstance(attempt, Failed)
    assert attempt.reason is reason


def test_answers_that_differ_in_titles_only_have_one_digest() -> None:
    other = AssociateAC(contexts=(), user=UserInformation(maximum_length=1), echo=("X", "Y")).encode()
    same = AssociateAC(contexts=(), user=UserInformation(maximum_length=1), echo=("A", "B")).encode()
    assert negotiated(other).digest == negotiated(same).digest != negotiated(accepting(1)).digest


@given(st.binary(max_size=400))
def test_any_bytes_give_a_result(answer: bytes) -> None:
    assert isinstance(read_answer(answer), Completed | Failed)
    assert is_whole(answer) in (0, 1)


@given(st.integers(0, 400), st.binary(max_size=40))
def test_any_bytes_in_the_midst_of_an_answer_give_a_result(place: int, noise: bytes) -> None:
    whole = accepting(1, 3, 5)
    assert isinstance(read_answer(whole[:place] + noise + whole[place + len(noise) :]), Completed | Failed)


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_the_job_reads_its_answer_in_pieces_and_says_farewell(step: int) -> None:
    conversation, answer = JOB.converse(), accepting(1)
    sent = [next(conversation)]
    for place in range(0, len(answer), step):
        sent.append(conversation.send(answer[place : place + step]))
    assert sent[0][:1] == bytes([AssociateRQ.type])
    assert sent[-1] == Abort().encode()
    with pytest.raises(StopIteration) as end:
        conversation.throw(Lost(Reason.RESET))
    assert isinstance(end.value.value, Completed)


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.RESET, Reason.STOPPED])
def test_a_job_that_loses_its_connection_says_why(reason: Reason) -> None:
    conversation = JOB.converse()
    next(conversation)
    with pytest.raises(StopIteration) as end:
        conversation.throw(Lost(reason))
    assert isinstance(end.value.value, Failed)
    assert end.value.value.reason is reason
