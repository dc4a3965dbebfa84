from __future__ import annotations

from ipaddress import ip_address

import pytest

from leadapron.assess.condition import AccessIs, AllOf, AnyOf, FactAtLeast, FactEquals, VantageIs
from leadapron.model import Access, Endpoint, Observation, Owner, Service, VantageKind, Verdict

SERVICE = Service(endpoint=Endpoint(address=ip_address("127.0.0.1"), port=104), protocol="dicom")
SEEN = Observation(
    service=SERVICE,
    access=Access(list=Verdict.PROVEN),
    owner=Owner(grant="g"),
    facts={"yes": True, "no": False, "one": 1, "ten": 10},
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (FactEquals(fact="yes", equals=True), True),
        (FactEquals(fact="no", equals=False), True),
        (FactEquals(fact="yes", equals=1), False),
        (FactEquals(fact="one", equals=True), False),
        (FactEquals(fact="absent", equals=False), False),
        (FactAtLeast(fact="ten", at_least=10), True),
        (FactAtLeast(fact="ten", at_least=11), False),
        (FactAtLeast(fact="yes", at_least=0), False),
        (FactAtLeast(fact="absent", at_least=0), False),
        (AccessIs(access="list", verdicts=frozenset({Verdict.PROVEN})), True),
        (AccessIs(access="read", verdicts=frozenset({Verdict.REFUSED, Verdict.UNKNOWN})), False),
        (VantageIs(kinds=frozenset({VantageKind.OFFICE})), True),
        (VantageIs(kinds=frozenset({VantageKind.INTERNET})), False),
        (AllOf(conditions=(FactEquals(fact="yes", equals=True), FactEquals(fact="one", equals=1))), True),
        (AllOf(conditions=(FactEquals(fact="yes", equals=True), FactEquals(fact="one", equals=2))), False),
        (AnyOf(conditions=(FactEquals(fact="yes", equals=False), FactEquals(fact="one", equals=1))), True),
        (AnyOf(conditions=(FactEquals(fact="yes", equals=False), FactEquals(fact="one", equals=2))), False),
    ],
)
def test_a_condition_holds_only_on_what_is_known(condition: FactEquals, expected: bool) -> None:
    assert condition.holds(SEEN, VantageKind.OFFICE) is expected


def test_a_condition_on_the_vantage_is_false_without_one() -> None:
    assert not VantageIs(kinds=frozenset(VantageKind)).holds(SEEN, None)
