"""Each control can be closed: what refutes it is an observation that the program can make."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.assess.catalogue import catalogue
from leadapron.assess.judge import refuted
from leadapron.model import Attempt, Completed, Count, Depth, Endpoint, Observation, Owner, Product
from leadapron.pipeline_history import refusal
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Outcome
from leadapron.protocols.dicom.probe import Dicom, encode

HERE = Endpoint(address=ip_address("127.0.0.1"), port=104)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")


def concluded(**attempts: Attempt[Any]) -> Observation:
    """What the plan makes of these attempts: the one service that is there."""
    encoded: Mapping[str, Any] = {
        name.replace("ask", f"ask:{ANY_TITLE}"): encode(attempt) for name, attempt in attempts.items()
    }
    (seen,), _ = Dicom().conclude(Case(endpoint=HERE, terms=TERMS, attempts=encoded))
    return seen


def accepted(*contexts: str, toolkit: str = "") -> Attempt[Any]:
    product = Product(toolkit=toolkit)
    return Completed(result=Negotiated(outcome=Outcome.ACCEPTED, accepted=contexts, product=product))


def rejected(reason: int) -> Attempt[Any]:
    return Completed(result=Negotiated(outcome=Outcome.REJECTED, rj_result=1, rj_source=1, rj_reason=reason))


def listed(**found: Any) -> Attempt[Any]:
    answer = Found(answer=Answer.PROVEN, status=0xA700, studies=Count.at_least(100), most_answers=100, **found)
    return Completed(result=InquiryResult(echo_status=0, model=answer, queries=1))


SEEN = {
    "the port refuses": refusal(HERE, "dicom"),
    "the called title is rejected": concluded(hello=rejected(7)),
    "our calling title is rejected": concluded(hello=rejected(3)),
    "everybody is rejected": concluded(hello=rejected(1)),
    "nothing but C-ECHO is offered": concluded(hello=accepted("verification")),
    "the version is not affected": concluded(hello=accepted("verification", toolkit="OFFIS DCMTK 3.99.0")),
    "answers are capped": concluded(hello=accepted("study_find"), ask=listed(capped=True)),
}
CLOSES = {
    "LA-01": {"the port refuses"},
    "LA-07": {"the called title is rejected", "our calling title is rejected"},
    "LA-08": {"our calling title is rejected"},
    "LA-10": set(SEEN) - {"the port refuses"},
    "LA-11": set(SEEN) - {"the port refuses", "answers are capped"},
    "LA-13": set(SEEN) - {"the port refuses"},
    "LA-14": set(SEEN) - {"the port refuses"},
    "LA-15": set(SEEN) - {"the port refuses"},
    "LA-36": {"the version is not affected"},
}


@pytest.mark.parametrize("control", catalogue())
def test_each_control_is_closed_by_what_can_be_seen_and_by_nothing_else(control: str) -> None:
    assert {what for what, seen in SEEN.items() if refuted(control, seen)} == CLOSES[control]
    assert CLOSES[control]
