"""Counting what a viewer shows, at the root from which it takes its data.

The root is a peer's text, so that it is no part of a stored attempt: it is looked up again, in the same conversation.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from leadapron.model import Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicomweb.counting import Api, Counting, WebCount
from leadapron.protocols.http.exchange import Client, NoAnswer
from leadapron.protocols.http.web import WebJob
from leadapron.protocols.portal.looking import Data, best_source
from leadapron.protocols.portal.portals import portals
from leadapron.protocols.portal.sources import MAX_CONFIG, sources

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerCounting(WebJob):
    """The job: of the viewer at `path`, one of our table. `answers` is its budget."""

    path: str
    answers: int
    today: dt.date
    key: bytes = field(default=b"", repr=False)
    own: Own = field(default_factory=Own)

    def converse(self) -> Conversation[WebCount]:
        client = self.client()
        try:
            root = yield from self._root(client)
        except (Lost, NoAnswer) as ended:
            return Failed(stage=Stage.LIST, reason=ended.reason)
        if root is None:
            return Failed(stage=Stage.LIST, reason=Reason.PROTOCOL, detail="the source of data is not there any more")
        counting = _Through(
            name=self.name,
            endpoint=self.endpoint,
            api=Api.QIDO,
            base=root,
            answers=self.answers,
            today=self.today,
            key=self.key,
            own=self.own,
            through=client,
        )
        return (yield from counting.converse())

    def _root(self, client: Client) -> Steps[str | None]:
        """Raises NoAnswer, Lost."""
        portal = portals()[self.path]
        config = yield from client.get(f"{portal.folder}{portal.config}".encode(), max_body=MAX_CONFIG)
        found = sources(config.body if config.status == _OK else b"", portal.folder, self.endpoint)
        data, root = yield from best_source(client, found)
        return root if data is Data.STUDIES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Through(Counting):
    """In a conversation that goes on."""

    through: Client

    def client(self) -> Client:
        return self.through
