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

ROOT = "/"
"""What the anonymous login opens: a service of its own beside that of the endpoint."""

Attempts = Mapping[str, Attempt[Any]]
Facts = Mapping[str, int | bool]


class Ftp(Protocol):
    """RFC 959, and inside TLS RFC 4217."""

    name: ClassVar[str] = "ftp"
    results: ClassVar[Mapping[str, type[Any]]] = {"greeted": Greeted, "logged_in": LoggedIn, "found": Found}

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        attempts, terms = self.decoded(case.attempts), case.terms
        hello = attempts.get(HELLO)
        if hello is None:
            return Hello(endpoint=case.endpoint)
        if isinstance(hello, Failed) or not _may_log_in(case) or len(attempts) >= terms.associations:
            return None
        blank = attempts.get(BLANK)
        if blank is None:
            return Blank(endpoint=case.endpoint, is_offered=hello.result.tls_offered)
        if isinstance(blank, Failed) or not blank.result.accepted or TREE in attempts:
            return None
        return Census(endpoint=case.endpoint, terms=terms, known=blank.result)

    def service_of(self, job: str) -> tuple[str, str]:
        return self.name, ROOT if job == TREE else ""

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO, Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        facts = _facts(case, hello.result, attempts.get(BLANK))
        endpoint = _endpoint(case, hello.result, attempts, facts)
        root = _root(case, hello.result, attempts, facts)
        return (endpoint,) if root is None else (endpoint, root), None


PROTOCOL = Ftp()


def _may_log_in(case: Case) -> bool:
    return case.terms.blank_login and case.terms.depth >= Depth.COUNT


def _facts(case: Case, greeted: Greeted, blank: Attempt[LoggedIn] | None) -> Facts:
    """Those of docs/ftp.md."""
    facts: dict[str, int | bool] = {
        "tls_offered": greeted.tls_offered,
        "implicit_tls": case.endpoint.port == IMPLICIT_PORT,
        **{f"feature.{name}": has for name, has in (greeted.features or {}).items()},
    }
    if isinstance(blank, Completed):
        known = blank.result
        facts |= {"blank_login_accepted": known.accepted, "login_code": known.code}
        if known.accepted:
            facts |= {"tls_required": known.tls_required, "data_in_tls": known.private}
        if known.pasv_elsewhere is not None:
            facts["pasv_elsewhere"] = known.pasv_elsewhere
    return facts


def _service(case: Case, resource: str) -> Service:
    return Service(endpoint=case.endpoint, protocol=Ftp.name, resource=resource)


def _endpoint(case: Case, greeted: Greeted, attempts: Attempts, facts: Facts) -> Observation:
    """What is said of the server itself. Where anyone is let in, the folder behind speaks for listing and reading."""
    blank = attempts.get(BLANK)
    verdict = Verdict.NOT_ASKED
    unknowns: tuple[Failed, ...] = ()
    if isinstance(blank, Failed):
        verdict, unknowns = Verdict.UNKNOWN, (blank,)
    elif isinstance(blank, Completed) and not blank.result.accepted:
        verdict = Verdict.REFUSED
    elif blank is None and _may_log_in(case):
        verdict, unknowns = Verdict.UNKNOWN, (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    return Observation(
        service=_service(case, ""),
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict),
        product=greeted.product,
        owner=case.terms.owner,
        facts=facts,
        unknowns=unknowns,
    )


def _root(case: Case, greeted: Greeted, attempts: Attempts, facts: Facts) -> Observation | None:
    blank = attempts.get(BLANK)
    if not isinstance(blank, Completed) or not blank.result.accepted:
        return None
    walked = attempts.get(TREE, Failed(stage=Stage.LIST, reason=Reason.BUDGET))
    if isinstance(walked, Completed):
        return observe(walked.result, _service(case, ROOT), case.terms, facts=facts, product=greeted.product)
    of_the_server = _endpoint(case, greeted, attempts, facts)
    return replace(
        of_the_server,
        service=_service(case, ROOT),
        access=replace(of_the_server.access, list=Verdict.UNKNOWN, read=Verdict.UNKNOWN),
        unknowns=(walked,),
    )
