"""Our side of one association: requests go out, events come in, and each query is held to its budget.

Every method that waits is a generator which yields the bytes to send and is resumed with the bytes that came.
"""

from __future__ import annotations

from collections.abc import Callable

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import LastWords, Lost, Question, Steps
from leadapron.protocols.dicom.answers import Answers, End
from leadapron.protocols.dicom.found import Reply
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse
from leadapron.protocols.dicom.wire.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRQ

MAX_DRAIN = 2_000
"""Answers that may still come after our C-CANCEL before we abort: what was on its way."""


class Over(Exception):  # noqa: N818 - control flow of an inquiry
    """The association ended before the questions did: reason aborted, reset, budget or limit."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Exchange:
    """One association, and what was asked in it. `queries` and `answers` are its budget."""

    def __init__(self, *, queries: int, answers: int) -> None:
        self.max_queries, self.max_answers = queries, answers
        self.queries = 0
        """C-FIND requests sent"""
        self.answers = 0
        """pending answers, to all queries"""
        self._association = wire.Association()
        self._out = b""
        self._message_id = 0

    def associate(self, request: AssociateRQ) -> Steps[AssociateAC | AssociateRJ]:
        """Whether the association was accepted or rejected."""
        self._out += self._association.request(request)
        event = yield from self._event()
        if not isinstance(event, AssociateAC | AssociateRJ):
            raise Over(Reason.ABORTED)
        return event

    def has(self, context_id: int) -> bool:
        """Whether the presentation context was accepted."""
        return context_id in self._association.contexts

    def may_ask(self) -> bool:
        """Whether the budget allows one more query."""
        return self.queries < self.max_queries and self.answers < self.max_answers

    def echo(self, context_id: int, sop_class: str) -> Steps[int]:
        """The status of a C-ECHO."""
        request = dimse.echo_request(self._next_id(), sop_class)
        self._out += self._association.send_message(context_id, request)
        event = yield from self._event()
        if not isinstance(event, wire.Message):
            raise Over(Reason.ABORTED if isinstance(event, Abort) else Reason.RESET)
        answer = event.command
        if answer.field != dimse.CommandField.C_ECHO_RSP or answer.message_id != request.message_id:
            raise WireError("a message that does not answer our C-ECHO")
        assert answer.status is not None
        return answer.status

    def find(
        self, context_id: int, sop_class: str, identifier: bytes, read: Callable[..., Answers], *, enough: int = 0
    ) -> Steps[Reply]:
        """One C-FIND, whose answers an object of `read` takes. `enough` > 0: cancelled behind so many answers.

        Returns once a final status came; raises Over when the peer ends the association instead.
        """
        self._expect_silence()
        self.queries += 1
        message_id = self._next_id()
        request = dimse.find_request(message_id, sop_class)
        self._out += self._association.send_message(context_id, request, identifier)
        found = read(context_id=context_id, message_id=message_id, explicit=self._association.is_explicit(context_id))
        most = min(self.max_answers, self.answers + enough) if enough else self.max_answers
        cut = yield from self._drain(found, context_id, message_id, most)
        self._association.receive_data(found.rest)
        if found.end is End.FOREIGN:
            event = yield from self._event()
            raise Over(Reason.RESET if isinstance(event, ReleaseRQ) else Reason.ABORTED)
        return Reply(status=found.status, answers=found.answers, cut=cut)

    def _expect_silence(self) -> None:
        """Raises where the peer said something before it was asked: that is no answer to what we ask now."""
        event = self._association.next_event()
        if isinstance(event, Abort | ReleaseRQ):
            raise Over(Reason.RESET)
        if event is not wire.NEED_DATA or self._association.take_buffer():
            raise WireError("an answer before its question")

    def _drain(self, found: Answers, context_id: int, message_id: int, most: int) -> Steps[Reason | None]:
        """Take answers to their end; cancel those past `most` of the association, abort who does not mind that.

        Returns why the query was cancelled, None where it was not.
        """
        cut: Reason | None = None
        cancelled_at, before = 0, self.answers
        while found.end is None:
            if cut is None and (cut := self._excess(found, most)) is not None:
                self._out += self._association.send_message(context_id, dimse.cancel_request(message_id))
                cancelled_at = found.answers
            elif cut is not None and found.answers > cancelled_at + MAX_DRAIN:
                yield from self.abort()
                raise Over(cut)
            sending: bytes = Question(self._out) if self._out and cut is None else self._out
            self._out = b""
            try:
                found.receive((yield sending))
            finally:
                self.answers = before + found.answers
        return cut or self._excess(found, self.max_answers + 1)  # it ended in the read that would have shown it

    def _excess(self, found: Answers, enough: int) -> Reason | None:
        """Why a query has had answers enough."""
        if found.tally.looping:
            return Reason.LIMIT
        return Reason.BUDGET if self.answers >= enough else None

    def abort(self) -> Steps[None]:
        """A-ABORT; what the peer says to it does not matter."""
        sending = self._out + self._association.abort()
        self._out = b""
        try:
            yield LastWords(sending)
        except Lost:
            return

    def release(self) -> Steps[None]:
        """Release, and do not mind how the peer takes it: every question has its answer."""
        if self._association.state is not wire.State.ESTABLISHED:
            return
        self._out += self._association.release()
        try:
            yield from self._event()
        except (Lost, WireError):
            return

    def _event(self) -> Steps[wire.Event]:
        while (event := self._association.next_event()) is wire.NEED_DATA:
            sending, self._out = self._out, b""
            self._association.receive_data((yield sending))
        return event

    def _next_id(self) -> int:
        self._message_id += 1
        return self._message_id
