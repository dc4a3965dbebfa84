"""A DICOM server without a socket: a script answers each C-FIND, made-up studies stand behind it.

A script is a function from a query to pieces: bytes that the peer sends, or the `Reason` with which the connection is
lost. Pieces are taken one at a time, each read of the auditor gets one, so that a script may be endless.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from leadapron.lab.archive import (
    ACCESSION,
    MODALITIES,
    PATIENT_ID,
    STUDY_DATE,
    STUDY_IMAGES,
    STUDY_UID,
    Archive,
    Keys,
    Study,
    read_identifier,
    write_identifier,
)
from leadapron.model import Attempt, Completed, Endpoint, Reason
from leadapron.net.conversation import LastWords, Lost
from leadapron.protocols.dicom.inquiry import Found, Inquiry, InquiryResult, Model
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.dimse import Command, CommandField, Status
from leadapron.protocols.dicom.wire.items import ContextResult, UserInformation
from leadapron.protocols.dicom.wire.pdu import PDV, Abort, AssociateAC, AssociateRQ, PDataTF, ReleaseRQ

STUDY_TIME = 0x00080030
TODAY = dt.date(2026, 5, 17)
MAX_TURNS = 50_000
"""Turns after which a conversation counts as endless."""

Piece = bytes | Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A C-FIND-RQ. `number` counts the queries of the association from 1."""

    number: int
    context_id: int
    command: Command
    keys: Keys
    explicit: bool

    def pending(self, identifier: bytes, status: int = Status.PENDING) -> bytes:
        response = dimse.response(self.command, status, has_data_set=True)
        return self._value(response.encode(), is_command=True) + self._value(identifier, is_command=False)

    def answer(self, values: Keys) -> bytes:
        return self.pending(write_identifier(values, explicit=self.explicit))

    def final(self, status: int = Status.SUCCESS) -> bytes:
        return self._value(dimse.response(self.command, status).encode(), is_command=True)

    def _value(self, data: bytes, *, is_command: bool) -> bytes:
        value = PDV(context_id=self.context_id, is_command=is_command, is_last=True, data=data)
        return PDataTF(values=(value,)).encode()


Script = Callable[[Query], Iterable[Piece]]


class Peer:
    """The acceptor. `queries`, `cancelled`, `echoes` and `ended` (release or abort) say what it was asked."""

    def __init__(
        self,
        script: Script,
        *,
        rejects: frozenset[str] = frozenset(),
        echo: int = Status.SUCCESS,
        explicit: bool = False,
        behind_echo: bytes = b"",
        after_cancel: Script = lambda query: [query.final(Status.CANCEL)],
    ) -> None:
        self.script, self.rejects, self.echo, self.after_cancel = script, rejects, echo, after_cancel
        self.syntax = uids.EXPLICIT_VR_LITTLE_ENDIAN if explicit else uids.IMPLICIT_VR_LITTLE_ENDIAN
        self.behind_echo = behind_echo
        self.association = wire.Association(acceptor=True)
        self.pieces: Iterator[Piece] = iter(())
        self.queries: list[Query] = []
        self.cancelled: list[int] = []
        self.echoes = 0
        self.ended = ""

    def receive(self, data: bytes) -> None:
        if self.association.state is not wire.State.CLOSED:
            self.association.receive_data(data)
            while (event := self.association.next_event()) is not wire.NEED_DATA:
                self._take(event)

    def _take(self, event: wire.Event) -> None:
        if isinstance(event, AssociateRQ):
            self._say([self.association.accept(self._acceptance(event))])
        elif isinstance(event, ReleaseRQ):
            self.ended = "release"
            self._say([self.association.release_reply()])
        elif isinstance(event, Abort):
            self.ended = "abort"
        elif isinstance(event, wire.Message):
            self._answer(event)

    def _acceptance(self, request: AssociateRQ) -> AssociateAC:
        contexts = tuple(
            ContextResult(id=context.id, result=3)
            if context.abstract_syntax in self.rejects
            else ContextResult(id=context.id, result=0, transfer_syntax=self.syntax)
            for context in request.contexts
        )
        return AssociateAC(contexts=contexts, user=UserInformation(maximum_length=16_384))

    def _answer(self, message: wire.Message) -> None:
        if message.command.field == CommandField.C_ECHO_RQ:
            self.echoes += 1
            response = dimse.response(message.command, self.echo)
            self._say([self.association.send_message(message.context_id, response) + self.behind_echo])
        elif message.command.field == CommandField.C_CANCEL_RQ:
            self.cancelled.append(message.command.message_id)
            self.pieces = iter(self.after_cancel(self.queries[-1]))
        else:
            query = Query(
                number=len(self.queries) + 1,
                context_id=message.context_id,
                command=message.command,
                keys=read_identifier(message.identifier, explicit=False),
                explicit=self.association.is_explicit(message.context_id),
            )
            self.queries.append(query)
            self._say(self.script(query))

    def _say(self, pieces: Iterable[Piece]) -> None:
        self.pieces = itertools.chain(self.pieces, pieces)

    def next_piece(self) -> Piece:
        return next(self.pieces, Reason.TIMEOUT)


