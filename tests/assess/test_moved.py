"""What shows that a service is the one that answered elsewhere before."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.assess.moved import Move, by_place, moves
from leadapron.model import Access, Count, Counts, Endpoint, Observation, Owner, Product, Service, Verdict

OLD, NEW = Endpoint(address=ip_address("198.18.0.5"), port=104), Endpoint(address=ip_address("198.18.0.9"), port=11112)
KEY = "ab" * 32
CHECKED = {"called_title_enforced": True, "context.study_find": True}


def seen(endpoint: Endpoint, resource: str = "ANY-SCP", **changes: Any) -> Observation:
    facts = {"context.study_find": True, "context.study_move": True, "context.made_up": False}
    return Observation(
        **{
            "service": Service(endpoint=endpoint, protocol="dicom", resource=resource),
            "access": Access(list=Verdict.PROVEN),
            "owner": Owner(grant="g"),
            "product": Product(name="Orthanc", version="1.12.1"),
            "facts": facts,
            **changes,
        }
    )


def counts(studies: int, images: int, *, exact: bool = True) -> Counts:
    make = Count.exact if exact else Count.at_least
    return Counts(studies=make(studies), images=make(images))


def linked(gone: list[Observation], come: list[Observation]) -> list[Move]:
    return moves(by_place(gone), by_place(come))


def because(before: Observation, after: Observation) -> tuple[str, ...]:
    """Of the one move that there is; empty where there is none."""
    found = linked([before], [after])
    if not found:
        return ()
    (move,) = found
    assert (move.before, move.after, move.protocol) == (before.service.endpoint, after.service.endpoint, "dicom")
    return move.because


CONTENT = {"counts": counts(2314, 48_113)}
TITLED = {"resource": "PACS", "facts": CHECKED}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({}, {}, (), id="two servers of one product"),
        pytest.param(CONTENT, CONTENT, ("content",), id="the same content"),
        pytest.param(CONTENT, {"counts": counts(2315, 48_113)}, (), id="one study more"),
        pytest.param(CONTENT, {"counts": counts(2314, 48_114)}, (), id="one image more"),
        pytest.param(CONTENT, {"counts": counts(2314, 48_113, exact=False)}, (), id="at least as many"),
        pytest.param({"counts": counts(19, 400)}, {"counts": counts(19, 400)}, (), id="few studies"),
        pytest.param({"counts": counts(20, 400)}, {"counts": counts(20, 400)}, ("content",), id="just enough"),
        pytest.param(CONTENT, {**CONTENT, "product": Product(name="dcm4chee")}, (), id="another product"),
        pytest.param(CONTENT, {**CONTENT, "product": Product(name="Orthanc", version="2")}, ("content",), id="updated"),
        pytest.param({**CONTENT, "product": Product()}, {**CONTENT, "product": Product()}, (), id="unknown products"),
        pytest.param(CONTENT, {**CONTENT, "facts": CHECKED}, (), id="other contexts"),
        pytest.param(CONTENT, {**CONTENT, "owner": Owner(grant="other")}, (), id="another grant"),
        pytest.param(TITLED, TITLED, ("title",), id="the same title, checked"),
        pytest.param(TITLED, {**TITLED, "resource": "OTHER"}, (), id="another title"),
        pytest.param({"resource": "PACS"}, {"resource": "PACS"}, (), id="the same title, not checked"),
        pytest.param({**TITLED, **CONTENT}, {**TITLED, "counts": counts(2900, 60_000)}, ("title",), id="grown"),
        pytest.param({**TITLED, **CONTENT}, {**TITLED, "counts": counts(4700, 1)}, (), id="more than twice as many"),
        pytest.param({**TITLED, **CONTENT}, {**TITLED, "counts": counts(1100, 1)}, (), id="less than half"),
        pytest.param({**TITLED, **CONTENT}, {**TITLED, **CONTENT}, ("content", "title"), id="title and content"),
        pytest.param({"tls": {"spki_sha256": KEY}}, {"tls": {"spki_sha256": KEY}}, ("key",), id="the same key"),
        pytest.param({"tls": {"spki_sha256": KEY}}, {"tls": {"spki_sha256": KEY[::-1]}}, (), id="another key"),
        pytest.param({"tls": {"version.tls_1_2": True}}, {"tls": {"version.tls_1_2": True}}, (), id="no keys"),
        pytest.param(
            {"tls": {"spki_sha256": KEY}, "facts": {"tls.key_hosts": 2}}, {"tls": {"spki_sha256": KEY}}, (), id="shared"
        ),
        pytest.param(
            {"tls": {"spki_sha256": KEY}},
            {"tls": {"spki_sha256": KEY}, "facts": {"tls.key_hosts": 3}},
            (),
            id="shared now",
        ),
    ],
)
def test_what_two_places_must_have_in_common(
    before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert because(seen(OLD, **before), seen(NEW, **after)) == expected
    assert because(seen(NEW, **after), seen(OLD, **before)) == expected


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [("pacs.hospital.example", 104, ("name",)), ("pacs.hospital.example", 4242, ()), ("other.example", 104, ())],
)
def test_a_name_leads_to_the_same_service_on_the_same_port(name: str, port: int, expected: tuple[str, ...]) -> None:
    before = seen(replace(OLD, name="pacs.hospital.example"))
    after = seen(replace(NEW, name=name, port=port), product=Product(name="dcm4chee"))

    assert because(before, after) == expected


def test_of_two_that_come_into_question_none_is_taken() -> None:
    third = replace(OLD, address=ip_address("198.18.0.77"))
    old, new, other = (seen(endpoint, **CONTENT) for endpoint in (OLD, NEW, third))

    assert linked([old], [new, other]) == []
    assert linked([old, other], [new]) == []
    assert linked([old], [new]) != []


def test_a_key_that_several_had_tells_none_again() -> None:
    old, new = (seen(endpoint, tls={"spki_sha256": KEY}) for endpoint in (OLD, NEW))
    gone, come = by_place([old]), by_place([new])
    assert moves(gone, come) != []
    assert moves(gone, come, {KEY}) == []
    assert moves(gone, by_place([replace(new, owner=Owner(grant="other"))])) == []


def test_several_move_at_once_each_to_its_own_place() -> None:
    ends = [(replace(OLD, port=200 + n), replace(NEW, port=300 + n)) for n in range(5)]
    gone = [seen(before, counts=counts(100 + n, 1000)) for n, (before, _) in enumerate(ends)]
    come = [seen(after, counts=counts(100 + n, 1000)) for n, (_, after) in enumerate(ends)]

    assert [(move.before, move.after) for move in linked(gone, come[::-1])] == ends


def test_one_service_of_a_place_speaks_for_the_others() -> None:
    gone = [seen(OLD, "ONE", facts=CHECKED), seen(OLD, "TWO", facts=CHECKED)]
    come = [seen(NEW, "TWO", facts=CHECKED), seen(NEW, "THREE", facts=CHECKED)]

    (move,) = linked(gone, come)

    assert (move.before, move.after, move.because) == (OLD, NEW, ("title",))
