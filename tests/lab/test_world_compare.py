"""A run held against the truth of a world: what it found is no difference, and each way to differ is said."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import pytest
from small_worlds import PORT, holding, server, world_of

from leadapron.lab.world.compare import Comparison, Held, compare
from leadapron.lab.world.model import Kind
from leadapron.lab.world.studies import Whose
from leadapron.lab.world.truth import truth
from leadapron.model import (
    Access,
    Count,
    CountKind,
    Counts,
    CountSource,
    Endpoint,
    Failed,
    Genuineness,
    Observation,
    Owner,
    Reason,
    Run,
    RunStatus,
    Service,
    Stage,
    Unique,
    Unknown,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.report.view import View, build_view

WORLD = world_of(
    [
        server("198.18.0.1", holding(400, 40_000, origin=1), country="DE"),
        server("198.18.0.2", holding(400, 40_000, origin=1), kind=Kind.MIRROR, country="FR"),
        server("198.18.0.3", holding(50, 5_000, origin=3), country="FR", port=104),
        server("198.18.0.4", holding(30, 3_000, origin=4, whose=Whose.HONEYPOT), country="IT"),
        server("198.18.0.5", holding(70, 700, origin=5), kind=Kind.ABORTS, country="IT"),
    ]
)
TRUTH = truth(WORLD)
RUN = Run(
    id="run-1",
    kind="audit",
    scope_id="world",
    scope_sha256="00",
    vantage=Vantage(kind=VantageKind.INTERNET, name="namespace"),
    version="0",
    started_at=dt.datetime(2026, 11, 28, tzinfo=dt.UTC),
    status=RunStatus.COMPLETE,
    ports=(104, PORT),
    unique=Unique(
        studies=Count.exact(480),
        images=Count.exact(48_000),
        genuine_studies=Count.exact(450),
        genuine_images=Count.exact(45_000),
    ),
)


def seen(number: int, **changes: Any) -> Observation:
    """What a run that found everything says of a server of the world."""
    known = WORLD.servers[number - 1]
    listed = Verdict.PROVEN if known.kind.lists else Verdict.REFUSED
    counts = Counts(studies=Count.exact(known.holdings.studies), images=Count.exact(known.holdings.images))
    values: dict[str, Any] = {
        "service": Service(endpoint=Endpoint(address=known.address, port=known.port), protocol="dicom"),
        "access": Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=listed),
        "counts": counts if known.kind.lists else Counts(),
        "owner": Owner(grant="g", country=known.country),
        "genuineness": Genuineness(verdict=known.whose.value, score=1.0) if known.kind.lists else None,
    }
    return Observation(**values | changes)


def everything(**changes: Observation | None) -> list[Observation]:
    """All that there is, but for what is said of `s1` to `s5`."""
    all_seen = {f"s{number}": seen(number) for number in range(1, 6)}
    return [each for each in {**all_seen, **changes}.values() if each is not None]


def view(observations: Sequence[Observation], unknowns: Sequence[Unknown] = (), **run: Any) -> View:
    return build_view(dataclasses.replace(RUN, **run), observations, [], unknowns)


def compared(*observations: Observation, unknowns: Sequence[Unknown] = (), **run: Any) -> Comparison:
    return compare(TRUTH, view(observations or everything(), unknowns, **run))


def bound(low: int, high: int | None = None, kind: CountKind = CountKind.BOUND) -> Count:
    return Count(value=low, low=low, high=high, kind=kind, source=CountSource.CLAIMED)


def test_the_truth_is_no_difference() -> None:
    found = compared()
    assert found.is_good
    assert (found.exposed, found.found, found.not_judged, found.estimates) == (4, 4, 0, 0)
    assert not (found.missed or found.false_alarms or found.genuineness or found.countries_wrong or found.counts_wrong)
    assert {held.error for held in found.totals} == {0.0}
    assert [(each.code, each.servers, each.servers_found) for each in found.countries] == [
        ("FR", 2, 2),
        ("DE", 1, 1),
        ("IT", 1, 1),
    ]


def test_bounds_within_a_percent_are_good_and_others_are_not() -> None:
    near = seen(1, counts=Counts(images=bound(39_700)))
    unique = dataclasses.replace(RUN.unique or Unique(), images=bound(47_700), genuine_images=bound(44_700))
    assert compared(*everything(s1=near), unique=unique).is_good

    far = seen(1, counts=Counts(images=bound(30_000)))
    found = compared(*everything(s1=far), unique=unique)
    assert not found.is_good
    images = found.totals[0]
    assert (images.name, images.is_inside, images.is_good) == ("images", True, False)
    assert images.error == pytest.approx(-10_000 / 88_000)


def test_without_a_census_nobody_is_judged_and_that_is_no_error() -> None:
    unjudged = [dataclasses.replace(each, genuineness=None) for each in everything()]
    found = compared(*unjudged, unique=Unique(studies=Count.exact(480), images=Count.exact(48_000)))
    assert found.is_good
    assert found.not_judged == 4
    assert [held.name for held in found.totals if not held.is_judged and held.found is None] == [
        "genuine_images",
        "unique_genuine_images",
    ]


def test_decoys_that_are_told_without_a_census_make_no_total_of_patients() -> None:
    unjudged = [dataclasses.replace(each, genuineness=None) for each in everything(s4=None)]
    nobodys = Unique(images=Count.exact(48_000), genuine_images=bound(0))
    found = compared(*unjudged, seen(4), unique=nobodys)
    assert found.is_good
    patients = {held.name: held for held in found.totals}["unique_genuine_images"]
    assert (patients.is_judged, patients.is_good) == (False, False)


def test_a_total_that_is_not_known_is_not_good() -> None:
    found = compared(unique=None)
    assert not found.is_good
    assert found.totals[1].found is None


RANGE = "198.18.0.0-198.18.0.63 port {}"
MISSES: dict[str, tuple[Callable[[], Comparison], str]] = {
    "nothing": (lambda: compared(*everything(s1=None)), "silent, closed, or not in the scope"),
    "stopped": (
        lambda: compared(*everything(s1=None), status=RunStatus.STOPPED),
        "not swept, or silent: the run is stopped",
    ),
    "another port": (lambda: compared(*everything(s1=None), ports=(104,)), "not looked for: no port of the scope"),
    "refused": (
        lambda: compared(*everything(s1=seen(1, access=Access(reach=Verdict.PROVEN, list=Verdict.REFUSED)))),
        "refused",
    ),
    "unknown": (
        lambda: compared(
            *everything(
                s1=seen(
                    1,
                    access=Access(reach=Verdict.PROVEN, list=Verdict.UNKNOWN),
                    unknowns=(Failed(stage=Stage.LIST, reason=Reason.EMPTY),),
                )
            )
        ),
        "unknown: list, empty",
    ),
    "not asked": (
        lambda: compared(*everything(s1=seen(1, access=Access(reach=Verdict.PROVEN, list=Verdict.NOT_ASKED)))),
        "unknown: list is not_asked",
    ),
    "no handshake": (
        lambda: compared(*everything(s1=None), unknowns=[unknown(f"198.18.0.1:{PORT}", Reason.TIMEOUT)]),
        "unknown: handshake, timeout",
    ),
    "a range": (
        lambda: compared(*everything(s1=None), unknowns=[unknown(RANGE.format(PORT), Reason.MIDDLEBOX)]),
        "middlebox: taken for a part of one",
    ),
    "a range with holes": (
        lambda: compared(
            *everything(s1=None), unknowns=[unknown(f"{RANGE.format(PORT)}, 60 of 64 addresses", Reason.MIDDLEBOX)]
        ),
        "middlebox: taken for a part of one",
    ),
    "a host": (
        lambda: compared(*everything(s1=None), unknowns=[unknown("198.18.0.1, every open port", Reason.MIDDLEBOX)]),
        "middlebox: taken for a part of one",
    ),
    "a range at another port": (
        lambda: compared(*everything(s1=None), unknowns=[unknown(RANGE.format(104), Reason.MIDDLEBOX)]),
        "silent, closed, or not in the scope",
    ),
    "another endpoint": (
        lambda: compared(*everything(s1=None), unknowns=[unknown(f"198.18.0.11:{PORT}", Reason.TIMEOUT)]),
        "silent, closed, or not in the scope",
    ),
    "the scope": (
        lambda: compared(*everything(s1=None), unknowns=[unknown("scope world", Reason.TIMEOUT)]),
        "silent, closed, or not in the scope",
    ),
    "reached": (
        lambda: compare(TRUTH, view(everything(s1=None)), [Endpoint(address=ip_address("198.18.0.1"), port=PORT)]),
        "unknown: reached, and not spoken to",
    ),
}


def unknown(place: str, reason: Reason) -> Unknown:
    return Unknown(endpoint=place, stage=Stage.HANDSHAKE, reason=reason)


@pytest.mark.parametrize("case", MISSES)
def test_a_missed_server_is_said_with_what_the_run_says_of_it(case: str) -> None:
    make, why = MISSES[case]
    found = make()
    assert not found.is_good
    assert found.found == 3
    (missed,) = found.missed
    assert (missed.endpoint, missed.country, missed.images) == (f"198.18.0.1:{PORT}", "DE", 40_000)
    assert missed.why == why
    assert [(each.servers, each.servers_found) for each in found.countries if each.code == "DE"] == [(1, 0)]


def patients(number: int) -> Observation:
    return seen(number, genuineness=Genuineness(verdict="patients", score=1.0))


def test_what_is_not_there_and_who_refuses_and_decoys_taken_for_patients_are_false_alarms() -> None:
    elsewhere = Service(endpoint=Endpoint(address=ip_address("198.18.0.77"), port=104), protocol="dicom")
    opened = Access(reach=Verdict.PROVEN, list=Verdict.PROVEN)
    found = compared(*everything(s4=patients(4), s5=seen(5, access=opened), s6=seen(3, service=elsewhere)))
    assert not found.is_good
    assert {(wrong.endpoint, wrong.says, wrong.truth) for wrong in found.false_alarms} == {
        ("198.18.0.77:104", "exposed, patients", "no server is there"),
        (f"198.18.0.5:{PORT}", "exposed, not judged", "aborts queries"),
        (f"198.18.0.4:{PORT}", "exposed, patients", "honeypot"),
    }


@pytest.mark.parametrize(("verdict", "is_wrong"), [("test", True), ("honeypot", True), ("unknown", False)])
def test_patients_taken_for_others_are_no_false_alarm_and_wrong_all_the_same(verdict: str, is_wrong: bool) -> None:
    found = compared(*everything(s3=seen(3, genuineness=Genuineness(verdict=verdict, score=1.0))))
    assert found.false_alarms == ()
    assert [(wrong.says, wrong.truth) for wrong in found.genuineness] == [(verdict, "patients")] * is_wrong
    assert found.not_judged == (not is_wrong)


def test_a_wrong_country_is_said() -> None:
    found = compared(*everything(s3=seen(3, owner=Owner(grant="g", country="ES")), s1=seen(1, owner=Owner(grant="g"))))
    assert not found.is_good
    assert [(wrong.says, wrong.truth) for wrong in found.countries_wrong] == [("none", "DE"), ("ES", "FR")]
    assert [each.code for each in found.countries if each.servers == 0] == ["", "ES"]


@pytest.mark.parametrize(
    ("count", "is_wrong", "is_estimate"),
    [
        (Count.exact(4_999), True, False),
        (bound(5_001), True, False),
        (bound(4_000, 4_999), True, False),
        (bound(4_990), False, False),
        (bound(4_000, 5_000), False, False),
        (bound(4_000, 4_999, CountKind.ESTIMATE), False, True),
        (bound(4_000, 6_000, CountKind.ESTIMATE), False, True),
    ],
)
def test_a_count_that_does_not_hold_the_truth_is_wrong_unless_it_is_an_estimate(
    count: Count, is_wrong: bool, is_estimate: bool
) -> None:
    found = compared(*everything(s3=seen(3, counts=Counts(images=count))))
    assert bool(found.counts_wrong) == is_wrong
    assert found.estimates == is_estimate
    assert found.estimates_missed == (is_estimate and count.high == 4_999)


def test_the_error_of_nothing_is_nothing() -> None:
    assert Held(name="x", truth=0, found=Count.exact(0)).is_good
    assert Held(name="x", truth=0, found=Count.exact(1)).error is None
    assert not Held(name="x", truth=0, found=Count.exact(1)).is_good
