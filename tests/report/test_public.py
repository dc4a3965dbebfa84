"""Aggregates for publication: what is counted, and that small numbers and names stay out, also between tables."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_estate import RUN, bound, closed, exposed, findings_of, seen

from leadapron.assess.catalogue import catalogue
from leadapron.model import (
    Count,
    Counts,
    Genuineness,
    Observation,
    Owner,
    Product,
    Reason,
    RunStatus,
    Severity,
    Stage,
    Unique,
    Unknown,
    VantageKind,
    Verdict,
)
from leadapron.report.public import Cell, Figures, Public, Table, Unseen, published
from leadapron.report.suppression import SMALL, Hidden, Number, is_small
from leadapron.report.view import View, build_view

PATIENTS, TEST = (Genuineness(verdict=verdict, score=0.9) for verdict in ("patients", "test"))
IN_CLEAR = {"associated": True, "clear": True}


def owner(country: str) -> Owner:
    return Owner(grant="grant", country=country)


def many(first: int, number: int, country: str = "DE", **parts: object) -> list[Observation]:
    """`number` exposed servers of a network of its own, each with 10 studies and 100 images unless told otherwise."""
    defaults: dict[str, object] = {
        "owner": owner(country),
        "counts": Counts(studies=Count.exact(10), images=Count.exact(100)),
        "product": Product(name="Orthanc", version="1.12.4"),
        "genuineness": PATIENTS,
        "facts": IN_CLEAR,
    }
    return [exposed(f"198.18.{first}.{one}", **defaults | parts) for one in range(1, number + 1)]


def of(observations: Sequence[Observation], unknowns: Iterable[Unknown] = (), **changes: object) -> Public:
    run = dataclasses.replace(RUN, **changes)  # type: ignore[arg-type]
    return published(build_view(run, observations, findings_of(list(observations)), unknowns))


def cells(table: Table) -> list[tuple[str, Number]]:
    assert table is not None
    return [(cell.name, cell.services) for cell in table]


def test_what_is_said_of_the_run() -> None:
    late = dt.datetime(2026, 11, 24, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    public = of(many(0, 6), started_at=late, status=RunStatus.RUNNING)
    assert public.day == dt.date(2026, 11, 23)
    assert (public.status, public.vantage, public.ports) == (RunStatus.INCOMPLETE, VantageKind.INTERNET, RUN.ports)
    assert public.country_source == "Test-Country, 2026-11-20"


def test_totals_in_all_each_once_and_of_patients() -> None:
    unique = Unique(
        studies=Count.exact(110),
        images=Count.exact(1100),
        genuine_studies=Count.exact(60),
        genuine_images=Count.exact(600),
    )
    totals = of(
        many(0, 7) + many(1, 5, genuineness=TEST) + [closed("198.18.9.1", Verdict.REFUSED)], unique=unique
    ).totals
    assert (totals.servers, totals.exposed_servers, totals.exposed_services) == (13, 12, 12)
    assert (totals.endpoints_tried, totals.endpoints_reached) == (1024, 39)
    assert totals.listed == Figures(studies=Count.exact(120), images=Count.exact(1200))
    assert totals.unique == Figures(studies=Count.exact(110), images=Count.exact(1100))
    assert totals.genuine == Figures(studies=Count.exact(60), images=Count.exact(600))


def test_of_patients_without_unique_totals() -> None:
    totals = of(many(0, 7) + many(1, 5, genuineness=TEST)).totals
    assert totals.unique == Figures(studies=None, images=None)
    assert totals.genuine == Figures(studies=None, images=Count.exact(700))


@pytest.mark.parametrize(("patients", "others"), [(7, 4), (4, 7), (7, 1), (1, 7)])
def test_what_few_services_hold_is_withheld_and_so_is_what_leaves_it_over(patients: int, others: int) -> None:
    totals = of(many(0, patients) + many(1, others, genuineness=TEST)).totals
    assert totals.genuine.images is Hidden.WITHHELD
    assert totals.listed.images == Count.exact(1100 if patients + others == 11 else 800)


def test_a_sum_over_few_that_are_known_is_withheld_though_many_are_exposed() -> None:
    totals = of(many(0, 6, counts=Counts(worklist=Count.exact(3))) + many(1, 2)).totals
    assert totals.listed == Figures(studies=Hidden.WITHHELD, images=Hidden.WITHHELD)


def test_several_titles_of_few_servers_are_few() -> None:
    (one,) = many(0, 1)
    titles = [
        dataclasses.replace(one, service=dataclasses.replace(one.service, resource=f"T{number}")) for number in range(8)
    ]
    public = of(titles)
    assert (public.totals.exposed_services, public.totals.exposed_servers) == (8, Hidden.FEW)
    assert public.totals.listed.images is Hidden.WITHHELD
    assert [public.country, public.product, public.encryption, public.control, public.severity] == [None] * 5


def test_by_country_with_images() -> None:
    public = of(many(0, 9) + many(1, 6, "IT", counts=Counts(images=bound(50))) + many(2, 5, ""))
    assert public.country == (
        Cell(name="DE", services=9, images=Count.exact(900)),
        Cell(name="IT", services=6, images=bound(300)),
        Cell(name="", services=5, images=Count.exact(500)),
    )


def test_a_small_country_hides_the_next_one_and_the_images_of_both() -> None:
    public = of(many(0, 9) + many(1, 6, "IT") + many(2, 2, "MT"))
    assert public.country == (
        Cell(name="DE", services=9, images=Count.exact(900)),
        Cell(name="IT", services=Hidden.WITHHELD, images=Hidden.WITHHELD),
        Cell(name="MT", services=Hidden.WITHHELD, images=Hidden.WITHHELD),
    )


def test_images_that_few_servers_of_a_country_account_for_hide_the_column() -> None:
    unknown = many(1, 5, "IT", counts=Counts())
    public = of(many(0, 9) + unknown + many(2, 2, "IT"))
    assert cells(public.country) == [("DE", 9), ("IT", 7)]
    assert public.country is not None
    assert {cell.images for cell in public.country} == {Hidden.WITHHELD}


def test_by_product_without_version() -> None:
    tie = Product(candidates=("dcm4chee-arc", "Karnak"))
    public = of(
        many(0, 5)
        + many(1, 4, product=Product(name="Orthanc", version="1.0"))
        + many(2, 6, product=tie)
        + many(3, 5, product=Product(toolkit="DCMTK 3.6.8"))
    )
    assert cells(public.product) == [("Orthanc", 9), ("dcm4chee-arc / Karnak", 6), ("", 5)]


def test_by_encryption() -> None:
    inside = many(1, 5, tls={"version.tls_1_3": True}, facts={"associated": True})
    assert cells(of(many(0, 8) + inside).encryption) == [("clear", 8), ("tls", 5)]
    assert cells(of(many(0, 8)).encryption) == [("clear", 8), ("tls", 0)]


def test_what_is_in_tls_is_not_told_by_a_control() -> None:
    """LA-19 counts what is in clear; with the total it would say what the other table hides."""
    inside = many(1, 2, tls={"version.tls_1_3": True}, facts={"associated": True})
    hidden, open_ = of(many(0, 8) + inside), of(many(0, 8))
    assert cells(hidden.encryption) == [("clear", Hidden.WITHHELD), ("tls", Hidden.WITHHELD)]
    assert dict(cells(hidden.control))["LA-19"] is Hidden.WITHHELD
    assert dict(cells(open_.control))["LA-19"] == 8
    assert {"LA-19", "LA-20", "LA-21", "LA-22"} <= set(catalogue())


def test_by_control_and_severity_of_what_a_stranger_meets() -> None:
    refused = [closed(f"198.18.9.{number}", Verdict.REFUSED, facts={"associated": True}) for number in range(1, 3)]
    behind = [dataclasses.replace(one, certified=True) for one in many(8, 9)]
    public = of(many(0, 6) + refused + behind)
    controls = dict(cells(public.control))
    assert controls["LA-11"] == 6
    assert controls["LA-01"] == 8
    assert [name for name, _ in cells(public.severity)] == [severity.value for severity in Severity]


def test_a_severity_does_not_tell_what_a_control_hides() -> None:
    """Six services break LA-11, two others LA-15: eight critical ones would say that it is two."""
    view = build_view(RUN, observations := many(0, 6) + many(1, 2), [], [])
    listed, capped = (
        [finding for finding in findings_of(observations) if finding.control == "LA-11"][start:end]
        for start, end in ((0, 6), (6, 8))
    )
    capped = [dataclasses.replace(finding, control="LA-15", key=f"{finding.key}x") for finding in capped]
    every = [dataclasses.replace(finding, severity=Severity.CRITICAL) for finding in (*listed, *capped)]
    assert len(every) == 8
    public = published(build_view(view.run, observations, every, []))
    assert cells(public.control) == [("LA-11", 6), ("LA-15", Hidden.FEW)]
    assert dict(cells(public.severity))["critical"] is Hidden.WITHHELD


def test_reasons_for_what_is_unknown() -> None:
    unknowns = [
        Unknown(endpoint="scope own-estate", stage=Stage.CONNECT, reason=Reason.TIMEOUT, count=700),
        Unknown(endpoint="198.18.0.1:104", stage=Stage.LIST, reason=Reason.TIMEOUT, count=1),
        Unknown(endpoint="198.18.0.2:104", stage=Stage.LIST, reason=Reason.EMPTY, count=2),
    ]
    assert of(many(0, 6), unknowns).unknowns == (
        Unseen(reason=Reason.TIMEOUT, endpoints=701),
        Unseen(reason=Reason.EMPTY, endpoints=Hidden.FEW),
    )


@pytest.mark.parametrize("number", [0, 1, 4])
def test_of_few_exposed_services_nothing_is_broken_down(number: int) -> None:
    others = [closed(f"198.18.9.{one}", Verdict.REFUSED) for one in range(1, 9)]
    public = of(many(0, number) + others)
    assert public.totals.servers == 8 + number
    assert public.totals.exposed_services == (Hidden.FEW if number else 0)
    tables = [public.country, public.product, public.encryption, public.control, public.severity, public.unknowns]
    assert tables == [None] * 6
    assert public.totals.listed.images is (Hidden.WITHHELD if number else None)


OBSERVATIONS = st.builds(
    lambda groups: [
        one
        for first, (number, country, product, is_tls, verdict, is_exposed) in enumerate(groups)
        for one in _group(first, number, country, product, is_tls=is_tls, verdict=verdict, is_exposed=is_exposed)
    ],
    st.lists(
        st.tuples(
            st.integers(1, 12),
            st.sampled_from(["DE", "IT", "MT", "SM", ""]),
            st.sampled_from(["Orthanc", "Horos", "Conquest", ""]),
            st.booleans(),
            st.sampled_from([PATIENTS, TEST, None]),
            st.booleans(),
        ),
        max_size=8,
    ),
)


def _group(
    first: int, number: int, country: str, product: str, *, is_tls: bool, verdict: Genuineness | None, is_exposed: bool
) -> list[Observation]:
    parts: dict[str, object] = {"product": Product(name=product), "genuineness": verdict}
    if is_tls:
        parts |= {"tls": {"version.tls_1_3": True}, "facts": {"associated": True}}
    if is_exposed:
        return many(first, number, country, **parts)
    return [
        seen(str(one.service.endpoint.address), owner=one.owner, facts=IN_CLEAR) for one in many(first, number, country)
    ]


def numbers(public: Public) -> list[Number]:
    tables = (public.country, public.product, public.encryption, public.control, public.severity)
    totals = public.totals
    return [
        *(cell.services for table in tables for cell in table or ()),
        *(unseen.endpoints for unseen in public.unknowns or ()),
        *(totals.endpoints_tried, totals.endpoints_reached, totals.servers),
        *(totals.exposed_servers, totals.exposed_services),
    ]


@settings(max_examples=200, deadline=None)
@given(observations=OBSERVATIONS)
def test_no_small_number_is_said_or_left_over_in_any_table(observations: list[Observation]) -> None:
    view = build_view(RUN, observations, findings_of(observations), [])
    public = published(view)
    assert not [number for number in numbers(public) if not isinstance(number, Hidden) and is_small(number)]
    for table in filter(None, (public.country, public.product, public.encryption)):
        shown = [cell.services for cell in table if not isinstance(cell.services, Hidden)]
        rest = view.totals.exposed_services - sum(shown)
        assert len(shown) == len(table) or (len(table) - len(shown) > 1 and rest >= SMALL)
    if public.country is not None:
        left = _images_left(view, public.country)
        assert left == 0 or left >= SMALL * 100
    if public.encryption is not None and any(isinstance(cell.services, Hidden) for cell in public.encryption):
        assert isinstance(dict(cells(public.control)).get("LA-19", Hidden.FEW), Hidden)


def _images_left(view: View, table: Sequence[Cell]) -> int:
    """What a reader gets who takes the images that are shown from their total."""
    shown = [cell.images for cell in table if isinstance(cell.images, Count)]
    total = view.totals.images
    assert total is not None
    return total.value - sum(count.value for count in shown)


@given(observations=OBSERVATIONS)
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_says_nothing_of_hidden_ones(observations: list[Observation]) -> None:
    public = published(build_view(RUN, observations, findings_of(observations), []))
    for table in filter(None, (public.country, public.product, public.encryption, public.control)):
        is_hidden = [isinstance(cell.services, Hidden) for cell in table]
        assert is_hidden == sorted(is_hidden)
        names = [cell.name for cell in itertools.compress(table, is_hidden)]
        assert names == sorted(names)
