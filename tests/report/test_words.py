from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from report_estate import METHOD, bound, exposed, make_view

from leadapron.model import (
    Count,
    CountKind,
    Counts,
    CountSource,
    Product,
    Reason,
    RunStatus,
    Stage,
)
from leadapron.report import method, words
from leadapron.report.messages import Messages, messages
from leadapron.report.view import UnknownView, View
from leadapron.scope.doors import doors_of_their_own

EN, IT = messages("en"), messages("it")
ARCHIVE = Counts(studies=Count.exact(1), images=Count.exact(1))
ESTIMATE = Count(value=1200, low=900, high=1500, kind=CountKind.ESTIMATE, source=CountSource.SAMPLED)


@pytest.mark.parametrize(
    ("count", "long", "short"),
    [
        (None, "—", "—"),
        (Count.exact(12_345), "12,345", "12,345"),
        (bound(12_345), "at least 12,345", "≥ 12,345"),
        (bound(100, 200), "100 to 200", "100–200"),
        (ESTIMATE, "about 1,200", "≈ 1,200"),
    ],
)
def test_a_count_shows_what_it_is(count: Count | None, long: str, short: str) -> None:
    assert words.number(EN, count) == long
    assert words.short_number(EN, count) == short


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (Count.exact(1), "exact; counted by us, answer by answer"),
        (bound(1, source=CountSource.CLAIMED), "a lower bound; the server's own number"),
        (bound(1, 2), "bounds; counted by us, answer by answer"),
        (ESTIMATE, "an estimate, nominal 95 % interval 900 to 1,500; projected from a sample"),
    ],
)
def test_a_count_says_how_it_is_known(count: Count, text: str) -> None:
    assert words.provenance(EN, count) == text


def test_a_run_that_is_not_complete_says_so_and_why(viewed: Callable[..., View]) -> None:
    assert words.status(EN, viewed().run) == ""
    stopped = viewed(status=RunStatus.STOPPED, why="asked to stop").run
    assert words.status(EN, stopped) == (
        "This run was stopped before its end. What it did not reach is unknown, not safe. Reason: asked to stop."
    )


def test_why_a_run_is_not_complete_is_said_in_the_language_and_ends_once(viewed: Callable[..., View]) -> None:
    blind = "not one target answered, not even with a refusal: is our own way out blocked?"
    run = viewed(status=RunStatus.BLIND, why=blind).run
    assert words.status(EN, run).endswith(f"Reason: {blind}")
    assert words.status(IT, run).endswith(
        "Motivo: nessun obiettivo ha risposto, nemmeno con un rifiuto: è bloccata la nostra uscita?"
    )


@pytest.mark.parametrize(("language", "port", "more"), [("en", "port", "and 2 more"), ("it", "porta", "e altri 2")])
def test_places_are_named_in_the_language_and_the_rest_counted(language: str, port: str, more: str) -> None:
    ranges = tuple(f"198.18.{number}.0/24 port 104" for number in range(4))
    group = UnknownView(stage=Stage.CONNECT, reason=Reason.TIMEOUT, count=1024, places=ranges)
    assert words.places(messages(language), group, 2) == [
        f"198.18.0.0/24 {port} 104",
        f"198.18.1.0/24 {port} 104",
        more,
    ]


@pytest.mark.parametrize(
    ("product", "text"),
    [
        (Product(name="Orthanc", version="1.12.4", toolkit="DCMTK"), "Orthanc 1.12.4"),
        (Product(candidates=("Orthanc", "storescp")), "Orthanc or storescp"),
        (Product(toolkit="DCMTK 3.6.8"), "speaks DCMTK 3.6.8"),
        (Product(), "—"),
    ],
)
def test_a_tie_is_not_a_guess(product: Product, text: str) -> None:
    assert words.product(EN, product) == text


@pytest.mark.parametrize(
    ("t", "known", "perhaps"),
    [
        (EN, "Orthanc: Set DicomAlwaysAllowFind to", "If it is dcmqrscp: In every row"),
        (IT, "Orthanc: Impostare DicomAlwaysAllowFind a", "Se è dcmqrscp: In ogni riga"),
    ],
)
def test_the_steps_of_products_are_said_in_the_language_and_once(t: Messages, known: str, perhaps: str) -> None:
    tie = Product(candidates=("DCMTK tools (dcmqrscp, storescp, wlmscpfs)", "Synapse"))
    products = {"198.18.0.1": Product(name="Orthanc"), "198.18.0.2": Product(name="Orthanc"), "198.18.0.3": tie}
    view = make_view([exposed(address, product=product) for address, product in products.items()])
    steps = words.product_steps(t, view, "LA-11")
    assert len(steps) == len(set(steps))
    assert sum(step.startswith(known) for step in steps) == 1
    assert sum(step.startswith(perhaps) for step in steps) == 1
    assert words.product_steps(t, view, "LA-15") == []


def test_what_was_not_looked_at_names_the_ports(view: View) -> None:
    assert "the other 65,531" in method.not_looked(EN, view.run)[0]
    assert method.ports(EN, view.run.ports) == "4 of 65,535: 104, 2762, 4242, 11112"


@pytest.mark.parametrize(
    ("looked_for", "said", "left"),
    [
        ((), "—", "What an earlier version did not look for"),
        (("dicom",), "DICOM", "What was not looked for: DICOMweb, Directory listing, FHIR, FTP"),
        (
            ("dicom", "http"),
            "DICOM, DICOMweb, Directory listing, FHIR, HTTP, Viewers and portals, WebDAV",
            ": FTP, HL7",
        ),
        (tuple(doors_of_their_own()), "", None),
    ],
)
def test_what_was_not_looked_for_is_named(view: View, looked_for: tuple[str, ...], said: str, left: str | None) -> None:
    how = dataclasses.replace(METHOD, doors=looked_for)
    lines = method.not_looked(EN, dataclasses.replace(view.run, method=how))
    assert method.looked_for(EN, how) == (said or method.looked_for(EN, how))
    assert any(left in line for line in lines) if left else not any("looked for" in line for line in lines)
    assert "SMB" in method.looked_for(EN, how) or left


def test_doors_are_summed_up_where_there_are_several() -> None:
    login = exposed("198.18.0.9", 21, resource="/")
    share = dataclasses.replace(login, service=dataclasses.replace(login.service, protocol="ftp"))
    assert words.by_door(EN, make_view([exposed("198.18.0.1")])) == ""
    both = make_view([exposed("198.18.0.1"), share])
    assert words.by_door(EN, both) == "By door: DICOM 1 of 1 open, FTP 1 of 1 open"
    assert words.by_door(IT, both).startswith("Per via d'accesso: DICOM 1 su 1")


def test_dates_are_utc_in_the_language(view: View) -> None:
    assert words.when(EN, view.run.started_at) == "23 November 2026, 17:52 UTC"
    assert words.when(IT, view.run.started_at) == "23 novembre 2026, 17:52 UTC"
    assert words.when(EN, None) == "not finished"
