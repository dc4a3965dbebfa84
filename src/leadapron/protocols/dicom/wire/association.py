"""One association, either side, sans-IO (PS3.8 chapter 9; the state machine of section 9.2, as far as it is visible).

    association.receive_data(bytes)      only buffers
    association.next_event()             a frozen event, or NEED_DATA
    association.send_...()               the bytes to write

Fragments of a message are joined across PDVs and PDUs. What arrives out of turn raises WireError; the caller then
writes `association.abort()` and closes.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.protocols.dicom.wire.dimse import MAX_COMMAND_LENGTH, Command
from leadapron.protocols.dicom.wire.items import ContextResult, UserInformation
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
from leadapron.protocols.dicom.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN

MAX_LENGTH = 131_072
"""The maximum length that we announce, in bytes: the largest that DCMTK-based servers use."""
MAX_IDENTIFIER_LENGTH = 1 << 20
"""Bytes of one joined data set. An answer to our keys has under 500."""
MIN_FRAGMENT = 64
"""We send no smaller fragments than this, whatever maximum length a peer announces (1 would be legal to announce)."""


class State(enum.Enum):
    IDLE = enum.auto()
    AWAITING_REQUEST = enum.auto()
    """acceptor: connected, nothing received"""
    AWAITING_ANSWER = enum.auto()
    """requestor: A-ASSOCIATE-RQ sent"""
    DECIDING = enum.auto()
    """acceptor: A-ASSOCIATE-RQ received"""
    ESTABLISHED = enum.auto()
    RELEASING = enum.auto()
    """A-RELEASE-RQ sent"""
    RELEASE_ASKED = enum.auto()
    """A-RELEASE-RQ received"""
    CLOSED = enum.auto()


_TRANSITIONS: Mapping[State, Mapping[type, State]] = {
    State.AWAITING_REQUEST: {AssociateRQ: State.DECIDING, Abort: State.CLOSED},
    State.AWAITING_ANSWER: {AssociateAC: State.ESTABLISHED, AssociateRJ: State.CLOSED, Abort: State.CLOSED},
    State.ESTABLISHED: {
        PDataTF: State.ESTABLISHED,
        ReleaseRQ: State.RELEASE_ASKED,
        Abort: State.CLOSED,
    },
    State.RELEASING: {
        PDataTF: State.RELEASING,
        ReleaseRP: State.CLOSED,
        ReleaseRQ: State.RELEASE_ASKED,
        Abort: State.CLOSED,
    },
}
"""What may arrive in each state, and where it leads. Anything else is a WireError."""


class NeedData(enum.Enum):
    NEED_DATA = enum.auto()


NEED_DATA = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole DIMSE message. `identifier` is the joined data set, encoded as its context's transfer syntax says."""

    context_id: int
    command: Command
    identifier: bytes = b""


Event = AssociateRQ | AssociateAC | AssociateRJ | Message | ReleaseRQ | ReleaseRP | Abort