def ask(peer: Peer, **changes: Any) -> Attempt[InquiryResult]:
    """Carry one inquiry out against `peer`, as `net.dialer.hold` would."""
    job = Inquiry(**{**JOB, **changes})
    conversation = job.converse()
    sending = next(conversation)
    for _ in range(MAX_TURNS):
        peer.receive(sending)
        piece = Reason.RESET if isinstance(sending, LastWords) else peer.next_piece()
        try:
            sending = conversation.throw(Lost(piece)) if isinstance(piece, Reason) else conversation.send(piece)
        except StopIteration as stop:
            outcome: Attempt[InquiryResult] = stop.value
            return outcome
    raise AssertionError("the conversation does not end")


def inquire(peer: Peer, **changes: Any) -> InquiryResult:
    """The result of an inquiry that must complete."""
    attempt = ask(peer, **changes)
    assert isinstance(attempt, Completed)
    return attempt.result


JOB: dict[str, Any] = {
    "name": "ask",
    "endpoint": Endpoint(address=ip_address("127.0.0.1"), port=11112),
    "called_aet": "ANY-SCP",
    "calling_aet": "LEADAPRON",
    "model": Model.STUDY_ROOT,
    "ask_echo": True,
    "ask_worklist": False,
    "queries": 40,
    "answers": 20_000,
    "today": TODAY,
}


# -- studies and scripts -----------------------------------------------------------------------------------------------


def study(number: int, *, day: str = "", time: str = "", accession: str = "", series: tuple[int, ...] = (1,)) -> Study:
    values = {
        STUDY_DATE: day.encode(),
        STUDY_TIME: time.encode(),
        ACCESSION: accession.encode(),
        MODALITIES: b"CT",
        STUDY_UID: f"2.25.{number}".encode(),
    }
    return Study(values=values, series=series)


def archive(*studies: Study, claims: bool = True) -> Archive:
    return Archive(studies=studies, claims=claims)


def spread(count: int, *, first: dt.date = dt.date(2020, 1, 1), step: int = 1, claims: bool = True) -> Archive:
    """`count` studies, one every `step` days."""
    days = (first + dt.timedelta(days=number * step) for number in range(count))
    return archive(*(study(number, day=f"{day:%Y%m%d}") for number, day in enumerate(days, start=1)), claims=claims)


def answers_from(shelf: Archive, *, cap: int | None = None, at_cap: int = Status.CANCEL) -> Script:
    """A server that finds, and ends with `at_cap` behind `cap` answers when there are more."""

    def script(query: Query) -> Iterator[bytes]:
        found = list(shelf.find(query.keys))
        shown = found if cap is None else found[:cap]
        yield b"".join(query.answer(values) for values in shown) + query.final(
            at_cap if len(shown) < len(found) else Status.SUCCESS
        )

    return script


def always(status: int) -> Script:
    return lambda query: [query.final(status)]


def in_turn(*scripts: Script) -> Script:
    """The first query is answered by the first script, and so on; the last one answers what comes behind."""
    return lambda query: scripts[min(query.number, len(scripts)) - 1](query)


def answering(*records: dict[int, bytes], final: int = Status.SUCCESS) -> Script:
    """The same records, raw, whatever is asked."""
    return lambda query: [*(query.pending(elements.encode(values.items())) for values in records), query.final(final)]


def endless(query: Query) -> Iterator[bytes]:
    for number in itertools.count(1):
        yield b"".join(query.answer({STUDY_UID: f"2.25.{number}{last}".encode()}) for last in range(100))


def the_same(query: Query) -> Iterator[bytes]:
    piece = query.answer({STUDY_UID: b"2.25.1", STUDY_IMAGES: b"5"}) * 100
    while True:
        yield piece


def model_of(peer: Peer, **changes: object) -> Found:
    """What an inquiry found behind the information model."""
    found = inquire(peer, **changes).model
    assert found is not None
    return found


def worklist_of(entries: int, final: int = Status.SUCCESS) -> Script:
    return lambda query: [query.answer({PATIENT_ID: b"SYNTHETIC-1"}) * entries + query.final(final)]
