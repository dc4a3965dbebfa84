"""FTP as a protocol: hello, then the anonymous login, then the census behind it. The verdict table is in `docs/ftp.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from leadapron.model import Access, Attempt, Completed, Depth, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.ftp.census import TREE, Census
from leadapron.protocols.ftp.session import BLANK, HELLO, IMPLICIT_PORT, Blank, Greeted, Hello, LoggedIn
from leadapron.protocols.health import Answered, looked_after, told

ROOT = "/"
"""What the anonymous login opens: a service of its own beside that of the endpoint."""

_OF_THE_LOGIN = frozenset({"blank_login_accepted", "login_code"})
_OF_THE_ROOT = frozenset({"clear"})
"""Of what is listed and read; the server itself hands out nothing."""

Attempts = Mapping[str, Attempt[Any]]
Facts = Mapping[str, int | bool]


class Ftp(Protocol):
    """RFC 959, and inside TLS RFC 4217."""

    name: ClassVar[str] = "ftp"
    results: ClassVar[Mapping[str, type[Any]]] = {
        "greeted": Greeted,
        "logged_in": LoggedIn,
        "found": Found,
        "answered": Answered,
    }

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO)
        if hello is None:
            return Hello(endpoint=case.endpoint, identify=identify)
        if isinstance(hello, Failed):
            return None
        again = Hello(endpoint=case.endpoint, identify=identify)
        return looked_after(_following(case, attempts, hello.result), attempts, again)

    def service_of(self, job: str) -> tuple[str, str]:
        return self.name, ROOT if job == TREE else ""

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO, Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        facts = _facts(case, hello.result, attempts.get(BLANK))
        own = {name: fact for name, fact in facts.items() if name not in _OF_THE_ROOT}
        endpoint = _endpoint(case, hello.result, own)
        root = _root(case, hello.result, attempts, facts)
        return told(((endpoint,) if root is None else (endpoint, root), None), attempts)


PROTOCOL = Ftp()


def _following(case: Case, attempts: Attempts, greeted: Greeted) -> Job[Any] | None:
    terms = case.terms
    if not _may_log_in(case) or len(attempts) >= terms.associations:
        return None
    blank = attempts.get(BLANK)
    if blank is None:
        return Blank(endpoint=case.endpoint, is_offered=bool(greeted.tls_offered))
    if isinstance(blank, Failed) or not blank.result.accepted or TREE in attempts:
        return None
    return Census(endpoint=case.endpoint, terms=terms, known=blank.result)


def _may_log_in(case: Case) -> bool:
    return case.terms.blank_login and case.terms.depth >= Depth.COUNT


def _facts(case: Case, greeted: Greeted, blank: Attempt[LoggedIn] | None) -> Facts:
    """Those of docs/ftp.md."""
    facts: dict[str, int | bool] = {
        "implicit_tls": case.endpoint.port == IMPLICIT_PORT,
        **{f"feature.{name}": has for name, has in (greeted.features or {}).items()},
    }
    if greeted.tls_offered is not None:
        facts["tls_offered"] = greeted.tls_offered
    if isinstance(blank, Completed):
        known = blank.result
        facts |= {"blank_login_accepted": known.accepted, "login_code": known.code}
        if known.accepted:
            facts |= {"tls_required": known.tls_required, "data_in_tls": known.private, "clear": not known.private}
        if known.pasv_elsewhere is not None:
            facts["pasv_elsewhere"] = known.pasv_elsewhere
    return facts


def _service(case: Case, resource: str) -> Service:
    return Service(endpoint=case.endpoint, protocol=Ftp.name, resource=resource)


def _endpoint(case: Case, greeted: Greeted, facts: Facts) -> Observation:
    """The server itself. What is behind its login is a service of its own."""
    return Observation(
        service=_service(case, ""),
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN),
        product=greeted.product,
        owner=case.terms.owner,
        facts=facts,
    )


def _root(case: Case, greeted: Greeted, attempts: Attempts, facts: Facts) -> Observation | None:
    """What anyone gets to see; None where that was not asked. The facts of the login stay with the server: it is one."""
    if not _may_log_in(case) and BLANK not in attempts:
        return None
    facts = {name: fact for name, fact in facts.items() if name not in _OF_THE_LOGIN}
    last = _last(attempts)
    if isinstance(last, Completed) and isinstance(last.result, Found):
        return observe(last.result, _service(case, ROOT), case.terms, facts=facts, product=greeted.product)
    verdict = Verdict.UNKNOWN if isinstance(last, Failed) else Verdict.REFUSED
    of_the_server = _endpoint(case, greeted, facts)
    return replace(
        of_the_server,
        service=_service(case, ROOT),
        access=replace(of_the_server.access, list=verdict, read=verdict),
        unknowns=(last,) if isinstance(last, Failed) else (),
    )


def _last(attempts: Attempts) -> Attempt[Any]:
    """The attempt that decides: a refused login, or the walk behind one; the budget where there is none."""
    missing = Failed(stage=Stage.LIST, reason=Reason.BUDGET)
    blank = attempts.get(BLANK, missing)
    if isinstance(blank, Completed) and blank.result.accepted:
        return attempts.get(TREE, missing)
    return blank
