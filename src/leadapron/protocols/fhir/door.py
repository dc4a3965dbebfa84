"""FHIR as a door over HTTP. The verdict table is in `docs/fhir.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Count,
    Counts,
    CountSource,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import Attempts
from leadapron.protocols.base import Case, Identify
from leadapron.protocols.fhir.counting import (
    BASES,
    FhirCount,
    FhirCounting,
    FhirLooking,
    FhirPlace,
    FhirPlaces,
    FhirTotal,
    Said,
)
from leadapron.protocols.http.web import Front, WebDoor, look_of, look_within, reached, read_behind

NAME = "fhir"
LOOK, COUNT = look_of(NAME), f"{NAME}.count"


class Fhir(WebDoor):
    name = NAME
    rank = 5
    results: ClassVar[Mapping[str, type[Any]]] = {"fhir_places": FhirPlaces, "fhir_count": FhirCount}

    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        found = attempts.get(LOOK)
        if found is None:
            return _look(case, attempts)
        if not isinstance(found, Completed):
            return None
        open_places = [place for place in found.result.places if not place.is_locked]
        return next((_count(case, each) for each in open_places if _name(each) not in attempts), None)

    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:  # noqa: ARG002
        found = attempts.get(LOOK)
        if not isinstance(found, Completed):
            return ()
        return [_observe(case, place, attempts.get(_name(place))) for place in found.result.places]


def _name(place: FhirPlace) -> str:
    return f"{COUNT}:{place.resource}"


def _look(case: Case, attempts: Attempts) -> FhirLooking | None:
    return look_within(FhirLooking, NAME, case, attempts, most=len(BASES))


def _count(case: Case, place: FhirPlace) -> FhirCounting:
    return FhirCounting(
        name=_name(place),
        endpoint=case.endpoint,
        depth=Depth.COUNT,
        contact=case.terms.contact,
        requests=min(2, case.terms.queries),
        limits=Limits(deadline=case.terms.seconds, idle_timeout=30.0, max_received=8 << 20),
        base=place.base,
    )


# -- what it means -----------------------------------------------------------------------------------------------------


def _observe(case: Case, place: FhirPlace, counted: Attempt[FhirCount] | None) -> Observation:
    listed, unknowns = _listed(place, counted)
    facts: dict[str, int | bool] = {"web.status": place.status}
    if place.release:
        facts["fhir.release"] = place.release
    counts = Counts()
    if isinstance(counted, Completed):
        studies, patients = counted.result.studies, counted.result.patients
        facts |= {"fhir.studies_status": studies.status, "fhir.patients_status": patients.status}
        counts = Counts(studies=_number(studies), patients=_number(patients))
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=listed, read=read_behind(listed))
    product = Product(name=place.product, version=place.version, confidence="source" if place.product else "")
    return reached(
        case,
        NAME,
        place.resource,
        access,
        counts=counts,
        facts=facts,
        product=product,
        unknowns=tuple(unknowns),
    )


def _number(total: FhirTotal) -> Count | None:
    """None for none: an empty answer may be a filtered one."""
    if total.number <= 0:
        return None
    if total.said is Said.TOTAL:
        return Count.exact(total.number, CountSource.CLAIMED)
    return Count.at_least(total.number)


_WHY: Mapping[Said, Reason] = {
    Said.TOTAL: Reason.EMPTY,
    Said.ENTRIES: Reason.EMPTY,
    Said.LOCKED: Reason.AUTH,
    Said.CAPPED: Reason.LIMIT,
    Said.OTHER: Reason.PROTOCOL,
    Said.CUT: Reason.TRUNCATED,
}


def _listed(place: FhirPlace, counted: Attempt[FhirCount] | None) -> tuple[Verdict, list[Failed]]:
    if place.is_locked:
        return Verdict.REFUSED, []
    if counted is None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=Reason.BUDGET)]
    if isinstance(counted, Failed):
        return Verdict.UNKNOWN, [counted]
    count = counted.result
    both = (count.studies, count.patients)
    if any(total.number > 0 for total in both):
        return Verdict.PROVEN, [why for total in both for why in _not_exact(total, count.why)]
    if all(total.said is Said.LOCKED for total in both):
        return Verdict.REFUSED, []
    reasons = dict.fromkeys(_WHY.get(total.said, count.why or Reason.PROTOCOL) for total in both)
    return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=reason) for reason in reasons]


def _not_exact(total: FhirTotal, why: Reason | None) -> list[Failed]:
    if total.said is Said.TOTAL and total.number > 0:
        return []
    if total.said is Said.ENTRIES and total.number > 0:
        return [Failed(stage=Stage.COUNT, reason=Reason.LIMIT, detail="a bundle without a total")]
    return [Failed(stage=Stage.COUNT, reason=_WHY.get(total.said, why or Reason.PROTOCOL))]


DOOR = Fhir()
