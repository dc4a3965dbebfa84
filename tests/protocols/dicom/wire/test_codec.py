"""The codec: round trips, whole, byte by byte and truncated, any bytes, and pynetdicom as the other side."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ

from leadapron.errors import WireError
from leadapron.protocols.dicom.negotiation import request
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.items import (
    ContextResult,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from leadapron.protocols.dicom.wire.pdu import (
    PDV,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    Pdu,
    PduReader,
    ReleaseRP,
    ReleaseRQ,
    p_data_of_one,
)
from seeds import seeds

uid = st.from_regex(r"\A[12]\.[1-9][0-9]{0,5}(\.[1-9][0-9]{0,8}){0,5}\Z")
title = st.from_regex(r"\A[A-Z][A-Z0-9_]{0,15}\Z")
context_id = st.integers(0, 127).map(lambda number: 2 * number + 1)
number16 = st.integers(0, 0xFFFF)

user = st.builds(
    UserInformation,
    maximum_length=st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=uid,
    implementation_version_name=st.from_regex(rb"\A[A-Z][A-Z_0-9]{0,15}\Z"),
    asynchronous_operations=st.none() | st.tuples(number16, number16),
    roles=st.lists(st.builds(RoleSelection, sop_class=uid, scu=st.booleans(), scp=st.booleans()), max_size=3).map(
        tuple
    ),
    extended=st.lists(st.builds(ExtendedNegotiation, sop_class=uid, information=st.binary(max_size=8)), max_size=3).map(
        tuple
    ),
    identity=st.none()
    | st.builds(
        UserIdentity,
        kind=st.integers(1, 5),
        response_requested=st.booleans(),
        primary=st.binary(max_size=20),
        secondary=st.binary(max_size=20),
    ),
    identity_response=st.none() | st.binary(max_size=20),
)
proposed = st.builds(
    ProposedContext,
    id=context_id,
    abstract_syntax=uid,
    transfer_syntaxes=st.lists(uid, min_size=1, max_size=3).map(tuple),
)
result = st.builds(ContextResult, id=context_id, result=st.just(0), transfer_syntax=uid) | st.builds(
    ContextResult, id=context_id, result=st.integers(1, 4)
)
pdus: st.SearchStrategy[Pdu] = st.one_of(
    st.builds(
        AssociateRQ,
        called_aet=title,
        calling_aet=title,
        contexts=st.lists(proposed, min_size=1, max_size=4).map(tuple),
        user=user,
    ),
    st.builds(AssociateAC, contexts=st.lists(result, max_size=4).map(tuple), user=user),
    st.builds(AssociateRJ, result=st.integers(1, 2), source=st.integers(1, 3), reason=st.integers(0, 10)),
    st.builds(
        PDataTF,
        values=st.lists(
            st.builds(
                PDV, context_id=context_id, is_command=st.booleans(), is_last=st.booleans(), data=st.binary(max_size=50)
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.builds(Abort, source=st.sampled_from((0, 2)), reason=st.integers(0, 6)),
)


def read_all(*pieces: bytes) -> list[Pdu]:
    reader = PduReader(wire.MAX_LENGTH)
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (pdu := reader.next()) is not None:
            found.append(pdu)
    return found


@given(pdus)
def test_each_pdu_comes_back_whole_byte_by_byte_and_with_something_behind_it(pdu: Pdu) -> None:
    raw = pdu.encode()

    assert read_all(raw) == [pdu]
    assert read_all(*(raw[place : place + 1] for place in range(len(raw)))) == [pdu]
    assert read_all(raw + b"\x05") == [pdu]


@given(pdus, st.data())
def test_a_truncated_pdu_waits_for_more(pdu: Pdu, data: st.DataObject) -> None:
    raw = pdu.encode()
    assert read_all(raw[: data.draw(st.integers(0, len(raw) - 1))]) == []


@given(pdus, st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_gives_a_pdu_or_the_one_error(pdu: Pdu, place: int, value: int) -> None:
    raw = bytearray(pdu.encode())
    raw[place % len(raw)] = value
    try:
        read_all(bytes(raw))
    except WireError as error:
        assert error.rule


@given(st.binary(max_size=300))
@seeds(
    [
        (b"\x03\0\0\0\0\4\0\1\1\7",),  # a rejection: the called title
        (b"\x07\0\0\0\0\4\0\0\2\0",),  # A-ABORT
        (b"\x02\0\xff\xff\xff\xff",),  # an acceptance of 4 GB
        (b"\x02\0\0\0\0\6" + bytes(6),),
        (b"\x04\0\xff\xff\xff\xff" + bytes(100),),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    ]
)
def test_any_bytes_give_events_or_the_one_error_on_either_side(data: bytes) -> None:
    for acceptor in (True, False):
        side = wire.Association(acceptor=acceptor)
        if not acceptor:
            side.sent_request(frozenset((1, 3)))
        side.receive_data(data)
        try:
            while side.next_event() is not wire.NEED_DATA:
                pass
        except WireError as error:
            assert error.rule


@pytest.mark.parametrize("length", [0, 2, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 0, 8, 0x47])
def test_absurd_lengths_are_refused_before_anything_is_held(kind: int, length: int) -> None:
    reader = PduReader(wire.MAX_LENGTH)
    reader.feed(struct.pack(">BxI", kind, length))
    if length == 2:
        reader.feed(b"\0\0")
    with pytest.raises(WireError):
        assert reader.next() is not None


def test_pynetdicom_reads_our_request_and_we_read_its_answers() -> None:
    ours = request("ANY-SCP", "LEADAPRON")

    theirs = A_ASSOCIATE_RQ()
    theirs.decode(ours.encode())
    assert theirs.called_ae_title == "ANY-SCP"
    assert theirs.calling_ae_title == "LEADAPRON"
    assert [item.abstract_syntax for item in theirs.presentation_context] == [
        UID(context.abstract_syntax) for context in ours.contexts
    ]
    assert AssociateRQ.decode(theirs.encode()[6:]) == ours

    rejection = A_ASSOCIATE_RJ()
    rejection.decode(AssociateRJ(result=1, source=1, reason=7).encode())
    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (1, 1, 7)


@given(st.builds(AssociateAC, contexts=st.lists(result, min_size=1, max_size=4).map(tuple), user=user))
@settings(max_examples=40)
def test_pynetdicom_reads_our_acceptance(answer: AssociateAC) -> None:
    theirs = A_ASSOCIATE_AC()
    theirs.decode(answer.encode())
    assert [item.context_id for item in theirs.presentation_context] == [context.id for context in answer.contexts]
    assert theirs.user_information.maximum_length == answer.user.maximum_length


@given(
    field=st.sampled_from(list(dimse.CommandField)),
    message_id=number16,
    status=number16,
    sop_class=st.just("") | uid,
    has_data_set=st.booleans(),
)
def test_commands_come_back(
    field: dimse.CommandField, message_id: int, status: int, sop_class: str, has_data_set: bool
) -> None:
    is_response = bool(field & 0x8000)
    command = dimse.Command(
        field=field,
        message_id=message_id,
        sop_class=sop_class,
        has_data_set=has_data_set,
        status=status if is_response else None,
    )
    assert dimse.Command.decode(command.encode()) == command


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_walk_to_their_end_or_to_the_one_error(data: bytes, explicit: bool) -> None:
    try:
        found = list(elements.walk(data, explicit=explicit))
    except WireError as error:
        assert error.rule
    else:
        assert all(0 <= element.start <= element.end <= len(data) for element in found)


@pytest.mark.parametrize("depth", [10_000, 200_000])
def test_deep_nesting_is_refused_at_once(depth: int) -> None:
    data = (
        struct.pack("<HHI", 0x0008, 0x1140, elements.UNDEFINED) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ) * depth
    begun = time.process_time()
    with pytest.raises(WireError) as caught:
        list(elements.walk(data, explicit=False))
    assert caught.value.limit
    assert time.process_time() - begun < 1.0 + depth / 100_000


def established() -> tuple[wire.Association, wire.Association]:
    """A requestor and an acceptor with one context, 1."""
    asking, serving = wire.Association(), wire.Association(acceptor=True)
    context = ProposedContext(
        id=1, abstract_syntax=uids.STUDY_ROOT_FIND, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,)
    )
    ours = UserInformation(maximum_length=200)
    serving.receive_data(asking.request(AssociateRQ(called_aet="B", calling_aet="A", contexts=(context,), user=ours)))
    assert isinstance(serving.next_event(), AssociateRQ)
    accepted = ContextResult(id=1, result=0, transfer_syntax=uids.IMPLICIT_VR_LITTLE_ENDIAN)
    asking.receive_data(serving.accept(AssociateAC(contexts=(accepted,), user=ours)))
    assert isinstance(asking.next_event(), AssociateAC)
    return asking, serving


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 700))
@settings(max_examples=40)
def test_a_message_is_joined_from_its_fragments(identifier: bytes, step: int) -> None:
    asking, serving = established()
    command = dimse.find_request(1, uids.STUDY_ROOT_FIND)
    raw = asking.send_message(1, command, identifier)

    events = []
    for place in range(0, len(raw), step):
        serving.receive_data(raw[place : place + step])
        while (event := serving.next_event()) is not wire.NEED_DATA:
            events.append(event)

    assert events == [wire.Message(context_id=1, command=command, identifier=identifier)]


@given(st.lists(st.binary(max_size=500), max_size=5), st.booleans())
@settings(max_examples=40)
def test_messages_that_are_sent_together_are_those_that_are_sent_one_by_one(
    identifiers: list[bytes], has_data_set: bool
) -> None:
    _, serving = established()
    request = dimse.find_request(1, uids.STUDY_ROOT_FIND)
    pending = dimse.response(request, dimse.Status.PENDING, has_data_set=has_data_set)
    together = serving.send_messages(1, pending, identifiers)
    assert together == b"".join(serving.send_message(1, pending, identifier) for identifier in identifiers)


@given(context_id, st.booleans(), st.booleans(), st.binary(max_size=300))
def test_a_p_data_of_one_value_is_that_of_the_objects(number: int, command: bool, last: bool, data: bytes) -> None:
    value = PDV(context_id=number, is_command=command, is_last=last, data=data)
    assert p_data_of_one(number, data, is_command=command, is_last=last) == PDataTF(values=(value,)).encode()


def test_a_context_that_was_not_proposed_is_an_error() -> None:
    asking = wire.Association()
    asking.sent_request(frozenset((1,)))
    accepted = ContextResult(id=3, result=0, transfer_syntax=uids.IMPLICIT_VR_LITTLE_ENDIAN)
    asking.receive_data(AssociateAC(contexts=(accepted,), user=UserInformation()).encode())
    with pytest.raises(WireError):
        asking.next_event()


def test_release_both_ways() -> None:
    asking, serving = established()
    serving.receive_data(asking.release())
    assert serving.next_event() == ReleaseRQ()
    asking.receive_data(serving.release_reply())
    assert asking.next_event() == ReleaseRP()
    assert asking.state is serving.state is wire.State.CLOSED
