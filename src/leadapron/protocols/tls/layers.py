"""In clear, or inside TLS: in which way a protocol is spoken at one endpoint. Pure functions of the attempts.

hello ──spoken──► the plan, in clear
  └─not──► tls:offer ──► tls:handshake ──► tls/hello ──spoken──► tls:offer … ──► the plan, inside TLS
                                │               └─not──► nothing more
                                └─demands a certificate──► mtls/hello, with ours ──► tls:offer … ──► the plan, with ours

A port that speaks the protocol in clear is never sent a ClientHello. Attempts inside TLS have the names of the plan behind
the prefix of their layer. What is seen with a client certificate of the scope, no stranger sees: it makes observations of
its own (`certified`), beside the one of the stranger, who is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadapron.model import (
    CERTIFIED_BY,
    Access,
    Attempt,
    Completed,
    Depth,
    Failed,
    Observation,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job
from leadapron.protocols.attempts import HELLO, Attempts, last_hello, name_of
from leadapron.protocols.base import Case, Identify
from leadapron.protocols.tls import plan as tls
from leadapron.protocols.tls.secured import KeyPair, Secured
from leadapron.protocols.tls.verdict import Facts

CLEAR, STRANGER, CERTIFIED = "", "tls/", "mtls/"
"""Prefixes: in clear, inside TLS without a client certificate, inside TLS with that of the scope."""
_OTHERS = (tls.ABOUT, STRANGER, CERTIFIED)

_INVITING = frozenset({Reason.PROTOCOL, Reason.RESET, Reason.TIMEOUT, Reason.TRUNCATED, Reason.LIMIT})
"""Why a hello in clear failed, on a connection, where TLS may be spoken."""

_HANGING_UP = frozenset({Reason.AUTH, Reason.TLS, Reason.RESET})
"""Why a hello inside TLS failed where a client certificate may be demanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One way to speak, with the attempts in it, whose names are those of the plan."""

    prefix: str
    case: Case
    attempts: Attempts

    def is_begun(self) -> bool:
        return HELLO in self.attempts

    def is_spoken(self) -> bool:
        return isinstance(last_hello(self.attempts), Completed)

    def names(self, names: frozenset[str]) -> frozenset[str]:
        """The names of attempts in it, as they are stored."""
        return frozenset(self.prefix + name for name in names)


class Plan(ABC):
    """What a protocol asks within one layer, and what that means: all it has to say itself. Pure."""

    protocol: str

    @abstractmethod
    def hello(self, case: Case, name: str, identify: Identify) -> Job[Any]:
        """The first exchange."""

    @abstractmethod
    def next_job(self, case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
        """Behind a hello that was answered; None when there is nothing left to ask."""

    @abstractmethod
    def conclude(self, case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
        """The services that were seen, or why none could be."""

    def invites_tls(self, hello: Attempt[Any]) -> bool:
        """Whether what answered a hello in clear, or did not, on a connection, may speak TLS."""
        return isinstance(hello, Failed) and hello.stage is Stage.HANDSHAKE and hello.reason in _INVITING


def layer(case: Case, attempts: Attempts, prefix: str) -> Layer:
    """`attempts` are all those of `case`, decoded. Inside TLS a census does not cross in clear."""
    terms = replace(case.terms, census=True) if prefix else case.terms
    if prefix == CERTIFIED:  # what is tried as a stranger, or as somebody else
        terms = replace(terms, blank_login=False, calling_aets=())
    inner = Case(endpoint=case.endpoint, terms=terms, attempts=_within(case.attempts, prefix))
    return Layer(prefix=prefix, case=inner, attempts=_within(attempts, prefix))


def layers(case: Case, attempts: Attempts) -> Iterator[Layer]:
    """All three."""
    for prefix in (CLEAR, STRANGER, CERTIFIED):
        yield layer(case, attempts, prefix)


def resource_suffix(job: str) -> str:
    """What the resource of a service has behind it, by the name of a job that asked it."""
    return CERTIFIED_BY if job.startswith(CERTIFIED) else ""


def plain_name(job: str) -> str:
    """The name of a job in its plan, without the prefix of its layer."""
    return job.removeprefix(STRANGER).removeprefix(CERTIFIED)


def _within(attempts: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    if not prefix:
        return {name: attempt for name, attempt in attempts.items() if not name.startswith(_OTHERS)}
    return {name.removeprefix(prefix): attempt for name, attempt in attempts.items() if name.startswith(prefix)}


class Layers:
    """Of one protocol, whose `plan` it carries through them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    # -- what is asked next --------------------------------------------------------------------------------------------

    def next_job(self, case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
        """The next job, or None when there is nothing left to ask."""
        clear = layer(case, attempts, CLEAR)
        if not clear.is_begun():
            return self._plan.hello(clear.case, HELLO, identify)
        if not self._plan.invites_tls(clear.attempts[HELLO]):
            return self._within(clear, identify)
        if case.terms.depth < Depth.TALK:
            return None
        entering = tls.entering(attempts, case.endpoint, now=case.terms.now)
        if entering is not None:
            return entering
        if not tls.is_spoken(attempts):
            return self._within(clear, identify) if clear.is_spoken() else None
        return self._inside(case, attempts, identify)

    def _within(self, clear: Layer, identify: Identify) -> Job[Any] | None:
        return self._plan.next_job(clear.case, clear.attempts, identify)

    def _inside(self, case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
        stranger = layer(case, attempts, STRANGER)
        if not stranger.is_begun() and not tls.demands_certificate(attempts):
            return self._hello(stranger, identify)
        certified = layer(case, attempts, CERTIFIED)
        if case.terms.key_pair is not None and _may_be_locked(stranger, attempts) and not certified.is_begun():
            return self._hello(certified, identify)
        if _is_to_be_reproduced(stranger, certified, attempts):
            return self._hello(stranger, identify, 2)
        locked = _is_locked(stranger, certified, attempts)
        if not (locked or stranger.is_spoken() or _is_beyond_us(stranger)):
            return None
        settling = tls.settling(attempts, case.endpoint)
        if settling is not None:
            return settling
        if locked and case.terms.key_pair is None:
            return None
        inside = certified if locked else stranger
        job = self._plan.next_job(inside.case, inside.attempts, identify)
        return None if job is None else _secured(inside, job)

    def _hello(self, inside: Layer, identify: Identify, number: int = 1) -> Job[Any]:
        return _secured(inside, self._plan.hello(inside.case, name_of(HELLO, number), identify))

    # -- what it means -------------------------------------------------------------------------------------------------

    def conclude(self, case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
        """The services that were seen, or why none could be."""
        clear = layer(case, attempts, CLEAR)
        if not tls.is_spoken(attempts):
            found, why = self._plan.conclude(clear.case, clear.attempts)
            return [_with(seen, {"clear": True}) for seen in found], tls.why_not(attempts) or why
        stranger, certified = (layer(case, attempts, prefix) for prefix in (STRANGER, CERTIFIED))
        facts: Facts = {"clear": False, **tls.facts(attempts)}
        shown: dict[str, int | bool | str] = {}
        shown |= {name.removeprefix("tls."): value for name, value in facts.items() if name.startswith("tls.")}
        spki = tls.spki_sha256(attempts)
        if spki:
            shown["spki_sha256"] = spki
        cut: Failed | None = None
        if _is_locked(stranger, certified, attempts):
            facts["tls.client_certificate_demanded"] = shown["client_certificate_demanded"] = True
            certified_found, cut = self._certified(certified)
            found = [self._shut(case, Verdict.REFUSED), *certified_found]
        elif _is_beyond_us(stranger):
            hello = last_hello(stranger.attempts)
            found = [self._shut(case, Verdict.UNKNOWN, hello if isinstance(hello, Failed) else None)]
        else:
            observed, cut = self._plan.conclude(stranger.case, stranger.attempts)
            found = list(observed)
        if found and (missed := tls.why_no_handshake(attempts)) is not None:
            found[0] = replace(found[0], unknowns=(*found[0].unknowns, missed))
        return [replace(_with(seen, facts), tls=shown) for seen in found], cut

    def _shut(self, case: Case, verdict: Verdict, why: Failed | None = None) -> Observation:
        """What is seen of a service that is reached and that says nothing: the same verdict on all that lies behind."""
        return Observation(
            service=Service(endpoint=case.endpoint, protocol=self._plan.protocol),
            access=Access(reach=Verdict.PROVEN, talk=verdict, list=verdict, read=verdict, write=verdict),
            owner=case.terms.owner,
            unknowns=() if why is None else (why,),
        )

    def _certified(self, inside: Layer) -> tuple[Sequence[Observation], Failed | None]:
        """What the holder of the scope's certificate sees, and why there may be more. Where he is not let in either, why."""
        if not inside.is_begun():
            return (), None
        observed, why = self._plan.conclude(inside.case, inside.attempts)
        if why is not None and not observed:
            observed, why = [self._shut(inside.case, Verdict.UNKNOWN, why)], None
        return [_as_certified(seen) for seen in observed], why


def _as_certified(seen: Observation) -> Observation:
    service = replace(seen.service, resource=seen.service.resource + CERTIFIED_BY)
    return replace(seen, service=service, certified=True)


def _secured(inside: Layer, job: Job[Any]) -> Secured:
    pair = inside.case.terms.key_pair if inside.prefix == CERTIFIED else None
    return Secured(prefix=inside.prefix, job=job, key_pair=KeyPair(*pair) if pair else None)


def _is_locked(stranger: Layer, certified: Layer, attempts: Attempts) -> bool:
    """Whether a client certificate is demanded: the server says so, in the handshake or behind it; or it hung up on who had
    none, twice, and either asked for one before, or let ours in between."""
    first, again = (stranger.attempts.get(name_of(HELLO, number)) for number in (1, 2))
    if tls.demands_certificate(attempts) or (isinstance(first, Failed) and first.reason is Reason.AUTH):
        return True
    if tls.hung_up_on_us(attempts) and isinstance(first, Failed) and first.stage is Stage.TLS:
        return True
    return certified.is_spoken() and isinstance(again, Failed) and again.reason in _HANGING_UP


def _may_be_locked(stranger: Layer, attempts: Attempts) -> bool:
    """Some hang up on who has no certificate, and do not say why; nginx completes the handshake before. Ours goes to those
    only who ask for one."""
    hello = stranger.attempts.get(HELLO)
    return tls.demands_certificate(attempts) or (isinstance(hello, Failed) and hello.reason in _HANGING_UP)


def _is_to_be_reproduced(stranger: Layer, certified: Layer, attempts: Attempts) -> bool:
    """Whether ours got in where a stranger was hung up on: once is no refusal."""
    is_open = certified.is_spoken() and name_of(HELLO, 2) not in stranger.attempts
    return (
        is_open and stranger.is_begun() and not stranger.is_spoken() and not _is_locked(stranger, certified, attempts)
    )


def _is_beyond_us(stranger: Layer) -> bool:
    """Whether TLS is spoken there, and not with us: only suites that we lack, or that do not encrypt."""
    hello = last_hello(stranger.attempts)
    return stranger.is_begun() and isinstance(hello, Failed) and (hello.stage, hello.reason) == (Stage.TLS, Reason.TLS)


def _with(seen: Observation, facts: Facts) -> Observation:
    return replace(seen, facts={**seen.facts, **facts})
