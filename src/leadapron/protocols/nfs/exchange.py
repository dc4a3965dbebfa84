"""Calls over the connections of a job: each answered by its transaction id, several on their way at once.

The methods that wait are parts of a conversation: generators that yield the bytes to send and are resumed with those that
came.
"""

from __future__ import annotations

from collections.abc import Sequence

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import OnSide, Question, SideLost, Steps
from leadapron.protocols.nfs.wire.rpc import Call, Outcome, Records, Reply, read_reply

WINDOW = 32
"""Calls on their way at once."""
_MAX_STRAYS = 32
"""Replies to nothing that we asked, over the life of a connection."""
_FIRST_XID = 0x4C41_0001


class Channel:
    """One connection to a peer that speaks ONC RPC: the first one of a job, or the one beside it."""

    def __init__(self, *, beside: bool = False) -> None:
        self._kind: type[Question] | type[OnSide] = OnSide if beside else Question
        self._is_beside = beside
        self._records = Records()
        self._xid = _FIRST_XID
        self._strays = 0
        self.has_heard = False
        """a record came that is a reply"""
        self.is_broken = False
        """what came is no ONC RPC: nothing that comes behind it can be read"""

    @property
    def is_beside(self) -> bool:
        return self._is_beside

    def ask(self, call: Call) -> Steps[Reply]:
        """Raises WireError, Lost, SideLost."""
        (reply,) = yield from self.ask_all([call])
        return reply

    def ask_all(self, calls: Sequence[Call]) -> Steps[Sequence[Reply]]:
        """The replies, in the order of the calls; at most `WINDOW` are on their way at once. Raises as `ask`."""
        replies: list[Reply] = []
        for start in range(0, len(calls), WINDOW):
            replies += yield from self._ask_window(calls[start : start + WINDOW])
        return replies

    def _ask_window(self, calls: Sequence[Call]) -> Steps[Sequence[Reply]]:
        if self.is_broken:
            raise WireError("a connection on which nothing can be read any more")
        xids = [self._next_xid() for _ in calls]
        waiting, got = set(xids), dict[int, Reply]()
        sending: bytes = self._kind(b"".join(call.encode(xid) for call, xid in zip(calls, xids, strict=True)))
        try:
            while waiting:
                while (reply := self._next_reply(waiting)) is not None:
                    waiting.discard(reply.xid)
                    got[reply.xid] = reply
                if waiting:
                    data = yield sending
                    sending = OnSide() if self._is_beside else b""
                    self._receive(data)
        except WireError:
            self.is_broken = True
            raise
        return [got[xid] for xid in xids]

    def _receive(self, data: bytes) -> None:
        if not data and self._is_beside:
            raise SideLost(Reason.RESET if self._records.is_empty else Reason.TRUNCATED)
        self._records.receive_data(data)

    def _next_reply(self, waiting: set[int]) -> Reply | None:
        """The next reply to something that waits; others are passed over. Raises WireError."""
        while (record := self._records.next_record()) is not None:
            reply = read_reply(record)
            self.has_heard = True
            if reply.xid in waiting:
                return reply
            self._strays += 1
            if self._strays > _MAX_STRAYS:
                raise WireError("too many replies to nothing that was asked", limit=True)
        return None

    def _next_xid(self) -> int:
        self._xid = self._xid + 1 & 0xFFFF_FFFF
        return self._xid


def reason_of(outcome: Outcome) -> Reason:
    """Why a call that is no success failed."""
    return Reason.AUTH if outcome is Outcome.AUTH else Reason.PROTOCOL


def why_of(error: WireError) -> Reason:
    return Reason.LIMIT if error.limit else Reason.PROTOCOL
