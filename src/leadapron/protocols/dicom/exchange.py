"""One association of ours: request it, ask, release. Pure conversation (see `leadapron.net.conversation`)."""

from __future__ import annotations

from collections.abc import Generator

from leadapron import settings
from leadapron.errors import WireError
from leadapron.model import Failed, Reason, Stage
from leadapron.net.conversation import LastWords, Lost
from leadapron.protocols.dicom.answers import Answers, End, Level, Tally
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, uids
from leadapron.protocols.dicom.wire.items import ProposedContext, UserInformation
from leadapron.protocols.dicom.wire.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRQ

MAX_DRAIN = 2_000
"""Answers that may still come after our C-CANCEL before we abort: what was on its way."""


class Over(Exception):  # noqa: N818 - control flow of conversations
    """The association ended before its questions: aborted or reset by the peer; by us for a limit or the budget."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class Exchange:
    """What is said over one association. `abstract_syntaxes` by presentation context identifier."""

    def __init__(self, abstract_syntaxes: dict[int, str]) -> None:
        self.abstract_syntaxes = abstract_syntaxes
        self.association = wire.Association()
        self.out = b""
        self.message_id = 0
        self.queries = 0
        self.running: Answers | None = None
        """the answers to the last query"""

    def associate(self, called_aet: str, calling_aet: str) -> Generator[bytes, bytes, Failed | None]:
        """None when it was accepted; which contexts were is in `association.contexts`."""
        contexts = tuple(
            ProposedContext(id=id_, abstract_syntax=uid, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,))
            for id_, uid in self.abstract_syntaxes.items()
        )
        self.out += self.association.request(
            AssociateRQ(called_aet=called_aet, calling_aet=calling_aet, contexts=contexts, user=our_user_information())
        )
        event = yield from self._event()
        if isinstance(event, AssociateRJ):
            return Failed(stage=Stage.HANDSHAKE, reason=Reason.REFUSED, detail="association rejected")
        if not isinstance(event, AssociateAC):
            raise Over(Reason.ABORTED)
        return None

    def release(self) -> Generator[bytes, bytes, None]:
        """Release, and do not mind how the peer takes it: every question has its answer."""
        if self.association.state is not wire.State.ESTABLISHED:
            return
        self.out += self.association.release()
        try:
            yield from self._event()
        except (Lost, WireError, Over):
            return

    def _event(self) -> Generator[bytes, bytes, wire.Event]:
        while (event := self.association.next_event()) is wire.NEED_DATA:
            sending, self.out = self.out, b""
            self.association.receive_data((yield sending))
        return event

    def echo(self, context_id: int) -> Generator[bytes, bytes, int]:
        """One C-ECHO. Returns its status."""
        request = dimse.echo_request(self._next_id(), uids.VERIFICATION)
        self.out += self.association.send_message(context_id, request)
        event = yield from self._event()
        if not isinstance(event, wire.Message):
            raise Over(Reason.ABORTED if isinstance(event, Abort) else Reason.RESET)
        answer = event.command
        if answer.field != dimse.CommandField.C_ECHO_RSP or answer.message_id != request.message_id:
            raise WireError("a message that does not answer our C-ECHO")
        assert answer.status is not None
        return answer.status

    def _next_id(self) -> int:
        self.message_id += 1
        return self.message_id

    def find(
        self, context_id: int, identifier: bytes, level: Level, into: Tally, *, most: int, keep: bool = False
    ) -> Generator[bytes, bytes, Answers]:
        """One C-FIND, cancelled once `into` holds `most` answers or goes round in circles.

        Returns its answers once a final status came; raises Over when that is not to be had.
        """
        self.queries += 1
        message_id = self._next_id()
        request = dimse.find_request(message_id, self.abstract_syntaxes[context_id])
        self.out += self.association.send_message(context_id, request, identifier)
        found = self.running = Answers(
            context_id=context_id,
            message_id=message_id,
            level=level,
            explicit=self.association.is_explicit(context_id),
            tally=into,
            keep=keep,
        )
        found.receive(self.association.take_buffer())
        cancelled_at = -1
        while found.end is None:
            if cancelled_at < 0 and (found.tally.answers >= most or found.tally.looping):
                self.out += self.association.send_message(context_id, dimse.cancel_request(message_id))
                cancelled_at = found.answers
            elif cancelled_at >= 0 and found.answers > cancelled_at + MAX_DRAIN:
                self.out += self.association.abort()
                yield from self._farewell()
                raise Over(Reason.LIMIT if found.tally.looping else Reason.BUDGET)
            sending, self.out = self.out, b""
            found.receive((yield sending))
        self.association.receive_data(found.rest)
        if found.end is End.FOREIGN:
            event = yield from self._event()
            raise Over(Reason.RESET if isinstance(event, ReleaseRQ) else Reason.ABORTED)
        return found

    def _farewell(self) -> Generator[bytes, bytes, None]:
        """Let the abort go out; what the peer says to it does not matter."""
        sending, self.out = self.out, b""
        try:
            yield LastWords(sending)
        except Lost:
            return


def our_user_information() -> UserInformation:
    """Who we say we are, on every association."""
    return UserInformation(
        maximum_length=wire.MAX_LENGTH,
        implementation_class_uid=settings.IMPLEMENTATION_CLASS_UID,
        implementation_version_name=settings.IMPLEMENTATION_VERSION_NAME.encode(),
    )
