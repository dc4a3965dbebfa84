"""The blank login on a form: every field empty, once, only where the grant says so, only where the form is known by source.

Success is told by positive signs alone: a redirect to where the product sends who has logged in, and a cookie of a session.
The session ends there; nothing is asked in it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from urllib.parse import quote

from leadapron.model import Completed, Failed, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.http.exchange import Answer, NoAnswer
from leadapron.protocols.http.front import where_it_leads
from leadapron.protocols.http.web import LOCKED, Leads, WebJob
from leadapron.protocols.portal.looking import page_of
from leadapron.protocols.portal.portals import Form, Portal, portals

_REDIRECTS = frozenset({302, 303})
"""Those with which a browser asks with GET for what it is sent to."""
_FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
_COOKIE = re.compile(rb"([!#-+.-:<-\[\]-~][!#-+\--:<-\[\]-~]{0,63})=([!#-+\--:<-\[\]-~]{1,512})")
"""RFC 6265 section 4.1.1, its name and value."""
_MAX_ANSWER = 64 << 10


class Outcome(enum.StrEnum):
    NOT_SENT = "not_sent"
    """the form was not there any more"""
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalBlank:
    outcome: Outcome
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankForm(WebJob):
    """The job: at the portal at `path`, one of our table that has a form."""

    path: str

    def converse(self) -> Conversation[PortalBlank]:
        try:
            return Completed(result=(yield from self._try()))
        except (Lost, NoAnswer) as ended:
            return Failed(stage=Stage.TALK, reason=ended.reason)

    def _try(self) -> Steps[PortalBlank]:
        """Raises NoAnswer, Lost."""
        portal = portals()[self.path]
        form = portal.form
        assert form is not None, "asked only where there is one"
        client = self.client()
        page = yield from page_of(client, portal, self)
        if not form.is_on(page.body):
            return PortalBlank(outcome=Outcome.NOT_SENT, status=page.status)
        given = session(form, page)
        fields = (_FORM, *(((b"Cookie", given),) if given else ()))
        answer = yield from client.ask(b"POST", form.action.encode(), fields, body=body_of(form), max_body=_MAX_ANSWER)
        return PortalBlank(outcome=self._outcome(portal, form, answer, given), status=answer.status)

    def _outcome(self, portal: Portal, form: Form, answer: Answer, given: bytes) -> Outcome:
        if answer.status in LOCKED:
            return Outcome.REFUSED
        if answer.status not in _REDIRECTS:
            is_login = portal.login is not None and portal.login.search(answer.body) is not None
            return Outcome.REFUSED if is_login or form.failed.search(answer.body) else Outcome.UNCLEAR
        leads, target = where_it_leads(answer.head.field(b"location"), self.endpoint)
        if leads is not Leads.HERE or not target:
            return Outcome.UNCLEAR
        if form.failed.search(target):
            return Outcome.REFUSED
        cookie = session(form, answer) or (b"" if form.renewed else given)
        return Outcome.ACCEPTED if cookie and form.home.search(target) else Outcome.UNCLEAR


def body_of(form: Form) -> bytes:
    """Every field of the login empty."""
    pairs = [*((name, "") for name in form.fields), *form.constants.items()]
    return "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs).encode()


def session(form: Form, answer: Answer) -> bytes:
    """The cookie of a session that an answer sets, as it is sent back; b"" where it sets none, or deletes it."""
    for name, value in answer.head.fields:
        found = _COOKIE.match(value) if name == b"set-cookie" else None
        if found is not None and found[1] == form.cookie.encode() and found[2].lower() not in (b"deleted", b'""'):
            return found[0]
    return b""
