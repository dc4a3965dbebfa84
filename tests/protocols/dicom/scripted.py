"""A DICOM peer in memory for conversations: it says what a test tells it to, with the codec of the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from leadapron.lab.archive import Archive, read_identifier, write_identifier
from leadapron.model import Attempt, Reason
from leadapron.net.conversation import Conversation, LastWords, Lost
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, elements, uids
from leadapron.protocols.dicom.wire.dimse import CommandField, Status
from leadapron.protocols.dicom.wire.items import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTANCE,
    ContextResult,
    UserInformation,
)
from leadapron.protocols.dicom.wire.pdu import AssociateAC, AssociateRJ, AssociateRQ, ReleaseRQ

T = TypeVar("T")

MOST_STEPS = 20_000
STUDY_UID, STUDY_SERIES, STUDY_IMAGES = 0x0020000D, 0x00201206, 0x00201208

Keys = Mapping[int, bytes]
Step = tuple[int, bytes] | Reason | str
"""A status and its identifier, the end of the connection and why, or "abort"."""
OnFind = Callable[[Keys], Iterator[Step]]

EVERYTHING = frozenset((uids.VERIFICATION, uids.STUDY_ROOT_FIND, uids.PATIENT_ROOT_FIND, uids.MODALITY_WORKLIST_FIND))


@dataclass
class Peer:
    """`on_find` is asked for each C-FIND; its steps go out `batch` at a time. Before that, `rejects` is looked at."""

    on_find: OnFind = lambda _: iter(((Status.SUCCESS, b""),))
    accepts: frozenset[str] = EVERYTHING
    echo_status: int = Status.SUCCESS
    rejects: AssociateRJ | None = None
    batch: int = 1000
    asked: list[Keys] = field(default_factory=list)
    """the keys of each C-FIND"""
    cancels: int = 0
    aborted: bool = False
    released: bool = False

    def __post_init__(self) -> None:
        self.association = wire.Association(acceptor=True)
        self.steps: Iterator[Step] = iter(())
        self.request: wire.Message | None = None

    def answer(self, data: bytes) -> bytes | Reason:
        """What comes back for `data`; the reason where the connection ends."""
        self.association.receive_data(data)
        out = b""
        while (event := self.association.next_event()) is not wire.NEED_DATA:
            if isinstance(event, AssociateRQ):
                out += self._decide(event)
            elif isinstance(event, wire.Message):
                out += self._hear(event)
            elif isinstance(event, ReleaseRQ):
                self.released = True
                out += self.association.release_reply()
            else:
                self.aborted = True
                return out or Reason.RESET
        if self.association.state is not wire.State.ESTABLISHED:
            return out or Reason.RESET
        return self._stream(out)

    def _decide(self, request: AssociateRQ) -> bytes:
        if self.rejects is not None:
            return self.association.reject(self.rejects)
        contexts = tuple(
            ContextResult(id=each.id, result=ACCEPTANCE, transfer_syntax=each.transfer_syntaxes[0])
            if each.abstract_syntax in self.accepts
            else ContextResult(id=each.id, result=ABSTRACT_SYNTAX_NOT_SUPPORTED)
            for each in request.contexts
        )
        user = UserInformation(maximum_length=16_384, implementation_class_uid="2.25.1")
        return self.association.accept(AssociateAC(contexts=contexts, user=user, echo=("A", "B")))

    def _hear(self, message: wire.Message) -> bytes:
        kind = message.command.field
        if kind == CommandField.C_CANCEL_RQ:
            self.cancels += 1
            self.steps = iter(((Status.CANCEL, b""),))
        elif kind == CommandField.C_ECHO_RQ:
            response = dimse.response(message.command, self.echo_status)
            return self.association.send_message(message.context_id, response)
        else:
            keys = read_identifier(message.identifier, explicit=False)
            self.asked.append(keys)
            self.request, self.steps = message, self.on_find(keys)
        return b""

    def _stream(self, out: bytes) -> bytes | Reason:
        for _, step in zip(range(self.batch), self.steps, strict=False):
            if isinstance(step, Reason):
                self.steps = iter((step,))
                return out or step
            if isinstance(step, str):
                return out + self.association.abort()
            assert self.request is not None
            status, identifier = step
            response = dimse.response(self.request.command, status, has_data_set=bool(identifier))
            out += self.association.send_message(self.request.context_id, response, identifier)
        return out or Reason.TIMEOUT


def carry(conversation: Conversation[T], answer: Callable[[bytes], bytes | Reason]) -> Attempt[T]:
    """Hold a conversation to its end, as the dialer does."""
    try:
        sending = next(conversation)
        for _ in range(MOST_STEPS):
            coming = answer(bytes(sending))
            if isinstance(sending, LastWords):
                coming = Reason.RESET
            sending = conversation.throw(Lost(coming)) if isinstance(coming, Reason) else conversation.send(coming)
    except StopIteration as stop:
        attempt: Attempt[T] = stop.value
        return attempt
    raise AssertionError("the conversation does not end")


def study(number: int, *, series: object = 1, images: object = 1) -> bytes:
    """A study as a C-FIND answer; None leaves a claim out."""
    fields = [(STUDY_UID, f"2.25.{number}".encode())]
    fields += [
        (tag, str(claim).encode())
        for tag, claim in ((STUDY_SERIES, series), (STUDY_IMAGES, images))
        if claim is not None
    ]
    return elements.encode(fields)


def serving(archive: Archive, *, cap: int = 0, status: int = Status.CANCEL) -> OnFind:
    """What an archive answers; with `cap`, no more than so many, and then `status`."""

    def on_find(keys: Keys) -> Iterator[Step]:
        for count, values in enumerate(archive.find(keys)):
            if cap and count == cap:
                yield status, b""
                return
            yield Status.PENDING, write_identifier(values, explicit=False)
        yield Status.SUCCESS, b""

    return on_find
