"""Looking for listed folders below a front page that is none: one request for each of a few well-known folders."""

from __future__ import annotations

from dataclasses import dataclass

from leadapron.errors import WireError
from leadapron.model import Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.http.exchange import Client, NoAnswer
from leadapron.protocols.http.web import WebJob
from leadapron.protocols.listing.folders import folders
from leadapron.protocols.listing.formats import Format
from leadapron.protocols.listing.page import Listing
from leadapron.protocols.listing.remote import hosts_of

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder that is listed. `resource` is our own path, one of `folders.toml`."""

    resource: str
    format: Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Listings:
    """What was found. `why`: not every folder was asked for."""

    places: tuple[Place, ...] = ()
    requests: int = 0
    why: Failed | None = None
    ended: Failed | None = None
    """we ended it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(WebJob):
    """The job. No redirect is followed."""

    def converse(self) -> Conversation[Listings]:
        client, places = self.client(), list[Place]()
        reason: Reason | None = None
        try:
            for path in folders():
                known = yield from self._look_at(client, path)
                if known is not None:
                    places.append(Place(resource=path, format=known))
        except Lost as lost:
            reason = lost.reason
        except NoAnswer as none:
            reason = none.reason
        return Completed(result=_result(places, client.requests, reason))

    def _look_at(self, client: Client, path: str) -> Steps[Format | None]:
        """Reads no more of the page than says what it is. Raises NoAnswer, Lost."""
        listing = Listing(path.encode(), hosts_of(self.endpoint))

        def add(data: bytes) -> bool:
            try:
                listing.feed(data)
            except WireError:
                return False
            return listing.format is None

        answer = yield from client.ask(b"GET", path.encode(), take=add)
        listing.finish()
        return listing.format if answer.status == _OK else None


def _result(places: list[Place], requests: int, reason: Reason | None) -> Listings:
    why = None if reason is None else Failed(stage=Stage.LIST, reason=reason)
    return Listings(places=tuple(places), requests=requests, why=why, ended=ended_by_us(Stage.LIST, reason))
