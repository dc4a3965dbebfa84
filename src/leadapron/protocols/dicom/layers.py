"""In clear, or inside TLS: in which way DICOM is spoken at one endpoint. Pure functions of the attempts.

hello ──DICOM──► the plan, in clear
  └─none──► tls:offer ──► tls:handshake ──► tls/hello ──DICOM──► tls:offer … ──► the plan, inside TLS
                                │               └─none──► nothing more
                                └─demands a certificate──► mtls/hello, with ours ──► tls:offer … ──► the plan, with ours

A port that speaks DICOM in clear is never sent a ClientHello. Attempts inside TLS have the names of the plan behind the
prefix of their layer. What is seen with a client certificate of the scope, no stranger sees: it makes observations of its
own (`certified`), beside the one of the stranger, who is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadapron.model import CERTIFIED_BY, Access, Completed, Depth, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Job
from leadapron.protocols.base import Case, Identify
from leadapron.protocols.dicom import plan, verdicts
from leadapron.protocols.dicom.known import HELLO, Attempts, last_hello, name_of
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiation
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

    def is_dicom(self) -> bool:
        return isinstance(last_hello(self.attempts), Completed)

    def names(self, names: frozenset[str]) -> frozenset[str]:
        """The names of attempts in it, as they are stored."""
        return frozenset(self.prefix + name for name in names)


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


def _within(attempts: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    if not prefix:
        return {name: attempt for name, attempt in attempts.items() if not name.startswith(_OTHERS)}
    return {name.removeprefix(prefix): attempt for name, attempt in attempts.items() if name.startswith(prefix)}


def invites_tls(clear: Layer) -> bool:
    """Whether what answered, or did not, on a connection in clear may speak TLS. Who ever answered DICOM does not."""
    hello = clear.attempts.get(HELLO)
    return isinstance(hello, Failed) and hello.stage is Stage.HANDSHAKE and hello.reason in _INVITING


# -- what is asked next ------------------------------------------------------------------------------------------------


def next_job(case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
    """The next job, or None when there is nothing left to ask."""
    clear = layer(case, attempts, CLEAR)
    if not invites_tls(clear):
        return plan.next_job(clear.case, clear.attempts, identify)
    if case.terms.depth < Depth.TALK:
        return None
    entering = tls.entering(attempts, case.endpoint, now=case.terms.now)
    if entering is not None or not tls.is_spoken(attempts):
        return entering
    return _inside(case, attempts, identify)


def _inside(case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
    stranger = layer(case, attempts, STRANGER)
    if not stranger.is_begun() and not tls.demands_certificate(attempts):
        return _hello(stranger, identify)
    certified = layer(case, attempts, CERTIFIED)
    if case.terms.key_pair is not None and may_be_locked(stranger, attempts) and not certified.is_begun():
        return _hello(certified, identify)
    if is_to_be_reproduced(stranger, certified, attempts):
        return _hello(stranger, identify, 2)
    locked = is_locked(stranger, certified, attempts)
    if not (locked or stranger.is_dicom() or is_beyond_us(stranger)):
        return None
    settling = tls.settling(attempts, case.endpoint)
    if settling is not None:
        return settling
    if locked and case.terms.key_pair is None:
        return None
    inside = certified if locked else stranger
    job = plan.next_job(inside.case, inside.attempts, identify)
    return None if job is None else _secured(inside, job)


def _hello(inside: Layer, identify: Identify, number: int = 1) -> Job[Any]:
    """Which in clear is the wide stage's."""
    terms = inside.case.terms
    hello = Negotiation(
        name=name_of(HELLO, number),
        endpoint=inside.case.endpoint,
        called_aet=ANY_TITLE,
        calling_aet=terms.calling_aet,
        identify=identify,
    )
    return _secured(inside, hello)


def _secured(inside: Layer, job: Job[Any]) -> Secured:
    pair = inside.case.terms.key_pair if inside.prefix == CERTIFIED else None
    return Secured(prefix=inside.prefix, job=job, key_pair=KeyPair(*pair) if pair else None)


