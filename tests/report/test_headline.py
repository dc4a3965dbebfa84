"""The first thing that is read. It says what was seen; what was not asked is not called refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from report_estate import RUN, bound, closed, estate, exposed, seen

from leadapron.model import (
    Count,
    Counts,
    Observation,
    Reason,
    RunStatus,
    Stage,
    Unknown,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.report.headline import sentence
from leadapron.report.messages import messages
from leadapron.report.view import View, build_view

EN, IT = messages("en"), messages("it")
ARCHIVE = Counts(studies=Count.exact(1), images=Count.exact(1))


def test_the_sentence_says_what_is_exposed(view: View) -> None:
    assert sentence(view, EN) == (
        "4 of 9 imaging servers let anyone on the internet list at least 4,210 studies with at least 475,142 images, "
        "and 86 worklist entries."
    )
    assert sentence(view, IT) == (
        "4 server di imaging su 9 permettono a chiunque su internet di elencare almeno 4.210 studi con almeno 475.142 "
        "immagini, e 86 voci della lista di lavoro."
    )


def test_one_is_singular(viewed: Callable[..., View]) -> None:
    two = viewed([exposed("198.18.0.1", counts=ARCHIVE), seen("198.18.0.2")])
    assert sentence(two, EN) == ("1 of 2 imaging servers lets anyone on the internet list 1 study with 1 image.")
    one = viewed([exposed("198.18.0.1", counts=ARCHIVE)])
    assert sentence(one, EN) == (
        "The only imaging server that answered lets anyone on the internet list 1 study with 1 image."
    )


def test_the_sentence_never_calls_uncounted_things_zero(viewed: Callable[..., View]) -> None:
    view = viewed([exposed("198.18.0.1", counts=Counts(studies=bound(0))), seen("198.18.0.2")])
    assert sentence(view, EN) == (
        "1 of 2 imaging servers lets anyone on the internet list records, how many is not known."
    )


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        (VantageKind.PARTNER_VPN, "anyone on the partner connection"),
        (VantageKind.OFFICE, "anyone on the office network"),
        (VantageKind.CLINICAL, "anyone on the clinical network"),
    ],
)
def test_the_sentence_says_who(viewed: Callable[..., View], kind: VantageKind, who: str) -> None:
    assert who in sentence(viewed(estate(), vantage=Vantage(kind=kind, name="x")), EN)


def answered(refused: int = 0, unknown: int = 0, not_asked: int = 0) -> list[Observation]:
    verdicts = [Verdict.REFUSED] * refused + [Verdict.UNKNOWN] * unknown + [Verdict.NOT_ASKED] * not_asked
    return [closed(f"198.18.0.{number + 1}", verdict) for number, verdict in enumerate(verdicts)]


LISTING = [
    (
        {"refused": 1},
        "The only imaging server that answered refused a stranger on the internet a list of what it holds.",
        (
            "L'unico server di imaging che ha risposto ha rifiutato a uno sconosciuto su internet l'elenco di ciò che "
            "contiene."
        ),
    ),
    (
        {"refused": 8},
        "8 imaging servers answered; each of them refused a stranger on the internet a list of what it holds.",
        (
            "Hanno risposto 8 server di imaging; ciascuno ha rifiutato a uno sconosciuto su internet l'elenco di ciò che "
            "contiene."
        ),
    ),
    (
        {"unknown": 1},
        (
            "Whether the only imaging server that answered lets anyone on the internet list what it holds could not be "
            "settled."
        ),
        (
            "Non si è potuto chiarire se l'unico server di imaging che ha risposto permetta a chiunque su internet di "
            "elencare ciò che contiene."
        ),
    ),
    (
        {"unknown": 2},
        (
            "2 imaging servers answered; whether any of them lets anyone on the internet list what it holds could not be "
            "settled."
        ),
        (
            "Hanno risposto 2 server di imaging; non si è potuto chiarire se qualcuno permetta a chiunque su internet di "
            "elencare ciò che contiene."
        ),
    ),
    (
        {"not_asked": 1},
        "The only imaging server that answered was not asked for a list of what it holds.",
        "All'unico server di imaging che ha risposto non è stato chiesto l'elenco di ciò che contiene.",
    ),
    (
        {"not_asked": 2},
        "2 imaging servers answered; none of them was asked for a list of what it holds.",
        "Hanno risposto 2 server di imaging; a nessuno è stato chiesto l'elenco di ciò che contiene.",
    ),
    (
        {"refused": 1, "unknown": 2, "not_asked": 1},
        (
            "4 imaging servers answered; none of them gave a stranger on the internet a list of what it holds: 1 refused, "
            "2 could not be settled, and 1 was not asked."
        ),
        (
            "Hanno risposto 4 server di imaging; nessuno ha dato a uno sconosciuto su internet un elenco di ciò che "
            "contiene: 1 ha rifiutato, 2 non sono stati chiariti e a 1 non è stato chiesto."
        ),
    ),
    (
        {"refused": 2, "not_asked": 3},
        (
            "5 imaging servers answered; none of them gave a stranger on the internet a list of what it holds: 2 refused "
            "and 3 were not asked."
        ),
        (
            "Hanno risposto 5 server di imaging; nessuno ha dato a uno sconosciuto su internet un elenco di ciò che "
            "contiene: 2 hanno rifiutato e a 3 non è stato chiesto."
        ),
    ),
]


@pytest.mark.parametrize(("counts", "english", "italian"), LISTING)
def test_a_refusal_is_said_of_those_that_refused_only(counts: dict[str, int], english: str, italian: str) -> None:
    view = build_view(RUN, answered(**counts), [], [])
    assert sentence(view, EN) == english
    assert sentence(view, IT) == italian


def test_a_server_refused_only_if_each_of_its_services_did() -> None:
    titles = [closed("198.18.0.1", verdict, resource=verdict.value) for verdict in (Verdict.REFUSED, Verdict.UNKNOWN)]
    assert "could not be settled" in sentence(build_view(RUN, titles, [], []), EN)


def test_what_was_offered_was_not_asked() -> None:
    view = build_view(RUN, [closed("198.18.0.1", Verdict.OFFERED)], [], [])
    assert "was not asked" in sentence(view, EN)


def unspoken(count: int, reason: Reason = Reason.OUT_OF_SCOPE) -> Unknown:
    return Unknown(endpoint="grant g, depth connect", stage=Stage.HANDSHAKE, reason=reason, count=count)


REACHED = [
    (1, [unspoken(1)], "The only endpoint that was reached was not spoken to."),
    (33, [unspoken(33)], "33 endpoints were reached; none of them was spoken to."),
    (33, [unspoken(33, Reason.STOPPED)], "33 endpoints were reached; none of them was spoken to."),
    (1, [unspoken(1, Reason.PROTOCOL)], "The only endpoint that was reached did not answer as a DICOM server."),
    (33, [unspoken(33, Reason.TIMEOUT)], "33 endpoints were reached; none of them answered as a DICOM server."),
    (20, [unspoken(20, Reason.MIDDLEBOX)], "20 endpoints were reached; all of them answer alike, as a middlebox does."),
    (
        33,
        [unspoken(1), unspoken(20, Reason.MIDDLEBOX)],
        (
            "33 endpoints were reached; none of them is known to be an imaging server: 12 did not answer as DICOM servers, "
            "20 answer alike, as a middlebox does, and 1 was not spoken to."
        ),
    ),
]


@pytest.mark.parametrize(("reached", "unknowns", "english"), REACHED)
def test_what_was_reached_and_is_no_server_says_what_is_known_of_it(
    viewed: Callable[..., View], reached: int, unknowns: list[Unknown], english: str
) -> None:
    run = viewed([], endpoints_reached=reached).run
    view = build_view(run, [], [], unknowns)
    assert sentence(view, EN) == english
    assert sentence(view, IT) != english


def test_nothing_reached_nothing_tried_and_nothing_seen_are_three_sentences(viewed: Callable[..., View]) -> None:
    assert sentence(viewed([], endpoints_reached=0), EN) == (
        "None of the 1,024 endpoints that were tried accepted a connection."
    )
    assert sentence(viewed([], endpoints_tried=1, endpoints_reached=0), EN) == (
        "The only endpoint that was tried accepted no connection."
    )
    assert sentence(viewed([], endpoints_tried=0, endpoints_reached=0), EN) == "No endpoint was tried."
    assert sentence(viewed([], status=RunStatus.BLIND), EN).startswith("This run could see nothing")


def test_a_run_that_went_blind_midway_says_so_before_what_it_saw(viewed: Callable[..., View]) -> None:
    said = sentence(viewed(status=RunStatus.BLIND), EN)
    assert said.startswith("This run could not see everything. 4 of 9 imaging servers let")
    assert sentence(viewed(status=RunStatus.BLIND), IT).startswith("Questa verifica non ha potuto vedere tutto. ")


def test_a_run_without_an_end_says_so_before_anything_else(viewed: Callable[..., View]) -> None:
    view = viewed([], status=RunStatus.RUNNING)
    assert sentence(view, EN) == (
        "This run is not finished. 1,024 endpoints were tried so far, 39 reached; what answers there is not judged yet."
    )
    assert sentence(view, IT).startswith(
        "Questa verifica non è terminata. Finora sono stati provati 1.024 indirizzi, raggiunti 39"
    )
    seen_so_far = sentence(viewed(status=RunStatus.RUNNING), EN)
    assert seen_so_far.startswith("This run is not finished. 4 of 9 imaging servers let")
