"""What is asked over HTTP, in clear or inside TLS: the front page, then door by door. Pure functions of the attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leadapron.model import Access, Attempt, Completed, Depth, Failed, Observation, Reason, Stage, Verdict
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import Attempts, last_hello
from leadapron.protocols.base import Case, Identify
from leadapron.protocols.http.blank import BLANK, Blank, may_be_tried
from leadapron.protocols.http.front import Greeting, could_be_tls
from leadapron.protocols.http.web import Challenge, Front, Leads, reached, web_doors
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
        if may_be_tried(case, front) and BLANK not in attempts:
            return Blank(name=BLANK, endpoint=case.endpoint, contact=case.terms.contact, requests=2)
        if case.terms.depth < Depth.COUNT or len(attempts) >= case.terms.associations:
            return None
        for door in web_doors().values():
            job = door.next_job(case, attempts, front, identify)
            if job is not None:
                return job
        return None

    def conclude(self, case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
        hello = last_hello(attempts)
        if not isinstance(hello, Completed):
            return (), hello
        front: Front = hello.result
        found = [seen for door in web_doors().values() for seen in door.conclude(case, attempts, front)]
        if not any(seen.service.resource == "" for seen in found) and (own := _server(case, attempts, front)):
            found.insert(0, own)
        missed = _cut_short(attempts)
        if not found:
            nothing = Failed(stage=Stage.TALK, reason=Reason.EMPTY, detail="a web server, and nothing of imaging on it")
            return (), missed[0] if missed else nothing
        first, *others = found
        return [replace(first, unknowns=tuple(dict.fromkeys((*first.unknowns, *missed)))), *others], None


def _cut_short(attempts: Attempts) -> list[Failed]:
    """Why looks of doors did not come to their end, or the blank login: then there may be more than was found."""
    asked = [attempts[name] for name in (BLANK, *(f"{door}.look" for door in web_doors())) if name in attempts]
    whys = (each if isinstance(each, Failed) else getattr(each.result, "why", None) for each in asked)
    return [why for why in whys if isinstance(why, Failed)]


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
