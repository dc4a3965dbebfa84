"""Looking for WebDAV: one OPTIONS for each place, whose answer says whether it is spoken there (RFC 4918 section 10.1)."""

from __future__ import annotations

from dataclasses import dataclass

from leadapron.model import Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.http.exchange import Client, NoAnswer
from leadapron.protocols.http.web import LOCKED, WebJob
from leadapron.protocols.webdav.places import Where

WRITING = frozenset({b"put", b"delete", b"mkcol", b"move"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DavPlace:
    """Where it is spoken. `status` is that of the answer to OPTIONS."""

    resource: str
    status: int
    walk: bool = True
    writes: bool = False
    """Allow names a method that changes something (RFC 9110 section 10.2.1): of a folder it is seldom PUT, which is for
    what lies in it, but DELETE or MKCOL"""

    @property
    def is_locked(self) -> bool:
        return self.status in LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class DavPlaces:
    """What was found. `why`: not every place was asked for."""

    places: tuple[DavPlace, ...] = ()
    requests: int = 0
    why: Failed | None = None
    ended: Failed | None = None
    """we ended it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(WebJob):
    """The job: one OPTIONS for each of `wheres`."""

    wheres: tuple[Where, ...]

    def converse(self) -> Conversation[DavPlaces]:
        client, found = self.client(), list[DavPlace]()
        reason: Reason | None = None
        try:
            for where in self.wheres:
                found += yield from _look_at(client, where)
                if found and where.path == "/":
                    break
        except Lost as lost:
            reason = lost.reason
        except NoAnswer as none:
            reason = none.reason
        return Completed(result=_result(found, client.requests, reason))


def _look_at(client: Client, where: Where) -> Steps[list[DavPlace]]:
    """Raises NoAnswer, Lost."""
    answer = yield from client.ask(b"OPTIONS", where.path.encode(), max_body=1 << 12)
    is_answered = 200 <= answer.status < 300 or answer.status in LOCKED
    if not is_answered or not answer.head.tokens(b"dav"):
        return []
    writes = not WRITING.isdisjoint(answer.head.tokens(b"allow"))
    return [DavPlace(resource=where.path, status=answer.status, walk=where.walk, writes=writes)]


def _result(found: list[DavPlace], requests: int, reason: Reason | None) -> DavPlaces:
    why = None if reason is None else Failed(stage=Stage.LIST, reason=reason)
    return DavPlaces(places=tuple(found), requests=requests, why=why, ended=ended_by_us(Stage.LIST, reason))
