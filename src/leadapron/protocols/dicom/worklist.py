"""The count of a Modality Worklist: its entries have no unique key (PS3.4 Table K.6-1), so answers are counted."""

from __future__ import annotations

from functools import partial

from leadapron.model import Count, Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.dicom import answers, identifiers, tally
from leadapron.protocols.dicom.answers import Answers, Tally
from leadapron.protocols.dicom.exchange import Exchange
from leadapron.protocols.dicom.found import Answer, Found, Reply, without_answers, without_end
from leadapron.protocols.dicom.wire import uids

_ANY_DATE = b"19000101-"


class Worklist:
    """One count."""

    def __init__(self, exchange: Exchange, context_id: int) -> None:
        self._exchange, self._context_id = exchange, context_id
        self._tally = Tally()

    def interrupted(self, reason: Reason) -> Found:
        """What was learned when the association ended in the middle."""
        seen = self._tally.answers
        return without_end(seen, reason, worklist=Count.at_least(seen) if seen else None)

    def run(self) -> Steps[Found]:
        """The count. Raises what ends the association early."""
        if not self._exchange.may_ask():
            return Found(answer=Answer.UNKNOWN, why=Reason.BUDGET)
        reply = yield from self._find(identifiers.worklist())
        why = reply.why_not_exact
        if reply.is_whole and not reply.answers and self._exchange.may_ask():
            reply = yield from self._find(identifiers.worklist(_ANY_DATE))
            why = Reason.EMPTY
        if not reply.answers:
            return without_answers(reply.status)
        return Found(
            answer=Answer.PROVEN,
            why=why,
            status=reply.status,
            most_answers=reply.answers,
            capped=reply.is_capped,
            worklist=tally.enumerated(reply.answers, whole=why is None),
        )

    def _find(self, identifier: bytes) -> Steps[Reply]:
        reply: Reply = yield from self._exchange.find(
            self._context_id,
            uids.MODALITY_WORKLIST_FIND,
            identifier,
            partial(Answers, level=answers.WORKLIST, tally=self._tally),
        )
        return reply
