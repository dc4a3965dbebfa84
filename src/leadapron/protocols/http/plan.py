"""What is asked over HTTP, in clear or inside TLS: the front page, then door by door. Pure functions of the attempts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadapron.model import Access, Attempt, Completed, Depth, Failed, Observation, Reason, Stage, Verdict
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import HELLO, Attempts, last_hello
from leadapron.protocols.base import Case, Identify
from leadapron.protocols.health import looked_after, told
from leadapron.protocols.http.blank import BLANK, Blank, may_be_tried
from leadapron.protocols.http.front import Glance, Greeting, could_be_tls
from leadapron.protocols.http.web import Challenge, Front, Leads, left_to_look, look_of, reached, web_doors
from leadapron.protocols.tls.layers import Plan

PROTOCOL = "http"


class HttpPlan(Plan):
    protocol = PROTOCOL

    def hello(self, case: Case, name: str, identify: Identify) -> Greeting:
        return Greeting(
            name=name,
            endpoint=case.endpoint,
            contact=case.terms.contact,
            limits=Limits(idle_timeout=10.0, deadline=30.0, max_received=8 << 20),
            requests=8,
            identify=identify,
        )

    def invites_tls(self, hello: Attempt[Any]) -> bool:
        return super().invites_tls(hello) or could_be_tls(hello)

    def next_job(self, case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
        hello = last_hello(attempts)
        if not isinstance(hello, Completed):
            return None
        front: Front = hello.result
        glance = Glance(name=HELLO, endpoint=case.endpoint, contact=case.terms.contact, requests=1)
        return looked_after(_following(case, attempts, front, identify), attempts, glance)

    def conclude(self, case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
        hello = last_hello(attempts)
        if not isinstance(hello, Completed):
            return (), hello
        return told(_concluded(case, attempts, hello.result), attempts)


def _following(case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:
    if may_be_tried(case, front) and BLANK not in attempts:
        return Blank(name=BLANK, endpoint=case.endpoint, contact=case.terms.contact, requests=2)
    if case.terms.depth < Depth.COUNT or len(attempts) >= case.terms.associations:
        return None
    return _next_of_doors(case, attempts, front, identify)


def _concluded(case: Case, attempts: Attempts, front: Front) -> tuple[Sequence[Observation], Failed | None]:
    found = [seen for door in web_doors().values() for seen in door.conclude(case, attempts, front)]
    own = None if any(seen.service.resource == "" for seen in found) else _server(case, attempts, front)
    found = found if own is None else [own, *found]
    nothing = Failed(stage=Stage.TALK, reason=Reason.EMPTY, detail="a web server, and nothing of imaging on it")
    return found, _cut_short(case, attempts, front) or (None if found else nothing)


def _next_of_doors(case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:
    """All look before one counts: what the server has is known before its connections are used up."""
    doors = sorted(web_doors().values(), key=lambda door: door.rank)
    jobs = [job for door in doors if (job := door.next_job(case, attempts, front, identify)) is not None]
    looks = {look_of(door.name) for door in doors}
    return next((job for job in jobs if job.name in looks), jobs[0] if jobs else None)


def _cut_short(case: Case, attempts: Attempts, front: Front) -> Failed | None:
    """Why a door did not look to the end, or not at all, or a blank login was not answered: then there may be more than was
    found."""
    doors = web_doors() if case.terms.depth >= Depth.COUNT else {}
    looks = {name: attempts.get(look_of(name)) for name, door in doors.items() if door.has_to_look(front)}
    asked = (*looks.values(), attempts.get(BLANK))
    ends = (each if isinstance(each, Failed | None) else getattr(each.result, "why", None) for each in asked)
    if (why := next((end for end in ends if end is not None), None)) is not None:
        return why
    if all(looks.values()):
        return None
    is_spent = left_to_look(case, attempts) is None or len(attempts) >= case.terms.associations
    reason = Reason.BUDGET if is_spent else Reason.STOPPED
    return Failed(stage=Stage.LIST, reason=reason, detail="not every door was looked for")


def _server(case: Case, attempts: Attempts, front: Front) -> Observation | None:
    """The server itself, where it is one of imaging, or let a blank login in. There are too many others to tell of."""
    blank = attempts.get(BLANK)
    facts: dict[str, int | bool] = {
        "web.status": front.status,
        "web.password_field": front.has_password_field,
        "web.answers_anything": front.answers_anything,
        "web.leads_away": front.leads is Leads.AWAY,
        "web.basic": front.challenge is Challenge.BASIC,
    }
    if isinstance(blank, Completed):
        facts["blank_login_accepted"] = blank.result.is_accepted
    is_known = bool(front.product.name or front.product.candidates)
    if not is_known and facts.get("blank_login_accepted") is not True:
        return None
    verdict = Verdict.REFUSED if front.is_locked else Verdict.NOT_ASKED
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict)
    return reached(case, PROTOCOL, "", access, product=front.product, facts=facts)
