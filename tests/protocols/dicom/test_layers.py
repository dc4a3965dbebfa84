"""In clear or inside TLS: which is asked next, under which name, and what it makes of a budget that was cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from leadapron.identify.match import match
from leadapron.model import Attempt, Completed, Count, Depth, Endpoint, Failed, Owner, Reason, Stage
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Negotiation, Outcome
from leadapron.protocols.dicom.probe import PROTOCOL, Dicom
from leadapron.protocols.tls import offers
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake, Handshaking
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import Probe
from leadapron.protocols.tls.secured import Secured

DICOM = Dicom()
HERE = Endpoint(address=ip_address("127.0.0.1"), port=2762, name="pacs.example")
TERMS = Terms(depth=Depth.CENSUS, owner=Owner(grant="g"), calling_aet="LEADAPRON")
OURS = replace(TERMS, key_pair=(Path("certificate.pem"), Path("key.pem")))
NO_DICOM = Failed(stage=Stage.HANDSHAKE, reason=Reason.RESET)
OPEN = Completed(result=Negotiated(outcome=Outcome.ACCEPTED, accepted=("verification", "study_find")))
TLS_1_3 = offers.Negotiated(version=Version.TLS_1_3, suite=0x1301)
FREE = Handshake(version=Version.TLS_1_3, certificate=None, client_certificate=ClientCertificate.NOT_DEMANDED)
LOCKED = replace(FREE, client_certificate=ClientCertificate.DEMANDED)
CUT = Found(answer=Answer.PROVEN, why=Reason.BUDGET, most_answers=50, studies=Count.at_least(50))


def case(attempts: Mapping[str, Attempt[Any]], terms: Terms = TERMS) -> Case:
    return Case(
        endpoint=HERE,
        terms=terms,
        attempts={name: PROTOCOL.encode_attempt(attempt) for name, attempt in attempts.items()},
    )


def asked(shaken: Handshake, inside: Mapping[str, Attempt[Any]], terms: Terms = TERMS) -> dict[str, Attempt[Any]]:
    """Every attempt in the order of the plan, of a server of TLS 1.3; DICOM inside it answers `inside`, by the name of
    the attempt, and is silent else."""
    attempts: dict[str, Attempt[Any]] = {"hello": NO_DICOM}
    while (job := DICOM.next_job(case(attempts, terms), match)) is not None:
        answer: Attempt[Any]
        if isinstance(job, Probe):
            is_first = job.offer.highest is Version.TLS_1_3
            answer = Completed(result=TLS_1_3 if is_first else offers.Refused(alert=70))
        elif isinstance(job, Handshaking):
            answer = Completed(result=shaken)
        else:
            assert isinstance(job, Secured)
            assert not job.in_clear
            answer = inside.get(job.name, Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT))
        assert job.name not in attempts
        assert len(job.name) <= 64, "the store has no room for it"
        attempts[job.name] = answer
        assert len(attempts) < 40
    return attempts


def kinds(attempts: Mapping[str, Attempt[Any]]) -> list[str]:
    return [name if "offer" not in name else "offer" for name in attempts]


@pytest.mark.parametrize(
    "failed",
    [
        Failed(stage=Stage.CONNECT, reason=Reason.REFUSED),
        Failed(stage=Stage.CONNECT, reason=Reason.TIMEOUT),
        Failed(stage=Stage.HANDSHAKE, reason=Reason.MIDDLEBOX),
        Failed(stage=Stage.HANDSHAKE, reason=Reason.BUG),
    ],
)
def test_who_was_not_reached_or_only_echoes_is_not_asked_for_tls(failed: Failed) -> None:
    assert DICOM.next_job(case({"hello": failed}), match) is None


@pytest.mark.parametrize("reason", [Reason.RESET, Reason.TIMEOUT, Reason.PROTOCOL, Reason.TRUNCATED, Reason.LIMIT])
def test_who_speaks_no_dicom_in_clear_is_asked_for_tls(reason: Reason) -> None:
    attempts = {"hello": Failed(stage=Stage.HANDSHAKE, reason=reason)}
    assert isinstance(DICOM.next_job(case(attempts), match), Probe)
    assert DICOM.next_job(case(attempts, replace(TERMS, depth=Depth.CONNECT)), match) is None


@pytest.mark.parametrize(
    "answer",
    [
        OPEN,
        Completed(result=Negotiated(outcome=Outcome.ABORTED)),
        Completed(result=Negotiated(outcome=Outcome.REJECTED)),
    ],
)
def test_who_answers_dicom_in_clear_is_never_sent_a_client_hello(answer: Attempt[Any]) -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": answer}
    while (job := DICOM.next_job(case(attempts), match)) is not None:
        assert job.in_clear
        assert not isinstance(job, Probe | Handshaking)
        attempts[job.name] = Failed(stage=Stage.HANDSHAKE, reason=Reason.RESET)
    assert not [name for name in attempts if "tls" in name]


def test_the_least_is_asked_first() -> None:
    order = kinds(asked(FREE, {"tls/hello": OPEN}))

    assert order[:4] == ["hello", "offer", "tls:handshake", "tls/hello"]
    assert set(order[4:-1]) - {f"tls/ask:{ANY_TITLE}", f"tls/health:{ANY_TITLE}"} == {"offer"}
    assert order.index(f"tls/ask:{ANY_TITLE}") > max(place for place, name in enumerate(order) if name == "offer")


def test_what_is_inside_and_no_dicom_is_asked_nothing_more() -> None:
    web = Failed(stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL)
    attempts = asked(FREE, {"tls/hello": web})

    assert kinds(attempts) == ["hello", "offer", "tls:handshake", "tls/hello"]
    found, why = DICOM.conclude(case(attempts))
    assert (list(found), why) == ([], web)


def test_who_demands_a_certificate_is_not_asked_without() -> None:
    attempts = asked(LOCKED, {})

    assert set(kinds(attempts)) == {"hello", "offer", "tls:handshake"}
    (seen,), why = DICOM.conclude(case(attempts))
    assert (seen.access.list.value, seen.certified, why) == ("refused", False, None)


def test_ours_is_shown_where_one_is_demanded_and_nowhere_else() -> None:
    hidden = asked(FREE, {"tls/hello": OPEN}, OURS)
    shown = asked(LOCKED, {"mtls/hello": OPEN}, OURS)

    assert not [name for name in hidden if name.startswith("mtls")]
    assert not [name for name in shown if name.startswith("tls/")]
    job = DICOM.next_job(case({"hello": NO_DICOM, **dict(list(shown.items())[1:3])}, OURS), match)
    assert isinstance(job, Secured)
    assert job.key_pair == OURS.key_pair
    assert isinstance(job.job, Negotiation)
    stranger, certified = DICOM.conclude(case(shown, OURS))[0]
    assert (stranger.certified, certified.certified) == (False, True)


def test_ours_is_tried_where_a_handshake_without_one_is_whole_and_what_follows_is_hung_up_on() -> None:
    """As nginx does."""
    attempts = asked(FREE, {"tls/hello": NO_DICOM, "mtls/hello": OPEN, "tls/hello.2": NO_DICOM}, OURS)

    stranger, certified = DICOM.conclude(case(attempts, OURS))[0]
    assert (stranger.access.list.value, stranger.certified, certified.certified) == ("refused", False, True)
    assert stranger.facts["tls.client_certificate_demanded"] is True


def test_a_census_inside_tls_does_not_wait_for_leave_to_cross_in_clear() -> None:
    first = asked(FREE, {"tls/hello": OPEN})
    before = {name: attempt for name, attempt in first.items() if not name.startswith(("tls/ask", "tls/health"))}
    job = DICOM.next_job(case(before), match)

    assert job is not None
    assert (job.depth, job.in_clear) == (Depth.CENSUS, False)


def test_what_a_budget_cut_and_who_went_silent_have_the_names_of_their_layer() -> None:
    result = InquiryResult(echo_status=0, model=CUT, queries=1, answers=50)
    cut = asked(FREE, {"tls/hello": OPEN, f"tls/ask:{ANY_TITLE}": Completed(result=result)})
    assert DICOM.cut_by_budget(case(cut)) == {f"tls/ask:{ANY_TITLE}"}
    silent = asked(FREE, {"tls/hello": OPEN})
    assert DICOM.no_longer_answers(case(silent)) == {f"tls/health:{ANY_TITLE}", f"tls/health.2:{ANY_TITLE}"}


def test_a_plan_that_was_broken_off_goes_on_where_it_was() -> None:
    whole = asked(LOCKED, {"mtls/hello": OPEN}, OURS)
    names = list(whole)
    for known in range(1, len(names)):
        job = DICOM.next_job(case({name: whole[name] for name in names[:known]}, OURS), match)
        assert job is not None
        assert job.name == names[known]


def test_who_refuses_every_offer_speaks_tls_and_is_unknown() -> None:
    attempts: dict[str, Attempt[Any]] = {"hello": NO_DICOM}
    while (job := DICOM.next_job(case(attempts), match)) is not None:
        attempts[job.name] = Completed(result=offers.Refused(alert=40))

    found, why = DICOM.conclude(case(attempts))
    assert (list(found), why and (why.stage, why.reason)) == ([], (Stage.TLS, Reason.TLS))


def test_a_handshake_that_showed_nothing_is_told_where_the_server_is_asked_all_the_same() -> None:
    why = Failed(stage=Stage.CONNECT, reason=Reason.BUG, detail="ValueError at certificate.py:1")
    attempts = {**asked(FREE, {"tls/hello": OPEN}), "tls:handshake": why}
    (seen,), _ = DICOM.conclude(case(attempts))
    assert seen.access.talk.value == "proven"
    assert why in seen.unknowns
