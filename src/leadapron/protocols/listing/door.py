"""Directory listings as a door over HTTP: where they are, what lies behind them, what their answers mean.

The verdict table is in `docs/listing.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from leadapron.model import Access, Attempt, Completed, Depth, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import Attempts
from leadapron.protocols.base import Case, Identify, Page
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.http.exchange import Client
from leadapron.protocols.http.web import FORBIDDEN, Front, WebDoor, look_of, look_within, reached
from leadapron.protocols.listing.folders import ROOT, folders
from leadapron.protocols.listing.formats import format_of
from leadapron.protocols.listing.looking import Listings, Looking, Place
from leadapron.protocols.listing.tree import ListingTree
from leadapron.protocols.listing.walking import Walking, walking

NAME = "listing"
LOOK, TREE = look_of(NAME), f"{NAME}.tree"
FORMAT = f"{NAME}.format"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingWalk(Walking):
    def tree(self, client: Client) -> ListingTree:
        return ListingTree(client, self.endpoint, self.root.encode())


class ListingDoor(WebDoor):
    name = NAME
    rank = 4
    results: ClassVar[Mapping[str, type[Any]]] = {"listings": Listings, "found": Found}

    def look(self, page: Page) -> Mapping[str, int | bool]:
        known = format_of(page.body) if page.status == 200 else None
        return {} if known is None else {FORMAT: int(known)}

    def has_to_look(self, front: Front) -> bool:
        """What is below a front page that is a listing is in its tree. A server that wants a name and a password for the
        front page wants them for the rest; one that forbids it does not list it, which says nothing about its other
        folders."""
        return FORMAT not in front.seen and (not front.is_locked or front.status == FORBIDDEN)

    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        if LOOK not in attempts and self.has_to_look(front):
            return _look(case, attempts)
        for resource in _formats(attempts, front):
            if f"{TREE}:{resource}" not in attempts:
                return walking(ListingWalk, f"{TREE}:{resource}", case, resource)
        return None

    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:
        return [
            _observe(case, attempts.get(f"{TREE}:{resource}"), resource, known, front)
            for resource, known in _formats(attempts, front).items()
        ]


def _look(case: Case, attempts: Attempts) -> Looking | None:
    return look_within(Looking, NAME, case, attempts, most=len(folders()), limits=Limits(max_received=8 << 20))


def _formats(attempts: Attempts, front: Front) -> Mapping[str, int]:
    """The format of each folder that is known to be listed."""
    if FORMAT in front.seen:
        return {ROOT: front.seen[FORMAT]}
    looked = attempts.get(LOOK)
    if not isinstance(looked, Completed):
        return {}
    places: tuple[Place, ...] = looked.result.places
    return {place.resource: int(place.format) for place in places}


# -- what it means -----------------------------------------------------------------------------------------------------


def _observe(case: Case, walked: Attempt[Found] | None, resource: str, known: int, front: Front) -> Observation:
    facts = {FORMAT: known, "web.answers_anything": front.answers_anything}
    if isinstance(walked, Completed):
        service = Service(endpoint=case.endpoint, protocol=NAME, resource=resource)
        return observe(walked.result, service, case.terms, facts=facts, product=front.product)
    unknowns: tuple[Failed, ...] = ()
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN)
    if case.terms.depth >= Depth.COUNT:
        unknowns = (walked or Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
        access = replace(access, list=Verdict.UNKNOWN, read=Verdict.UNKNOWN)
    return reached(case, NAME, resource, access, product=front.product, facts=facts, unknowns=unknowns)


DOOR = ListingDoor()
