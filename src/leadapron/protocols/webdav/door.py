"""WebDAV as a door over HTTP: where it is spoken, what lies behind it, what its answers mean.

The verdict table is in `docs/webdav.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from leadapron.model import Access, Attempt, Completed, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import Attempts
from leadapron.protocols.base import Case, Identify, Page
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.http.exchange import Client
from leadapron.protocols.http.web import Front, WebDoor, look_of, look_within, reached
from leadapron.protocols.listing.walking import Walking, walking
from leadapron.protocols.webdav.looking import DavPlace, DavPlaces, Looking
from leadapron.protocols.webdav.places import Where, places
from leadapron.protocols.webdav.tree import DavTree

NAME = "webdav"
LOOK, TREE = look_of(NAME), f"{NAME}.tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class DavWalk(Walking):
    def tree(self, client: Client) -> DavTree:
        return DavTree(client, self.endpoint, self.root.encode())


class DavDoor(WebDoor):
    name = NAME
    rank = 3
    results: ClassVar[Mapping[str, type[Any]]] = {"dav_places": DavPlaces, "found": Found}

    def look(self, page: Page) -> Mapping[str, int | bool]:
        """Whether it names what some places are asked for by."""
        shown = page.body.lower()
        return {_told(where): True for where in places() if any(word in shown for word in where.front)}

    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        if LOOK not in attempts:
            return _look(case, attempts, front)
        for place in _places(attempts):
            name = f"{TREE}:{place.resource}"
            if place.walk and not place.is_locked and name not in attempts:
                return walking(DavWalk, name, case, place.resource)
        return None

    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:
        return [_observe(case, place, attempts.get(f"{TREE}:{place.resource}"), front) for place in _places(attempts)]


def _look(case: Case, attempts: Attempts, front: Front) -> Looking | None:
    wheres = tuple(where for where in places() if not where.front or front.seen.get(_told(where)))
    return look_within(
        Looking, NAME, case, attempts, most=case.terms.queries, limits=Limits(max_received=1 << 20), wheres=wheres
    )


def _told(where: Where) -> str:
    return f"{NAME}.front:{where.path}"


def _places(attempts: Attempts) -> Sequence[DavPlace]:
    looked = attempts.get(LOOK)
    found: DavPlaces | None = looked.result if isinstance(looked, Completed) else None
    return () if found is None else found.places


# -- what it means -----------------------------------------------------------------------------------------------------


def _observe(case: Case, place: DavPlace, walked: Attempt[Found] | None, front: Front) -> Observation:
    facts: dict[str, int | bool] = {"webdav.status": place.status, "webdav.writes": place.writes}
    if isinstance(walked, Completed):
        service = Service(endpoint=case.endpoint, protocol=NAME, resource=place.resource)
        seen = observe(walked.result, service, case.terms, facts=facts, product=front.product)
        return _with_write(seen, place)
    verdict, unknowns = _unwalked(place, walked)
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict)
    return reached(case, NAME, place.resource, access, product=front.product, facts=facts, unknowns=unknowns)


def _unwalked(place: DavPlace, walked: Failed | None) -> tuple[Verdict, tuple[Failed, ...]]:
    if place.is_locked:
        return Verdict.REFUSED, ()
    if not place.walk:
        return Verdict.NOT_ASKED, ()
    return Verdict.UNKNOWN, (walked or Failed(stage=Stage.LIST, reason=Reason.BUDGET),)


def _with_write(seen: Observation, place: DavPlace) -> Observation:
    """Writing is never tried. A server that lists to anyone and allows a method that writes offers it."""
    if not place.writes or seen.access.list is not Verdict.PROVEN:
        return seen
    return replace(seen, access=replace(seen.access, write=Verdict.OFFERED))


DOOR = DavDoor()
