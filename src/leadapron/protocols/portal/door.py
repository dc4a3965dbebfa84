"""Viewers and portals as a door over HTTP. The verdict table is in `docs/portal.md`, what is asked in `portals.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Count,
    Counts,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import Attempts
from leadapron.protocols.base import Case, Identify, Page
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicomweb.counting import WebCount
from leadapron.protocols.http.web import Front, WebDoor, look_of, look_within, reached, read_behind
from leadapron.protocols.portal.blank import BlankForm, Outcome, PortalBlank
from leadapron.protocols.portal.counting import ViewerCounting
from leadapron.protocols.portal.looking import Data, PortalLooking, PortalPage, PortalPages, Shows
from leadapron.protocols.portal.portals import portals

NAME = "portal"
LOOK, COUNT, BLANK = look_of(NAME), f"{NAME}.count", f"{NAME}.blank"
FRONT = f"{NAME}.front"
ROOT = "/"
LOOKS = 32
"""Requests of one look at most."""


class PortalDoor(WebDoor):
    name = NAME
    rank = 2
    results: ClassVar[Mapping[str, type[Any]]] = {"portal_pages": PortalPages, "portal_blank": PortalBlank}

    def look(self, page: Page) -> Mapping[str, int | bool]:
        """Whether the front page is one of ours: then it is asked for once more, to be read."""
        return {FRONT: True} if portals()[ROOT].mark.search(page.body) else {}

    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        found = attempts.get(LOOK)
        if found is None:
            return _look(case, attempts, front)
        if not isinstance(found, Completed):
            return None
        for page in found.result.pages:
            if _is_to_be_counted(page) and f"{COUNT}:{page.path}" not in attempts:
                return _count(case, page)
            if case.terms.blank_login and page.has_form and f"{BLANK}:{page.path}" not in attempts:
                return _blank(case, page)
        return None

    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:  # noqa: ARG002
        found = attempts.get(LOOK)
        if not isinstance(found, Completed):
            return ()
        return [_observe(case, attempts, page) for page in found.result.pages]


def _is_to_be_counted(page: PortalPage) -> bool:
    """The door of DICOMweb counts what it looks at itself."""
    return page.data is Data.STUDIES and not page.is_looked_at


def _look(case: Case, attempts: Attempts, front: Front) -> PortalLooking | None:
    paths = tuple(path for path in portals() if path != ROOT or front.seen.get(FRONT))
    return look_within(PortalLooking, NAME, case, attempts, most=LOOKS, paths=paths)


def _count(case: Case, page: PortalPage) -> ViewerCounting:
    terms = case.terms
    return ViewerCounting(
        name=f"{COUNT}:{page.path}",
        endpoint=case.endpoint,
        depth=Depth.COUNT,
        contact=terms.contact,
        requests=max(terms.queries, terms.answers // 100),
        limits=Limits(deadline=terms.seconds, idle_timeout=30.0, max_received=1 << 30),
        path=page.path,
        answers=terms.answers,
        today=terms.today,
        key=terms.key,
        own=Own.of(terms.own_roots, terms.own_issuers),
    )


def _blank(case: Case, page: PortalPage) -> BlankForm:
    return BlankForm(
        name=f"{BLANK}:{page.path}",
        endpoint=case.endpoint,
        contact=case.terms.contact,
        requests=4,
        limits=Limits(deadline=30.0, idle_timeout=15.0, max_received=8 << 20),
        path=page.path,
    )


# -- what it means -----------------------------------------------------------------------------------------------------


def _observe(case: Case, attempts: Attempts, page: PortalPage) -> Observation:
    counted, tried = (attempts.get(f"{kind}:{page.path}") for kind in (COUNT, BLANK))
    listed, unknowns = _listed(page, counted)
    facts: dict[str, int | bool] = {"web.status": page.status, "portal.login": page.shows is Shows.LOGIN}
    if portals()[page.path].config:
        facts |= {"portal.sources_here": page.sources_here, "portal.sources_elsewhere": page.sources_elsewhere}
    if isinstance(tried, Completed) and tried.result.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
        facts["blank_login_accepted"] = tried.result.outcome is Outcome.ACCEPTED
    unknowns += _not_tried(tried)
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=listed, read=read_behind(listed))
    return reached(
        case,
        NAME,
        page.path,
        access,
        counts=_counts(page, counted),
        facts=facts,
        product=Product(name=portals()[page.path].product, confidence="source"),
        unknowns=tuple(unknowns),
    )


def _not_tried(tried: Attempt[PortalBlank] | None) -> list[Failed]:
    """Why nothing is known of a blank login that was to be tried."""
    if isinstance(tried, Failed):
        return [tried]
    if tried is None or tried.result.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
        return []
    return [Failed(stage=Stage.TALK, reason=Reason.PROTOCOL, detail="whether the blank login was accepted")]


_SHOWN: Mapping[Shows, tuple[Verdict, Reason | None]] = {
    Shows.STUDIES: (Verdict.PROVEN, Reason.LIMIT),
    Shows.NO_STUDIES: (Verdict.UNKNOWN, Reason.EMPTY),
    Shows.LOGIN: (Verdict.REFUSED, None),
    Shows.PAGE: (Verdict.NOT_ASKED, None),
    Shows.CUT: (Verdict.UNKNOWN, Reason.TRUNCATED),
}
_DATA: Mapping[Data, tuple[Verdict, Reason | None]] = {
    Data.STUDIES: (Verdict.PROVEN, None),
    Data.EMPTY: (Verdict.UNKNOWN, Reason.EMPTY),
    Data.LOCKED: (Verdict.REFUSED, None),
    Data.OTHER: (Verdict.UNKNOWN, Reason.PROTOCOL),
}


def _listed(page: PortalPage, counted: Attempt[WebCount] | None) -> tuple[Verdict, list[Failed]]:
    verdict, reason = _DATA.get(page.data, _SHOWN[page.shows])
    if _is_to_be_counted(page):
        return verdict, _not_exact(counted)
    stage = Stage.COUNT if verdict is Verdict.PROVEN else Stage.LIST
    return verdict, [] if reason is None else [Failed(stage=stage, reason=reason)]


def _not_exact(counted: Attempt[WebCount] | None) -> list[Failed]:
    if counted is None:
        return [Failed(stage=Stage.COUNT, reason=Reason.BUDGET)]
    if isinstance(counted, Failed):
        return [Failed(stage=Stage.COUNT, reason=counted.reason, detail=counted.detail)]
    if counted.result.why is not None:
        return [Failed(stage=Stage.COUNT, reason=counted.result.why)]
    return []


def _counts(page: PortalPage, counted: Attempt[WebCount] | None) -> Counts:
    """Of a page that was read: at least its rows, since it may show the newest ones only."""
    if page.rows:
        return Counts(studies=Count.at_least(page.rows))
    if not isinstance(counted, Completed):
        return Counts()
    found = counted.result
    return Counts(studies=found.studies, series=found.series, images=found.images)


DOOR = PortalDoor()
