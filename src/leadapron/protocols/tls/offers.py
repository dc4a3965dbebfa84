"""What a server accepts: one ClientHello per connection, answered by the server's choice or its refusal, and no more.

A server chooses one version and one suite of what it is offered. So the next hello offers all but what was chosen so far;
the first refusal settles the rest. The plan is a pure function of the answers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost
from leadapron.protocols.tls.flight import ServerFlight
from leadapron.protocols.tls.names import (
    CLOSE_NOTIFY,
    PROTOCOL_VERSION,
    RENEGOTIATION_SCSV,
    USER_CANCELED,
    WARNING,
    Version,
)
from leadapron.protocols.tls.suites import Class, numbers_of, suites
from leadapron.protocols.tls.wire import Alert, ClientHello, ServerHello, ServerHelloDone, ServerKeyExchange

MAX_OFFERS = 12
"""Connections that the questions of one service may take."""
MAX_RECEIVED = 1 << 16
"""Bytes that we wait for a ServerHello in."""

ALL_CLASSES = frozenset(Class)
ALL_VERSIONS = frozenset(Version)
WEAK = frozenset({Class.EXPORT, Class.ANON, Class.NULL, Class.RC4, Class.TRIPLE_DES})
"""Asked first, so that the cap of connections never leaves them open."""
OLDER = ALL_CLASSES - {Class.TLS13}
"""Those that are chosen up to TLS 1.2."""
ONLY_TLS_1_2 = frozenset({Class.AEAD_ECDHE, Class.AEAD_DHE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A ClientHello: every version up to `highest`, all suites of `classes`."""

    highest: Version
    classes: frozenset[Class]

    @property
    def name(self) -> str:
        """What is on offer, e.g. `tls_1_2:028`: a bit for each class of `Class`, the strongest first, in hexadecimal."""
        bits = sum((each in self.classes) << place for place, each in enumerate(Class))
        return f"{self.highest.name.lower()}:{bits:03x}"

    @property
    def versions(self) -> frozenset[Version]:
        """Those on offer. SSL 3.0 cannot stand beside TLS 1.3: where that is the highest, only TLS is listed."""
        lowest = Version.TLS_1_0 if self.highest == Version.TLS_1_3 else Version.SSL_3_0
        return frozenset(version for version in Version if lowest <= version <= self.highest)

    def hello(self, server_name: str = "", random: Callable[[int], bytes] = secrets.token_bytes) -> ClientHello:
        """SNI and every group and signature that we know. Any 32 bytes are a public key of X25519 (RFC 7748 section 5)."""
        is_13 = self.highest == Version.TLS_1_3
        return ClientHello(
            version=min(self.highest, Version.TLS_1_2),
            random=random(32),
            suites=(*numbers_of(self.classes), RENEGOTIATION_SCSV),
            server_name=server_name,
            supported_versions=tuple(sorted(self.versions, reverse=True)) if is_13 else (),
            key_share=random(32) if is_13 else b"",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What the server chose. `suite` is a number of `suites()`.

    `prime_bits`: of the group, where the suite is one of DHE and the server went on to say so; else 0.
    """

    version: Version
    suite: int
    prime_bits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The server answered with an alert (a number of `names.ALERTS`)."""

    alert: int


Answer = Negotiated | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An offer, and how it came out."""

    offer: Offer
    attempt: Attempt[Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What is known: accepted or refused; what is in neither is unknown."""

    versions: frozenset[Version] = frozenset()
    refused_versions: frozenset[Version] = frozenset()
    classes: frozenset[Class] = frozenset()
    refused_classes: frozenset[Class] = frozenset()
    prime_bits: int = 0
    """of the smallest group that was seen with DHE; 0: none was"""

    @property
    def open_versions(self) -> frozenset[Version]:
        return ALL_VERSIONS - self.versions - self.refused_versions

    @property
    def open_classes(self) -> frozenset[Class]:
        return ALL_CLASSES - self.classes - self.refused_classes


def learn(known: Sequence[Asked]) -> Accepted:
    """What the answers say together.

    A server that hangs up instead of sending an alert has refused, if it negotiates again afterwards: until then it may
    have shut us out.
    """
    return _learn([each for each in known if not is_hang_up(each)], _confirmed(known))


def is_hang_up(asked: Asked) -> bool:
    """Whether the connection was closed without an answer: a refusal by some, by others the end of it all."""
    return isinstance(asked.attempt, Failed) and asked.attempt.reason is Reason.RESET


def _confirmed(known: Sequence[Asked]) -> list[Asked]:
    """The hang-ups after which the server negotiated again."""
    last = max((place for place, each in enumerate(known) if _chosen_by(each)), default=0)
    return [each for each in known[:last] if is_hang_up(each)]


def _chosen_by(asked: Asked) -> Negotiated | None:
    answer = asked.attempt.result if isinstance(asked.attempt, Completed) else None
    return answer if isinstance(answer, Negotiated) else None


def _learn(answered: Sequence[Asked], hung_up: Sequence[Asked]) -> Accepted:
    chosen = [(each.offer, found) for each in answered if (found := _chosen_by(each))]
    versions = frozenset(found.version for _, found in chosen)
    classes = frozenset(suites()[found.suite].of for _, found in chosen)
    above = (_above(offer, found) for offer, found in chosen)
    refusals = [each for each in (*answered, *hung_up) if not _chosen_by(each)]
    refused_versions = frozenset[Version]().union(*above, *map(_refused_versions, refusals)) - versions
    refused_classes = frozenset[Class]().union(*map(_refused_classes, refusals), _impossible(refused_versions))
    return Accepted(
        versions=versions,
        refused_versions=refused_versions,
        classes=classes,
        refused_classes=refused_classes - classes,
        prime_bits=min((found.prime_bits for _, found in chosen if found.prime_bits), default=0),
    )


def _above(offer: Offer, chosen: Negotiated) -> frozenset[Version]:
    """A server chooses the highest version that it has, where every suite is on offer (RFC 5246 section 7.4.1.3)."""
    if not offer.classes >= OLDER:
        return frozenset()
    return frozenset(version for version in Version if chosen.version < version <= offer.highest)


def _refused_versions(asked: Asked) -> frozenset[Version]:
    """The alert protocol_version speaks of all versions that were on offer, others of the highest only."""
    if not asked.offer.classes >= OLDER or not _is_refusal(asked):
        return frozenset()
    if isinstance(asked.attempt, Completed) and asked.attempt.result == Refused(alert=PROTOCOL_VERSION):
        return asked.offer.versions
    return frozenset({asked.offer.highest})


def _refused_classes(asked: Asked) -> frozenset[Class]:
    """None where versions were asked for: it may be the version that was refused."""
    return frozenset() if asked.offer.classes >= OLDER or not _is_refusal(asked) else asked.offer.classes


def _is_refusal(asked: Asked) -> bool:
    return isinstance(asked.attempt, Completed) or is_hang_up(asked)


def _impossible(refused: frozenset[Version]) -> frozenset[Class]:
    """The classes that exist only in versions that were refused."""
    found = frozenset[Class]()
    if Version.TLS_1_3 in refused:
        found |= {Class.TLS13}
    if Version.TLS_1_2 in refused:
        found |= ONLY_TLS_1_2
    return found | OLDER if ALL_VERSIONS - {Version.TLS_1_3} <= refused else found


def next_offer(known: Sequence[Asked]) -> Offer | None:
    """What to offer next; None when all is settled, nothing is accepted, an offer ended in silence, or the cap is met.

    Silence, and bytes that are not TLS, end the plan: what is open then stays unknown.
    """
    if any(not _is_refusal(each) for each in known) or len(known) >= MAX_OFFERS:
        return None
    hung_up = [each for each in known if is_hang_up(each)]
    facts = _learn([each for each in known if not is_hang_up(each)], hung_up)
    asked = {each.offer for each in known}
    wanted = next((offer for offer in _wanted(facts) if offer not in asked), None)
    if hung_up != _confirmed(known) and facts.versions and (wanted is None or len(known) == MAX_OFFERS - 1):
        return next(each.offer for each in known if _chosen_by(each))
    return wanted


def name_of(number: int, offer: Offer) -> str:
    """The name of the job that makes this offer, the same in each run."""
    return f"tls:offer:{number}:{offer.name}"


def resumed(attempts: Mapping[str, Attempt[Answer]]) -> list[Asked]:
    """What was asked so far, in its order, by the names of the jobs."""
    known: list[Asked] = []
    while (offer := next_offer(known)) is not None:
        attempt = attempts.get(name_of(len(known) + 1, offer))
        if attempt is None:
            break
        known.append(Asked(offer=offer, attempt=attempt))
    return known


def _wanted(facts: Accepted) -> Iterator[Offer]:
    """The offers that would settle what is open, the most urgent first. Two refusals and no choice: there is none."""
    left = facts.open_versions
    if left and (facts.versions or Version.TLS_1_2 in left or left == {Version.SSL_3_0}):
        highest = max(left)
        yield Offer(highest=highest, classes=ALL_CLASSES if highest == Version.TLS_1_3 else OLDER)
    older = facts.versions - {Version.TLS_1_3}
    for group in (WEAK, OLDER - WEAK):
        if older and (classes := facts.open_classes & group):
            yield Offer(highest=max(older), classes=classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The job: one offer. `number` is its place in the plan, from 1: the last one may repeat an earlier offer."""

    endpoint: Endpoint
    number: int
    offer: Offer
    limits: Limits = field(default_factory=lambda: Limits(idle_timeout=5.0, deadline=15.0, max_received=MAX_RECEIVED))
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return name_of(self.number, self.offer)

    def converse(self) -> Conversation[Answer]:
        return (yield from offered(self.offer, self.endpoint.name))


def offered(offer: Offer, server_name: str = "") -> Conversation[Answer]:
    """Send one ClientHello, read the answer to it, leave with an alert."""
    flight, received = ServerFlight(), 0
    sending = offer.hello(server_name).encode()
    answer: Answer | None = None
    try:
        while answer is None:
            data = yield sending
            sending = b""
            received += len(data)
            flight.feed(data)
            answer = _answer(flight, offer)
            if answer is None and received > MAX_RECEIVED:
                return Failed(stage=Stage.TLS, reason=Reason.LIMIT, detail="no ServerHello in its first 64 KiB")
    except Lost as lost:
        return Failed(stage=Stage.TLS, reason=lost.reason)
    except WireError as error:
        reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
        return Failed(stage=Stage.TLS, reason=reason, detail=error.rule)
    if isinstance(answer, Negotiated):
        answer = yield from _with_group(answer, flight, received)
        with contextlib.suppress(Lost):
            yield LastWords(_farewell(answer.version))
    return Completed(result=answer)


def _answer(flight: ServerFlight, offer: Offer) -> Answer | None:
    """The server's choice or refusal; warnings (unrecognized_name) are passed over. Raises WireError."""
    while (message := flight.next()) is not None:
        if isinstance(message, ServerHello):
            return _chosen(message, offer)
        assert isinstance(message, Alert)  # the flight lets nothing else through before the ServerHello
        if message.is_fatal or message.description == CLOSE_NOTIFY:
            return Refused(alert=message.description)
    return None


def _chosen(hello: ServerHello, offer: Offer) -> Negotiated:
    if hello.version > offer.highest:
        raise WireError("a version that was not offered")
    chosen = suites().get(hello.suite)
    if chosen is None or chosen.of not in offer.classes:
        raise WireError("a cipher suite that was not offered")
    if (hello.version == Version.TLS_1_3) != (chosen.of is Class.TLS13):
        raise WireError("a cipher suite of another version")
    return Negotiated(version=hello.version, suite=hello.suite)


def _with_group(answer: Negotiated, flight: ServerFlight, received: int) -> Generator[bytes, bytes, Negotiated]:
    """With DHE, read on to where the server names its group. Whatever hinders that takes nothing from the answer."""
    if answer.version == Version.TLS_1_3 or not suites()[answer.suite].name.startswith(("TLS_DHE_", "TLS_DH_anon_")):
        return answer
    try:
        while received <= MAX_RECEIVED:
            while (message := flight.next()) is not None:
                if isinstance(message, ServerKeyExchange):
                    return dataclasses.replace(answer, prime_bits=message.prime_bits())
                if isinstance(message, ServerHelloDone | Alert):
                    return answer
            data = yield b""
            received += len(data)
            flight.feed(data)
    except (Lost, WireError):
        pass
    return answer


def _farewell(version: Version) -> bytes:
    """That we go (RFC 8446 section 6.1), so that the server's log shows an end and not a broken connection."""
    outer = min(version, Version.TLS_1_2)
    return b"".join(Alert(level=WARNING, description=each).encode(outer) for each in (USER_CANCELED, CLOSE_NOTIFY))
