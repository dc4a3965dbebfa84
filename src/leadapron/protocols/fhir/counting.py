"""The jobs: where FHIR servers are on a web server, and how many imaging studies and patients each lets us count.

`_summary=count` asks for the total alone (HL7 FHIR R4, section 3.1.1.5.10). A server that does not know it sends entries,
which end where they are counted.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.fhir.documents import Kind, resource, software, tally
from leadapron.protocols.http.exchange import Answer, NoAnswer
from leadapron.protocols.http.web import BUSY, LOCKED, WebJob

JSON = ((b"Accept", b"application/fhir+json"),)
MAX_STATEMENT = 4 << 20
"""Bytes: HAPI's statement with every search parameter has more than one MiB."""
MAX_BUNDLE = 1 << 20
ROOT = "/"

BASES: Mapping[str, str] = {
    "": "the service root itself: many facades, fhirsnake",
    "/fhir": "HAPI's starter project, and most others",
    "/fhir/R4": "servers with a base a release",
    "/baseR4": "the public HAPI server",
    "/hapi-fhir-jpaserver/fhir": "HAPI's example WAR",
}
"""Where a FHIR service is looked for, and whose it is. The root first: servers that have nothing else
(fhirsnake) fail at other paths, and reset the connection."""

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirPlace:
    """A service. `status` is that of `metadata`; `release`, `product` and `version` are of our tables."""

    base: str
    status: int
    release: int = 0
    product: str = ""
    version: str = ""

    @property
    def resource(self) -> str:
        return self.base or ROOT

    @property
    def is_locked(self) -> bool:
        return self.status in LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirPlaces:
    places: tuple[FhirPlace, ...] = ()
    requests: int = 0
    why: Failed | None = None
    """not every base was asked"""
    ended: Failed | None = None
    """we ended it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirLooking(WebJob):
    """The job: `metadata` below every base."""

    def converse(self) -> Conversation[FhirPlaces]:
        client = self.client()
        places: list[FhirPlace] = []
        reason: Reason | None = None
        try:
            for base in BASES:
                target = f"{base}/metadata".encode()
                answer = yield from client.get(target, JSON, max_body=MAX_STATEMENT)
                if (place := place_of(base, answer)) is not None:
                    places.append(place)
        except (Lost, NoAnswer) as ended:
            reason = ended.reason
        why = None if reason is None else Failed(stage=Stage.LIST, reason=reason)
        result = FhirPlaces(
            places=tuple(places), requests=client.requests, why=why, ended=ended_by_us(Stage.LIST, reason)
        )
        return Completed(result=result)


def place_of(base: str, answer: Answer) -> FhirPlace | None:
    """Told by the content alone, also where it refuses: any path may be answered by anything."""
    try:
        kind, content = resource(answer.body)
    except WireError:
        is_fhir = answer.head.field(b"content-type").lower().startswith(b"application/fhir+")
        is_cut = answer.why is not None and answer.status == _OK
        is_place = is_fhir and (answer.status in LOCKED or is_cut)
        return FhirPlace(base=base, status=answer.status) if is_place else None
    if answer.status in LOCKED:
        return FhirPlace(base=base, status=answer.status) if kind is Kind.OUTCOME else None
    if answer.status != _OK:
        return None
    if kind is not Kind.CAPABILITY:
        return FhirPlace(base=base, status=answer.status)
    said = software(content)
    return FhirPlace(base=base, status=_OK, release=said.release, product=said.product, version=said.version)


class Said(enum.StrEnum):
    """What came of one question for a number."""

    NOT_ASKED = "not_asked"
    TOTAL = "total"
    """`number` is the server's own"""
    ENTRIES = "entries"
    """it states no total: `number` of entries came, there may be more"""
    LOCKED = "locked"
    CAPPED = "capped"
    OTHER = "other"
    """an OperationOutcome, another status, something that is no FHIR"""
    CUT = "cut"
    """an answer that is not whole"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirTotal:
    said: Said = Said.NOT_ASKED
    number: int = 0
    status: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirCount:
    """What was counted. `why`: not both questions were answered."""

    studies: FhirTotal = field(default_factory=FhirTotal)
    patients: FhirTotal = field(default_factory=FhirTotal)
    requests: int = 0
    why: Reason | None = None
    ended: Failed | None = None
    """we ended it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirCounting(WebJob):
    """The job: of one service."""

    base: str

    def converse(self) -> Conversation[FhirCount]:
        client = self.client()
        totals: list[FhirTotal] = []
        reason: Reason | None = None
        for name in ("ImagingStudy", "Patient"):
            target = f"{self.base}/{name}?_summary=count".encode()
            try:
                totals.append(total_of((yield from client.get(target, JSON, max_body=MAX_BUNDLE))))
            except Lost as lost:
                reason = lost.reason
                break
            except NoAnswer as none:
                reason = reason or none.reason
                totals.append(FhirTotal())
        return _counted(totals, reason, client.requests)


def _counted(totals: list[FhirTotal], reason: Reason | None, requests: int) -> Attempt[FhirCount]:
    if all(each.said is Said.NOT_ASKED for each in totals):
        return Failed(stage=Stage.LIST, reason=reason or Reason.PROTOCOL)
    studies, patients, *_ = (*totals, FhirTotal(), FhirTotal())
    ended = ended_by_us(Stage.COUNT, reason)
    return Completed(result=FhirCount(studies=studies, patients=patients, requests=requests, why=reason, ended=ended))


def total_of(answer: Answer) -> FhirTotal:
    """What an answer to a question for a number says."""
    status = answer.status
    if status in LOCKED:
        return FhirTotal(said=Said.LOCKED, status=status)
    if status != _OK:
        return FhirTotal(said=Said.CAPPED if status in BUSY else Said.OTHER, status=status)
    if answer.why is not None:
        return FhirTotal(said=Said.CUT, status=status)
    try:
        kind, content = resource(answer.body)
    except WireError:
        return FhirTotal(said=Said.OTHER, status=status)
    if kind is not Kind.BUNDLE:
        return FhirTotal(said=Said.OTHER, status=status)
    total, entries = tally(content)
    if total < 0:
        return FhirTotal(said=Said.ENTRIES, number=entries, status=status)
    return FhirTotal(said=Said.TOTAL, number=total, status=status)
