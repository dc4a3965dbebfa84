"""The job that looks at the pages of portals, as who has no login sees them. A page is counted and forgotten here."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from leadapron.model import Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.dicomweb.counting import JSON
from leadapron.protocols.dicomweb.documents import is_dicom_json
from leadapron.protocols.http.exchange import Answer, Client, NoAnswer
from leadapron.protocols.http.front import REDIRECTS, where_it_leads
from leadapron.protocols.http.web import LOCKED, Leads, WebJob
from leadapron.protocols.portal.portals import Portal, portals
from leadapron.protocols.portal.sources import MAX_CONFIG, Sources, is_looked_at, sources

MAX_HOPS = 2
"""Redirects on the same server that are followed for one page."""
MAX_PAGE = 1 << 20
"""Bytes of a page."""
MAX_BEHIND = 4
"""Pages behind redirects that are held while a server is looked at."""

Behind = dict[bytes, Answer]

_OK, _NO_CONTENT = 200, 204


class Shows(enum.StrEnum):
    """What the page of a portal is to who has no login."""

    STUDIES = "studies"
    NO_STUDIES = "no_studies"
    """it says that its list is empty"""
    LOGIN = "login"
    """it asks for a name and a password, or sends to where that is asked"""
    PAGE = "page"
    """it is there, without a login and without studies"""
    CUT = "cut"
    """it is longer than what was read, and there was no study in that"""


class Data(enum.StrEnum):
    """What the data of a viewer are, where they lie on the same server: of the best of its sources."""

    NONE = "none"
    OTHER = "other"
    LOCKED = "locked"
    EMPTY = "empty"
    STUDIES = "studies"


_BEST = tuple(Data)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPage:
    """`path` is that of our table. `rows`: studies that were seen on it. `is_looked_at`: by the door of DICOMweb, which
    counts what is there."""

    path: str
    shows: Shows
    status: int
    rows: int = 0
    has_form: bool = False
    sources_here: int = 0
    sources_elsewhere: int = 0
    data: Data = Data.NONE
    is_looked_at: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalPages:
    pages: tuple[PortalPage, ...] = ()
    requests: int = 0
    why: Failed | None = None
    """not every page was asked for"""
    ended: Failed | None = None
    """we ended it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLooking(WebJob):
    """The job: of the pages at `paths`, some of our table."""

    paths: tuple[str, ...]

    def converse(self) -> Conversation[PortalPages]:
        client = self.client()
        pages: list[PortalPage] = []
        reason: Reason | None = None
        behind: Behind = {}
        for path in self.paths:
            try:
                page = yield from self._look(client, portals()[path], behind)
            except Lost as lost:
                reason = lost.reason
                break
            except NoAnswer as none:
                reason = reason or none.reason
                continue
            if page is not None:
                pages.append(page)
        why = None if reason is None else Failed(stage=Stage.LIST, reason=reason)
        found = PortalPages(
            pages=tuple(pages), requests=client.requests, why=why, ended=ended_by_us(Stage.LIST, reason)
        )
        return Completed(result=found)

    def _look(self, client: Client, portal: Portal, behind: Behind) -> Steps[PortalPage | None]:
        """Raises NoAnswer, Lost."""
        answer = yield from page_of(client, portal, self, behind)
        page = read(portal, answer)
        if page is None or not portal.config or page.shows is Shows.LOGIN:
            return page
        config = yield from client.get(f"{portal.folder}{portal.config}".encode(), max_body=MAX_CONFIG)
        found = sources(config.body if config.status == _OK else b"", portal.folder, self.endpoint)
        data, root = yield from best_source(client, found)
        return PortalPage(
            path=page.path,
            shows=page.shows,
            status=page.status,
            sources_here=len(found.here),
            sources_elsewhere=found.elsewhere,
            data=data,
            is_looked_at=root is not None and is_looked_at(root),
        )


def page_of(client: Client, portal: Portal, job: WebJob, behind: Behind | None = None) -> Steps[Answer]:
    """The page, behind redirects on the same server. Raises NoAnswer, Lost.

    `behind`: what redirects led to before, which is not asked for again: many servers send who asks for anything to one
    page.
    """
    behind = {} if behind is None else behind
    target = portal.path.encode()
    for hop in range(MAX_HOPS + 1):
        answer = behind.get(target) or (yield from client.get(target, max_body=MAX_PAGE))
        if hop and len(behind) < MAX_BEHIND:
            behind[target] = answer
        if answer.status not in REDIRECTS or hop == MAX_HOPS:
            return answer
        leads, following = where_it_leads(answer.head.field(b"location"), job.endpoint)
        if leads is not Leads.HERE or not following or _signs_on(portal, answer):
            return answer
        target = following
    raise AssertionError("every hop returns or goes on")


def _signs_on(portal: Portal, answer: Answer) -> bool:
    return portal.sign_on is not None and portal.sign_on.search(answer.head.field(b"location")) is not None


def read(portal: Portal, answer: Answer) -> PortalPage | None:
    """What an answer shows; None where it is not this product's."""
    status = answer.status
    if status in REDIRECTS:
        return PortalPage(path=portal.path, shows=Shows.LOGIN, status=status) if _signs_on(portal, answer) else None
    if not (status == _OK or status in LOCKED) or portal.mark.search(answer.body) is None:
        return None
    is_login = status in LOCKED or (portal.login is not None and portal.login.search(answer.body) is not None)
    if is_login:
        has_form = portal.form is not None and portal.form.is_on(answer.body)
        return PortalPage(path=portal.path, shows=Shows.LOGIN, status=status, has_form=has_form)
    rows = 0 if portal.rows is None else sum(1 for _ in portal.rows.finditer(answer.body))
    return PortalPage(path=portal.path, shows=_shows(portal, answer, rows), status=status, rows=rows)


def _shows(portal: Portal, answer: Answer, rows: int) -> Shows:
    if rows:
        return Shows.STUDIES
    if answer.why is not None:
        return Shows.CUT
    is_empty = portal.empty is not None and portal.empty.search(answer.body) is not None
    return Shows.NO_STUDIES if is_empty else Shows.PAGE


def best_source(client: Client, found: Sources) -> Steps[tuple[Data, str | None]]:
    """The source that shows most, each asked for one study. Raises NoAnswer, Lost."""
    best, where = Data.NONE, None
    for root in found.here:
        answer = yield from client.get(f"{root}/studies?limit=1".encode(), JSON, max_body=MAX_PAGE)
        data = _data(answer)
        if _BEST.index(data) > _BEST.index(best):
            best, where = data, root
        if best is Data.STUDIES:
            break
    return best, where


def _data(answer: Answer) -> Data:
    if answer.status in LOCKED:
        return Data.LOCKED
    if answer.status == _NO_CONTENT:
        return Data.EMPTY
    if answer.status != _OK or answer.why is not None or not is_dicom_json(answer.body):
        return Data.OTHER
    return Data.EMPTY if answer.body.strip().replace(b" ", b"") == b"[]" else Data.STUDIES
