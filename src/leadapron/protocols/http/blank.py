"""The blank login over HTTP: an empty name and an empty password, once, and only where the grant says so."""

from __future__ import annotations

from dataclasses import dataclass

from leadapron.model import Completed, Failed, Stage
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols.base import Case
from leadapron.protocols.http.exchange import NoAnswer
from leadapron.protocols.http.web import UNAUTHORISED, Challenge, Front, WebJob

BLANK = "blank"
NOBODY = (b"Authorization", b"Basic Og==")
"""`:` in Base64 (RFC 7617)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankTried:
    """`is_accepted`: the page that wanted a name and a password came with none."""

    status: int
    is_accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank(WebJob):
    """The job: the front page with empty credentials. Nothing is asked behind it."""

    def converse(self) -> Conversation[BlankTried]:
        try:
            answer = yield from self.client().get(b"/", (NOBODY,), max_body=1 << 12)
        except Lost as lost:
            return Failed(stage=Stage.TALK, reason=lost.reason)
        except NoAnswer as none:
            return Failed(stage=Stage.TALK, reason=none.reason)
        return Completed(result=BlankTried(status=answer.status, is_accepted=200 <= answer.status < 400))


def may_be_tried(case: Case, front: Front) -> bool:
    return case.terms.blank_login and front.status == UNAUTHORISED and front.challenge is Challenge.BASIC
