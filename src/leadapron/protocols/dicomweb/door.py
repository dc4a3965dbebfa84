"""DICOMweb and Orthanc's REST interface as a door over HTTP: where archives are, what they count, what their answers mean.

The verdict table is in `docs/dicomweb.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Census,
    Completed,
    CountKind,
    Counts,
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
from leadapron.protocols.base import Case, Identify, Terms
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicomweb.census import Sampling, WebCensus
from leadapron.protocols.dicomweb.counting import Api, Counting, WebCount
from leadapron.protocols.dicomweb.finding import Archives, Looking, Place
from leadapron.protocols.http.web import Front, WebDoor, list_verdict, look_of, look_within, reached, read_behind

NAME = "dicomweb"
LOOK, COUNT, CENSUS = look_of(NAME), f"{NAME}.count", f"{NAME}.census"
ORTHANC = "Orthanc"
LOOKS = 32
"""Requests of one look at most."""


class DicomWeb(WebDoor):
    name = NAME
    rank = 1
    results: ClassVar[Mapping[str, type[Any]]] = {"archives": Archives, "web_count": WebCount, "web_census": WebCensus}

    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        found = attempts.get(LOOK)
        if found is None:
            return _look(case, attempts, front)
        if not isinstance(found, Completed):
            return None
        for place in found.result.places:
            if place.is_locked:
                continue
            if f"{COUNT}:{place.resource}" not in attempts:
                return _count(case, place)
            counted = attempts[f"{COUNT}:{place.resource}"]
            if _census_is_due(case.terms, counted) and f"{CENSUS}:{place.resource}" not in attempts:
                return _sample(case, place)
        return None

    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:
        found = attempts.get(LOOK)
        if not isinstance(found, Completed):
            return ()
        archives: Archives = found.result
        product = Product(name=ORTHANC, version=archives.version, confidence="source") if archives.is_orthanc else None
        observed = [_observe(case, attempts, each, product or front.product) for each in archives.places]
        if archives.is_orthanc and not any(each.api is Api.ORTHANC for each in archives.places):
            observed.insert(0, _talking(case, product or front.product))
        return observed


def _look(case: Case, attempts: Attempts, front: Front) -> Looking | None:
    return look_within(
        Looking,
        NAME,
        case,
        attempts,
        most=LOOKS,
        is_all_locked=front.is_locked or front.refuses_anything,
        answers_anything=front.answers_anything,
    )


def _count(case: Case, place: Place) -> Counting:
    terms = case.terms
    return Counting(
        name=f"{COUNT}:{place.resource}",
        endpoint=case.endpoint,
        depth=Depth.COUNT,
        contact=terms.contact,
        requests=max(terms.queries, terms.answers // 100),
        limits=Limits(deadline=terms.seconds, idle_timeout=30.0, max_received=1 << 30),
        api=place.api,
        base=place.base,
        route=place.route,
        answers=terms.answers,
        today=terms.today,
        key=terms.key,
        own=Own.of(terms.own_roots, terms.own_issuers),
    )


def _sample(case: Case, place: Place) -> Sampling:
    terms = case.terms
    return Sampling(
        name=f"{CENSUS}:{place.resource}",
        endpoint=case.endpoint,
        contact=terms.contact,
        requests=1,
        api=place.api,
        base=place.base,
        route=place.route,
        today=terms.today,
        issuers=Own.of(terms.own_roots, terms.own_issuers).issuers,
    )


def _census_is_due(terms: Terms, counted: Attempt[Any]) -> bool:
    is_open = isinstance(counted, Completed) and _is_proven(counted.result)
    return is_open and terms.depth >= Depth.CENSUS and terms.census


# -- what it means -----------------------------------------------------------------------------------------------------


def _is_proven(count: WebCount) -> bool:
    studies = count.studies
    return studies is not None and studies.value > 0


def _talking(case: Case, product: Product) -> Observation:
    """Orthanc that says who it is, and not how much it holds."""
    why = Failed(stage=Stage.LIST, reason=Reason.PROTOCOL)
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=Verdict.UNKNOWN)
    return reached(case, NAME, "/", access, product=product, unknowns=(why,))


def _observe(case: Case, attempts: Attempts, place: Place, product: Product) -> Observation:
    counted = attempts.get(f"{COUNT}:{place.resource}")
    sampled = attempts.get(f"{CENSUS}:{place.resource}")
    listed, unknowns = _listed(place, counted)
    facts: dict[str, int | bool] = {"web.status": place.status, "dicomweb.slash": place.route.endswith("/")}
    counts, census = Counts(), None
    if isinstance(counted, Completed):
        facts |= _facts(counted.result)
        counts = _counts(counted.result)
    if isinstance(sampled, Completed):
        census = Census(sampled=sampled.result.sampled, present=sampled.result.present)
        facts |= {f"sign.{name}": number for name, number in sampled.result.signs.items()}
    elif isinstance(sampled, Failed):
        unknowns.append(sampled)
    elif case.terms.depth >= Depth.CENSUS and not case.terms.census:
        facts["census_withheld"] = True
    access = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=listed, read=read_behind(listed))
    return reached(
        case,
        NAME,
        place.resource,
        access,
        counts=counts,
        census=census,
        facts=facts,
        product=product,
        unknowns=tuple(unknowns),
    )


def _listed(place: Place, counted: Attempt[WebCount] | None) -> tuple[Verdict, list[Failed]]:
    if place.is_locked:
        return Verdict.REFUSED, []
    if counted is None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=Reason.BUDGET)]
    if isinstance(counted, Failed):
        return Verdict.UNKNOWN, [counted]
    count = counted.result
    if _is_proven(count):
        return Verdict.PROVEN, _why_not_exact(count)
    if count.why is None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=Reason.EMPTY)]
    verdict, why = list_verdict(count.status)
    return verdict, [] if why is None else [Failed(stage=Stage.LIST, reason=count.why)]


def _why_not_exact(count: WebCount) -> list[Failed]:
    if count.why is not None:
        return [Failed(stage=Stage.COUNT, reason=count.why)]
    if count.studies is not None and count.studies.kind is not CountKind.EXACT:
        return [Failed(stage=Stage.COUNT, reason=Reason.PROTOCOL, detail="studies without a UID")]
    if count.images is None or count.images.kind is not CountKind.EXACT:
        return [Failed(stage=Stage.COUNT, reason=Reason.EMPTY, detail="studies do not say how many images they have")]
    return []


def _counts(count: WebCount) -> Counts:
    if not _is_proven(count):
        return Counts()
    return Counts(patients=count.patients, studies=count.studies, series=count.series, images=count.images)


def _facts(count: WebCount) -> dict[str, int | bool]:
    facts: dict[str, int | bool] = {"find_answers": count.answers, "dicomweb.bad_rows": count.bad_rows}
    facts["find_capped"] = count.is_capped
    if count.own_studies is not None:
        facts["own_studies"] = count.own_studies
    return facts


DOOR = DicomWeb()
