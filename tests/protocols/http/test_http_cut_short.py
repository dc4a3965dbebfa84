"""A web server on which nothing was found is one without anything only where every door looked to the end."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address

import pytest

from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Owner, Reason, Stage
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.fhir.counting import FhirPlaces
from leadapron.protocols.http.plan import HttpPlan
from leadapron.protocols.http.web import Front
from leadapron.protocols.portal.looking import PortalPages
from leadapron.protocols.webdav.looking import DavPlace, DavPlaces

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON", now=dt.datetime.now(dt.UTC))
CASE = Case(endpoint=HERE, terms=TERMS, attempts={})
RESET = Failed(stage=Stage.LIST, reason=Reason.RESET)


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ({"fhir.look": Completed(result=FhirPlaces()), "portal.look": Completed(result=PortalPages())}, Reason.EMPTY),
        ({"fhir.look": Completed(result=FhirPlaces(why=RESET))}, Reason.RESET),
        (
            {"fhir.look": Completed(result=FhirPlaces()), "portal.look": Completed(result=PortalPages(why=RESET))},
            Reason.RESET,
        ),
        ({"portal.look": RESET}, Reason.RESET),
    ],
)
def test_a_look_that_was_cut_short_is_not_nothing(looks: dict[str, Attempt[object]], reason: Reason) -> None:
    attempts = {"hello": Completed(result=Front(status=200)), **looks}
    found, why = HttpPlan().conclude(CASE, attempts)
    assert not found
    assert why is not None
    assert why.reason is reason


@pytest.mark.parametrize("cut", [RESET, Completed(result=PortalPages(why=RESET))], ids=["not at all", "in the middle"])
def test_what_one_door_found_does_not_hide_what_another_could_not_look_for(cut: Attempt[object]) -> None:
    looks = {"webdav.look": Completed(result=DavPlaces(places=(DavPlace(resource="/", status=401),)))}
    attempts: dict[str, Attempt[object]] = {"hello": Completed(result=Front(status=200)), **looks, "portal.look": cut}
    found, why = HttpPlan().conclude(CASE, attempts)
    assert why is None
    assert [seen.service.resource for seen in found] == ["/"]
    assert RESET in found[0].unknowns