class Association:
    """One side of one association."""

    def __init__(self, *, acceptor: bool = False, max_length: int = MAX_LENGTH) -> None:
        self.state = State.AWAITING_REQUEST if acceptor else State.IDLE
        self.contexts: dict[int, ContextResult] = {}
        """the accepted ones, by their identifier"""
        self._reader = PduReader(max_length)
        self._values: deque[PDV] = deque()
        self._proposed: frozenset[int] = frozenset()
        self._peer_max_length = 0
        self._command: Command | None = None
        self._fragments: list[bytes] = []
        self._held = 0
        self._context_id = 0

    def receive_data(self, data: bytes) -> None:
        """Buffer `data`."""
        self._reader.feed(data)

    def take_buffer(self) -> bytes:
        """Hand over what is buffered and no event yet. Raises WireError in the middle of a message."""
        if self._values or self._fragments or self._command:
            raise WireError("a message is not whole")
        return self._reader.take_all()

    def next_event(self) -> Event | NeedData:
        """The next event, or NEED_DATA. Raises WireError for what the standard, or a limit, forbids."""
        while True:
            while self._values:
                if (message := self._join(self._values.popleft())) is not None:
                    return message
            pdu = self._reader.next()
            if pdu is None:
                return NEED_DATA
            event = self._accept(pdu)
            if event is not None:
                return event

    def _accept(self, pdu: Pdu) -> Event | None:
        following = _TRANSITIONS.get(self.state, {}).get(type(pdu))
        if following is None:
            raise WireError("a PDU that is not expected in this state")
        self.state = following
        if isinstance(pdu, PDataTF):
            self._values.extend(pdu.values)
            return None
        if isinstance(pdu, AssociateAC):
            self._settle(pdu.contexts, pdu.user)
        elif isinstance(pdu, AssociateRQ):
            self._proposed = frozenset(context.id for context in pdu.contexts)
            self._peer_max_length = pdu.user.maximum_length
        return pdu

    def _settle(self, contexts: tuple[ContextResult, ...], user: UserInformation) -> None:
        if not self._proposed.issuperset(context.id for context in contexts):
            raise WireError("an answer names a context that was not proposed")
        self.contexts = {context.id: context for context in contexts if context.accepted}
        self._peer_max_length = user.maximum_length

    def _join(self, value: PDV) -> Message | None:
        """Add one fragment; the message when it was the last one."""
        if value.context_id not in self.contexts:
            raise WireError("data on a context that was not accepted")
        if value.is_command != (self._command is None):
            raise WireError("command and data set fragments are mixed")
        if self._held and value.context_id != self._context_id:
            raise WireError("fragments of one message on two contexts")
        self._context_id = value.context_id
        self._fragments.append(value.data)
        self._held += len(value.data) + 1
        if self._held > (MAX_COMMAND_LENGTH if value.is_command else MAX_IDENTIFIER_LENGTH):
            raise WireError("a message is longer than its limit", limit=True)
        return self._finish(value.is_command) if value.is_last else None

    def _finish(self, is_command: bool) -> Message | None:
        whole = b"".join(self._fragments)
        self._fragments.clear()
        self._held = 0
        if is_command:
            command = Command.decode(whole)
            if command.has_data_set:
                self._command = command
                return None
            return Message(context_id=self._context_id, command=command)
        waiting, self._command = self._command, None
        assert waiting is not None  # _join lets data sets through only behind their command
        return Message(context_id=self._context_id, command=waiting, identifier=whole)

    def is_explicit(self, context_id: int) -> bool:
        """Whether the identifiers of an accepted context are in explicit VR."""
        return self.contexts[context_id].transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN

    def request(self, request: AssociateRQ) -> bytes:
        """Requestor: the A-ASSOCIATE-RQ."""
        self.expect(State.IDLE)
        self._proposed = frozenset(context.id for context in request.contexts)
        self.state = State.AWAITING_ANSWER
        return request.encode()

    def sent_request(self, proposed: frozenset[int]) -> None:
        """Requestor: an A-ASSOCIATE-RQ with these contexts was written elsewhere (the wide stage has it prebuilt)."""
        self.expect(State.IDLE)
        self._proposed = proposed
        self.state = State.AWAITING_ANSWER

    def accept(self, answer: AssociateAC) -> bytes:
        """Acceptor: the A-ASSOCIATE-AC."""
        self.expect(State.DECIDING)
        self.contexts = {context.id: context for context in answer.contexts if context.accepted}
        self.state = State.ESTABLISHED
        return answer.encode()

    def reject(self, answer: AssociateRJ) -> bytes:
        """Acceptor: the A-ASSOCIATE-RJ."""
        self.expect(State.DECIDING)
        self.state = State.CLOSED
        return answer.encode()

    def send_message(self, context_id: int, command: Command, identifier: bytes = b"") -> bytes:
        """A message as PDUs that keep the peer's maximum length (PS3.8 D.1)."""
        return self.send_messages(context_id, command, (identifier,))

    def send_messages(self, context_id: int, command: Command, identifiers: Iterable[bytes]) -> bytes:
        """Messages that differ in their identifiers only, such as the pending answers to one C-FIND."""
        if self.state not in (State.ESTABLISHED, State.RELEASING):
            raise WireError("no association is established")
        head = b"".join(self._fragment(context_id, command.encode(), is_command=True))
        if not command.has_data_set:
            return b"".join(head for _ in identifiers)
        parts: list[bytes] = []
        for identifier in identifiers:
            parts.append(head)
            parts += self._fragment(context_id, identifier, is_command=False)
        return b"".join(parts)

    def _fragment(self, context_id: int, data: bytes, *, is_command: bool) -> list[bytes]:
        room = max(MIN_FRAGMENT, (self._peer_max_length or MAX_LENGTH) - 6)
        if len(data) <= room:
            return [p_data_of_one(context_id, data, is_command=is_command, is_last=True)]
        places = range(0, len(data), room)
        return [
            p_data_of_one(context_id, data[place : place + room], is_command=is_command, is_last=place == places[-1])
            for place in places
        ]

    def release(self) -> bytes:
        """A-RELEASE-RQ."""
        self.expect(State.ESTABLISHED)
        self.state = State.RELEASING
        return ReleaseRQ().encode()

    def release_reply(self) -> bytes:
        """A-RELEASE-RP."""
        self.expect(State.RELEASE_ASKED)
        self.state = State.CLOSED
        return ReleaseRP().encode()

    def abort(self) -> bytes:
        """A-ABORT by the service user."""
        self.state = State.CLOSED
        return Abort().encode()

    def expect(self, state: State) -> None:
        """Raises WireError unless the association is in `state`."""
        if self.state is not state:
            raise WireError(f"the association is {self.state.name.lower()}, not {state.name.lower()}")
