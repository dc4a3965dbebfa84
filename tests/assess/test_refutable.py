"""Each control can be closed: what refutes it is an observation that the program can make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.assess.catalogue import catalogue
from leadapron.assess.compare import compared
from leadapron.assess.judge import refuted
from leadapron.identify.match import match
from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Count,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Owner,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.pipeline_history import refusal
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Outcome
from leadapron.protocols.dicom.probe import PROTOCOL, Dicom
from leadapron.protocols.tls import offers
from leadapron.protocols.tls.certificate import CertificateFacts, KeyType
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import Offer, Probe
from leadapron.protocols.tls.suites import Class, numbers_of

HERE = Endpoint(address=ip_address("127.0.0.1"), port=104)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")


def concluded(
    terms: Terms = TERMS, more: Mapping[str, Attempt[Any]] | None = None, **attempts: Attempt[Any]
) -> Observation:
    """What the plan makes of these attempts, and `more` under their own names: the one service that is there."""
    encoded: dict[str, Any] = {
        name.replace("ask", f"ask:{ANY_TITLE}"): PROTOCOL.encode_attempt(attempt) for name, attempt in attempts.items()
    }
    encoded |= {name: PROTOCOL.encode_attempt(attempt) for name, attempt in (more or {}).items()}
    (seen,), _ = Dicom().conclude(Case(endpoint=HERE, terms=terms, attempts=encoded))
    return seen


def accepted(*contexts: str, toolkit: str = "") -> Attempt[Any]:
    product = Product(toolkit=toolkit)
    return Completed(result=Negotiated(outcome=Outcome.ACCEPTED, accepted=contexts, product=product))


def rejected(reason: int) -> Attempt[Any]:
    return Completed(result=Negotiated(outcome=Outcome.REJECTED, rj_result=1, rj_source=1, rj_reason=reason))


def listed(**found: Any) -> Attempt[Any]:
    answer = Found(answer=Answer.PROVEN, status=0xA700, studies=Count.at_least(100), most_answers=100, **found)
    return Completed(result=InquiryResult(echo_status=0, model=answer, queries=1))


def chosen(offer: Offer) -> offers.Negotiated | offers.Refused:
    """By a server of TLS 1.2 and 1.3 that has nothing but ECDHE with AEAD."""
    for version, suites in ((Version.TLS_1_3, Class.TLS13), (Version.TLS_1_2, Class.AEAD_ECDHE)):
        if version <= offer.highest and suites in offer.classes:
            return offers.Negotiated(version=version, suite=numbers_of({suites})[0])
    return offers.Refused(alert=40)


def inside_tls() -> Observation:
    """A server that is as it should be: BCP 195, a good certificate of its own, and none gets in without one of theirs."""
    certificate = CertificateFacts(
        self_signed=False,
        days_left=200,
        not_yet_valid=False,
        key=KeyType.EC,
        bits=256,
        weak_signature=False,
        spki_sha256="5a" * 32,
    )
    shaken = Handshake(version=Version.TLS_1_3, certificate=certificate, client_certificate=ClientCertificate.DEMANDED)
    failed = Failed(stage=Stage.HANDSHAKE, reason=Reason.RESET)
    attempts: dict[str, Any] = {"hello": PROTOCOL.encode_attempt(failed)}
    dicom = Dicom()
    while (job := dicom.next_job(Case(endpoint=HERE, terms=TERMS, attempts=attempts), match)) is not None:
        result = chosen(job.offer) if isinstance(job, Probe) else shaken
        attempts[job.name] = PROTOCOL.encode_attempt(Completed(result=result))
    (seen,), _ = dicom.conclude(Case(endpoint=HERE, terms=TERMS, attempts=attempts))
    other = Service(endpoint=replace(HERE, port=2763, address=ip_address("127.0.0.2")), protocol="dicom")
    return compared([seen, replace(seen, service=other, tls={"spki_sha256": "00" * 32})])[0]


def of_a_door(protocol: str, facts: Mapping[str, int | bool], **access: Verdict) -> Observation:
    """One that answers, and gives away nothing else."""
    service = Service(endpoint=HERE, protocol=protocol)
    answering = Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, **access)
    return Observation(service=service, access=answering, owner=Owner(grant="g"), facts=facts)


IN_TLS = "inside TLS, which is as it should be, and demands a certificate"
SEEN = {
    IN_TLS: inside_tls(),
    "a peer's title is refused too": concluded(
        replace(TERMS, calling_aets=("CT1",)), {f"caller:CT1:{ANY_TITLE}": rejected(3)}, hello=rejected(3)
    ),
    "a blank login is rejected": concluded(
        TERMS,
        {f"identity:{ANY_TITLE}": rejected(1)},
        hello=accepted("verification", "study_find", "study_get", "ct_storage"),
    ),
    "it is in the inventory": replace(
        concluded(hello=accepted("verification", "study_find", "study_get", "ct_storage")),
        facts={"inventory.known": True, "inventory.owned": True},
    ),
    "the port refuses": refusal(HERE, "dicom"),
    "the called title is rejected": concluded(hello=rejected(7)),
    "our calling title is rejected": concluded(hello=rejected(3)),
    "everybody is rejected": concluded(hello=rejected(1)),
    "nothing but C-ECHO is offered": concluded(hello=accepted("verification")),
    "the version is not affected": concluded(hello=accepted("verification", toolkit="OFFIS DCMTK 3.99.0")),
    "answers are capped": concluded(hello=accepted("study_find"), ask=listed(capped=True)),
}
WEB: dict[str, Observation] = {
    "the web port refuses": refusal(HERE, "http"),
    "a route refuses": of_a_door("dicomweb", {"clear": True}, list=Verdict.REFUSED),
    "a page is asked for inside TLS": of_a_door("http", {"clear": False, "web.basic": True}),
    "a blank login is refused by a page": of_a_door(
        "http", {"clear": True, "web.basic": True, "blank_login_accepted": False}
    ),
    "its version is not affected": replace(
        of_a_door("dicomweb", {"clear": True}), product=Product(name="Orthanc", version="99.0.0")
    ),
}
"""Likewise of the doors over HTTP."""
SEEN |= WEB
NO_CALLER = {"our calling title is rejected", "a peer's title is refused too"}
OPEN = {"the port refuses", "a blank login is rejected", "it is in the inventory"}
"""What shows nothing but that."""
OF_DICOM = set(SEEN) - set(WEB)
CLOSES = {
    "LA-01": {"the port refuses"},
    "LA-04": {"it is in the inventory"},
    "LA-07": {"the called title is rejected", *NO_CALLER},
    "LA-08": NO_CALLER,
    "LA-09": {"a peer's title is refused too"},
    "LA-10": OF_DICOM - OPEN,
    "LA-11": OF_DICOM - OPEN - {"answers are capped"},
    "LA-13": OF_DICOM - OPEN,
    "LA-14": OF_DICOM - OPEN,
    "LA-15": OF_DICOM - OPEN,
    "LA-17": {"a blank login is rejected", "everybody is rejected", "the called title is rejected", *NO_CALLER, IN_TLS},
    "LA-19": {IN_TLS, "the port refuses"},
    "LA-20": {IN_TLS},
    "LA-21": {IN_TLS},
    "LA-22": {IN_TLS},
    "LA-36": {"the version is not affected"},
    "LA-02": {"a route refuses"},
    "LA-18": {"the web port refuses", "a page is asked for inside TLS"},
    "LA-43": {"the web port refuses", "a page is asked for inside TLS", "a route refuses"},
    "LA-23": {"the web port refuses", "a blank login is refused by a page"},
}
CLOSES["LA-36"].add("its version is not affected")
OF_FILES = {control.id for control in catalogue().values() if control.protocols == {"files"}}
"""Which `tests/protocols/files` holds to the same."""


@pytest.mark.parametrize("control", sorted(set(catalogue()) - OF_FILES))
def test_each_control_is_closed_by_what_can_be_seen_and_by_nothing_else(control: str) -> None:
    assert {what for what, seen in SEEN.items() if refuted(control, seen)} == CLOSES[control]
    assert CLOSES[control]
