"""The first exchange: the front page, by which server and product are told, and a path that cannot be there.

A redirect is followed where it leads to the same scheme, host and port, and no further than `MAX_HOPS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from leadapron.model import Attempt, Completed, Endpoint, Failed, Product, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.base import Identify, Page
from leadapron.protocols.http.exchange import Answer, Client, NoAnswer
from leadapron.protocols.http.web import LOCKED, Challenge, Front, Leads, WebJob, web_doors

MAX_HOPS = 3
MAX_ICON = 64 << 10
NOWHERE = b"/leadapron-looks-for-nothing-here"
"""A path that no server has."""
ICON = b"/favicon.ico"

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSWORD = re.compile(rb"<input[^>]{0,500}\btype\s*=\s*[\"']?password", re.IGNORECASE)
_PATH = re.compile(r"/[!-~]*")
_LONGEST_TARGET = 2048
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting(WebJob):
    """The job."""

    identify: Identify

    def converse(self) -> Conversation[Front]:
        client = self.client()
        try:
            front = yield from self._look(client)
        except Lost as lost:
            return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)
        except NoAnswer as none:
            return Failed(stage=Stage.HANDSHAKE, reason=none.reason)
        return Completed(result=replace(front, requests=client.requests))

    def _look(self, client: Client) -> Steps[Front]:
        answer, leads = yield from self._page(client)
        page = Page(status=answer.status, fields=answer.head.fields, body=answer.body)
        front = Front(
            status=answer.status,
            product=self.identify.page(page),
            challenge=_challenge(answer),
            leads=leads,
            has_password_field=_PASSWORD.search(answer.body) is not None,
            seen={name: value for door in web_doors().values() for name, value in door.look(page).items()},
        )
        try:
            return (yield from self._more(client, page, front))
        except (NoAnswer, Lost):
            return front

    def _page(self, client: Client) -> Steps[tuple[Answer, Leads]]:
        """Raises NoAnswer, Lost."""
        target, leads = b"/", Leads.NOWHERE
        for hop in range(MAX_HOPS + 1):
            answer = yield from client.get(target)
            if answer.status not in REDIRECTS:
                return answer, leads
            leads, following = where_it_leads(answer.head.field(b"location"), self.endpoint)
            if not following or hop == MAX_HOPS:
                return answer, leads
            target = following
        raise AssertionError("every hop returns or goes on")

    def _more(self, client: Client, page: Page, front: Front) -> Steps[Front]:
        """Asks for what the front page left open. Raises NoAnswer, Lost."""
        if front.product == Product(toolkit=front.product.toolkit):
            icon = yield from client.get(ICON, max_body=MAX_ICON)
            if icon.status == _OK and icon.why is None:
                front = replace(front, product=self.identify.page(page._replace(icon=icon.body)))
        nothing = yield from client.get(NOWHERE, max_body=1 << 12)
        return replace(front, answers_anything=200 <= nothing.status < 300, refuses_anything=nothing.status in LOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance(WebJob):
    """Whether anything is answered for the front page."""

    def converse(self) -> Conversation[int]:
        try:
            answer = yield from self.client().get(b"/", max_body=1 << 12)
        except (Lost, NoAnswer) as ended:
            return Failed(stage=Stage.TALK, reason=ended.reason)
        return Completed(result=answer.status)


def where_it_leads(location: bytes, endpoint: Endpoint) -> tuple[Leads, bytes]:
    """Where a redirect of `endpoint` leads, and the target to ask for next; b"" where it is not followed. Only a path, and a
    URL at the very name or address and port, lead here.
    """
    port, hosts = endpoint.port, {str(endpoint.address), endpoint.name} - {""}
    try:
        url = urlsplit(location.decode("ascii"))
        host, theirs = url.hostname or "", url.port
    except ValueError:
        return Leads.AWAY, b""
    if (host and host not in hosts) or url.scheme not in ("", "http", "https"):
        return Leads.AWAY, b""
    standard = {"http": 80, "https": 443}.get(url.scheme, port)
    if (theirs or standard) != port:
        return (Leads.TO_TLS if url.scheme == "https" else Leads.AWAY), b""
    target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
    if not _PATH.fullmatch(target) or len(target) > _LONGEST_TARGET:
        return Leads.HERE, b""
    return Leads.HERE, target.encode()


def _challenge(answer: Answer) -> Challenge:
    scheme = (
        answer.head.field(b"www-authenticate").split(b" ", 1)[0].split(b",", 1)[0].lower().decode("ascii", "replace")
    )
    if not scheme:
        return Challenge.NONE
    return Challenge(scheme) if scheme in set(Challenge) else Challenge.OTHER


def could_be_tls(hello: Attempt[Front]) -> bool:
    """Servers of TLS that were spoken to in clear mostly answer so (nginx, Go, Apache)."""
    return isinstance(hello, Completed) and hello.result.status == 400