def is_locked(stranger: Layer, certified: Layer, attempts: Attempts) -> bool:
    """Whether a client certificate is demanded: the server says so, in the handshake or behind it; or it hung up on who had
    none, twice, and either asked for one before, or let ours in between."""
    first, again = (stranger.attempts.get(name_of(HELLO, number)) for number in (1, 2))
    if tls.demands_certificate(attempts) or (isinstance(first, Failed) and first.reason is Reason.AUTH):
        return True
    if tls.hung_up_on_us(attempts) and isinstance(first, Failed) and first.stage is Stage.TLS:
        return True
    return certified.is_dicom() and isinstance(again, Failed) and again.reason in _HANGING_UP


def may_be_locked(stranger: Layer, attempts: Attempts) -> bool:
    """Some hang up on who has no certificate, and do not say why; nginx completes the handshake before. Ours goes to those
    only who ask for one."""
    hello = stranger.attempts.get(HELLO)
    return tls.demands_certificate(attempts) or (isinstance(hello, Failed) and hello.reason in _HANGING_UP)


def is_to_be_reproduced(stranger: Layer, certified: Layer, attempts: Attempts) -> bool:
    """Whether ours got in where a stranger was hung up on: once is no refusal."""
    is_open = certified.is_dicom() and name_of(HELLO, 2) not in stranger.attempts
    return is_open and stranger.is_begun() and not stranger.is_dicom() and not is_locked(stranger, certified, attempts)


def is_beyond_us(stranger: Layer) -> bool:
    """Whether TLS is spoken there, and not with us: only suites that we lack, or that do not encrypt."""
    hello = last_hello(stranger.attempts)
    return stranger.is_begun() and isinstance(hello, Failed) and (hello.stage, hello.reason) == (Stage.TLS, Reason.TLS)


# -- what it means -----------------------------------------------------------------------------------------------------


def conclude(case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
    """The services that were seen, or why none could be."""
    clear = layer(case, attempts, CLEAR)
    if not tls.is_spoken(attempts):
        found, why = verdicts.conclude(clear.case, clear.attempts)
        return [_with(seen, {"clear": True}) for seen in found], tls.why_not(attempts) or why
    stranger, certified = (layer(case, attempts, prefix) for prefix in (STRANGER, CERTIFIED))
    facts: Facts = {"clear": False, **tls.facts(attempts)}
    shown: dict[str, int | bool | str] = {}
    shown |= {name.removeprefix("tls."): value for name, value in facts.items() if name.startswith("tls.")}
    spki = tls.spki_sha256(attempts)
    if spki:
        shown["spki_sha256"] = spki
    if is_locked(stranger, certified, attempts):
        facts["tls.client_certificate_demanded"] = shown["client_certificate_demanded"] = True
        found = [_shut(case, Verdict.REFUSED), *_certified(certified)]
    elif is_beyond_us(stranger):
        hello = last_hello(stranger.attempts)
        found = [_shut(case, Verdict.UNKNOWN, hello if isinstance(hello, Failed) else None)]
    else:
        observed, why = verdicts.conclude(stranger.case, stranger.attempts)
        if why is not None:
            return (), why
        found = list(observed)
    return [replace(_with(seen, facts), tls=shown) for seen in found], None


def _with(seen: Observation, facts: Facts) -> Observation:
    return replace(seen, facts={**seen.facts, **facts})


def _shut(case: Case, verdict: Verdict, why: Failed | None = None) -> Observation:
    """What is seen of a service that is reached and that says nothing: the same verdict on all that lies behind."""
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=verdicts.PROTOCOL),
        access=Access(reach=Verdict.PROVEN, talk=verdict, list=verdict, read=verdict, write=verdict),
        owner=case.terms.owner,
        unknowns=() if why is None else (why,),
    )


def _certified(inside: Layer) -> Iterator[Observation]:
    """What the holder of the scope's certificate sees. Where he is not let in either, why."""
    if not inside.is_begun():
        return
    observed, why = verdicts.conclude(inside.case, inside.attempts)
    for seen in observed if why is None else [_shut(inside.case, Verdict.UNKNOWN, why)]:
        service = replace(seen.service, resource=seen.service.resource + CERTIFIED_BY)
        yield replace(seen, service=service, certified=True)
