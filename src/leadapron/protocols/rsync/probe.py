"""rsync as a protocol: hello, then the list of modules, then each. The verdict table is in `docs/rsync.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.health import Answered, looked_after, told
from leadapron.protocols.rsync.jobs import HELLO, MODULES, TREE, Greeted, Hello, Listing, Module, Modules, Shut
from leadapron.protocols.rsync.wire import Answer

Attempts = Mapping[str, Attempt[Any]]
Facts = Mapping[str, int | bool]

_CONNECTIONS = 2
"""Of the job of a module."""

_PRODUCT = Product(name="rsync", confidence="table")

_SHUT: Mapping[Answer, Reason] = {
    Answer.LOGIN: Reason.AUTH,
    Answer.DENIED: Reason.AUTH,
    Answer.BUSY: Reason.LIMIT,
    Answer.BROKEN: Reason.PROTOCOL,
}
"""AUTH is a refusal, what else there is, is not known."""


class Rsync(Protocol):
    """The daemon of rsync, without a login."""

    name: ClassVar[str] = "rsync"
    results: ClassVar[Mapping[str, type[Any]]] = {
        "greeted": Greeted,
        "modules": Modules,
        "shut": Shut,
        "found": Found,
        "answered": Answered,
    }

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        attempts = self.decoded(case.attempts)
        hello = Hello(endpoint=case.endpoint)
        return looked_after(_following(case, attempts), attempts, hello) if HELLO in attempts else hello

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO, Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        modules = attempts.get(MODULES)
        facts: dict[str, int | bool] = {"protocol": hello.result.protocol, "lists_digests": hello.result.has_digests}
        if isinstance(modules, Completed):
            facts["modules"] = modules.result.count
        seen = [_endpoint(case, modules, facts)]
        if isinstance(modules, Completed):
            seen += [each for shown in modules.result.shown if (each := _module(case, shown, attempts, facts))]
        return told((seen, None), attempts)


PROTOCOL = Rsync()


def _following(case: Case, attempts: Attempts) -> Job[Any] | None:
    """Behind the hello."""
    terms = case.terms
    if isinstance(attempts[HELLO], Failed) or terms.depth < Depth.COUNT or terms.associations < 2:
        return None
    modules = attempts.get(MODULES)
    if modules is None:
        return Listing(endpoint=case.endpoint)
    if isinstance(modules, Failed) or _spent(attempts) + _CONNECTIONS > terms.associations:
        return None
    shown = next((shown for shown in modules.result.shown if TREE + shown not in attempts), None)
    return None if shown is None else Module(endpoint=case.endpoint, shown=shown, terms=terms)


def _spent(attempts: Attempts) -> int:
    """Connections."""
    return sum(_CONNECTIONS if name.startswith(TREE) else 1 for name in attempts)


def _endpoint(case: Case, modules: Attempt[Modules] | None, facts: Facts) -> Observation:
    """The daemon itself. That modules are named is a fact, and no list of patients' data: the modules speak for that."""
    verdict = Verdict.NOT_ASKED
    unknowns: tuple[Failed, ...] = ()
    if isinstance(modules, Failed):
        verdict = Verdict.REFUSED if modules.reason is Reason.AUTH else Verdict.UNKNOWN
        unknowns = () if modules.reason is Reason.AUTH else (modules,)
    elif modules is None and case.terms.depth >= Depth.COUNT:
        verdict, unknowns = Verdict.UNKNOWN, (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    elif modules is not None and modules.result.count > len(modules.result.shown):
        unknowns = (Failed(stage=Stage.LIST, reason=Reason.LIMIT, detail="modules that are not told apart"),)
    return _observation(case, "", verdict, facts, unknowns)


def _module(case: Case, shown: str, attempts: Attempts, facts: Facts) -> Observation | None:
    """None: there is no such module."""
    attempt = attempts.get(TREE + shown, Failed(stage=Stage.LIST, reason=Reason.BUDGET))
    if isinstance(attempt, Failed):
        return _observation(case, shown, Verdict.UNKNOWN, facts, (attempt,))
    if isinstance(attempt.result, Found):
        service = Service(endpoint=case.endpoint, protocol=Rsync.name, resource=shown)
        in_clear = {**facts, "clear": True}
        return observe(attempt.result, service, case.terms, facts=in_clear, product=_PRODUCT)
    answer: Answer = attempt.result.answer
    if answer is Answer.NO_MODULE:
        return None
    facts = {**facts, "login_wanted": answer is Answer.LOGIN}
    if _SHUT[answer] is Reason.AUTH:
        return _observation(case, shown, Verdict.REFUSED, facts)
    return _observation(case, shown, Verdict.UNKNOWN, facts, (Failed(stage=Stage.LIST, reason=_SHUT[answer]),))


def _observation(
    case: Case, resource: str, verdict: Verdict, facts: Facts, unknowns: tuple[Failed, ...] = ()
) -> Observation:
    """`verdict`: on listing and on reading."""
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=Rsync.name, resource=resource),
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=verdict, read=verdict),
        product=_PRODUCT,
        owner=case.terms.owner,
        facts=facts,
        unknowns=unknowns,
    )
