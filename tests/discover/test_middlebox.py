"""What answers alike everywhere is a middlebox; what a hospital has many of is not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.discover.middlebox import (
    MAX_HOLE,
    MIN_PORTS,
    MIN_RANGE,
    MIN_RANGE_ANSWERED,
    MISSING,
    middleboxes,
)
from leadapron.model import Endpoint
from leadapron.protocols.base import Payload

FIRST = int(IPv4Address("198.18.3.0"))
PORTS = (104, 2762, 4242, 11112)
SILENT = {"failed": {"stage": "handshake", "reason": "timeout"}}
GONE = {"failed": {"stage": "connect", "reason": "refused"}}
ACCEPTED = {"negotiated": {"outcome": "accepted", "digest": "00ff"}}
OTHERWISE = {"negotiated": {"outcome": "accepted", "digest": "00fe"}}
REJECTED = {"negotiated": {"outcome": "rejected", "digest": "00ff"}}
ABORTED = {"negotiated": {"outcome": "aborted", "digest": ""}}


def at(place: int, port: int = 104) -> Endpoint:
    return Endpoint(address=IPv4Address(FIRST + place), port=port)


def found(places: Iterable[int], hello: Payload) -> dict[Endpoint, str]:
    return middleboxes({at(place): hello for place in places}, PORTS)


@pytest.mark.parametrize(
    ("hello", "length", "is_middlebox"),
    [
        (SILENT, MIN_RANGE, True),
        (SILENT, MIN_RANGE - 1, False),
        (ACCEPTED, MIN_RANGE, False),
        (REJECTED, MIN_RANGE, False),
        (ABORTED, MIN_RANGE, False),
        (ACCEPTED, MIN_RANGE_ANSWERED, True),
        (REJECTED, MIN_RANGE_ANSWERED, True),
        (ABORTED, MIN_RANGE_ANSWERED, True),
        (ACCEPTED, MIN_RANGE_ANSWERED - 1, False),
        (GONE, 200, False),
    ],
)
def test_a_range_of_addresses_that_answer_alike(hello: Payload, length: int, is_middlebox: bool) -> None:
    boxes = found(range(length), hello)

    assert len(boxes) == (length if is_middlebox else 0)
    if is_middlebox:
        assert set(boxes.values()) == {f"198.18.3.0-{IPv4Address(FIRST + length - 1)} port 104"}


@pytest.mark.parametrize("hello", [SILENT, ACCEPTED, REJECTED, ABORTED])
def test_a_tenth_that_is_closed_or_answers_otherwise_hides_nothing(hello: Payload) -> None:
    hellos = {at(place): hello if place % 10 else OTHERWISE for place in range(1, 255)}

    boxes = middleboxes(hellos, PORTS)

    assert set(boxes) == {at(place) for place in range(1, 255) if place % 10}
    assert set(boxes.values()) == {"198.18.3.1-198.18.3.254 port 104, 229 of 254 addresses"}


def test_what_is_thinner_than_nine_in_ten_is_no_box() -> None:
    assert found((place for place in range(240) if place % 5), SILENT) == {}
    assert found(range(0, 240, 2), SILENT) == {}


def test_a_server_that_answers_like_a_box_far_from_it_is_none() -> None:
    boxes = found([*range(200), 200 + MAX_HOLE, 400], ACCEPTED)
    assert set(boxes) == {at(place) for place in [*range(200), 200 + MAX_HOLE]}
    assert found([*range(200), 201 + MAX_HOLE], ACCEPTED).keys() == {at(place) for place in range(200)}


def test_a_box_across_the_border_of_networks_is_one() -> None:
    assert set(found(range(250, 250 + MIN_RANGE), SILENT).values()) == {"198.18.3.250-198.18.4.9 port 104"}


def test_a_hospital_is_no_box() -> None:
    """Sixteen scanners in a row, two archives that listen twice, and one that listens on every port but one."""
    scanners = {at(place): ACCEPTED for place in range(16)}
    archives = {at(place, port): ACCEPTED for place in (40, 41) for port in (104, 11112)}
    most = {at(50, port): ACCEPTED for port in PORTS[1:]}
    assert middleboxes({**scanners, **archives, **most}, PORTS) == {}


@pytest.mark.parametrize("hello", [SILENT, REJECTED, ABORTED])
def test_a_host_all_of_whose_open_ports_answer_alike(hello: Payload) -> None:
    ports = range(100, 100 + MIN_PORTS)
    boxes = middleboxes({at(1, port): hello for port in ports}, range(100, 120))
    assert boxes == {at(1, port): "198.18.3.1, every open port" for port in ports}
    assert middleboxes({at(1, port): hello for port in ports[1:]}, ports[1:]) == {}
    assert middleboxes({at(1, port): hello if port > 100 else OTHERWISE for port in ports}, ports) == {}
    assert middleboxes({at(1, port): GONE for port in ports}, ports) == {}


def test_a_host_that_accepts_alike_on_every_port_of_the_scope() -> None:
    hellos = {at(1, port): ACCEPTED for port in PORTS}
    assert set(middleboxes(hellos, PORTS).values()) == {"198.18.3.1, every open port"}
    assert middleboxes(hellos, [*PORTS, 105]) == {}
    assert middleboxes({**hellos, at(1): OTHERWISE}, PORTS) == {}


@given(st.sets(st.integers(0, 60), max_size=61))
def test_a_range_is_long_and_dense_and_none_is_overlooked(places: set[int]) -> None:
    boxes = found(places, SILENT)

    for text in set(boxes.values()):
        own = sorted(int(endpoint.address) for endpoint, other in boxes.items() if other == text)
        size = own[-1] - own[0] + 1
        assert size >= MIN_RANGE
        assert len(own) * MISSING >= size * (MISSING - 1)
        assert all(second - first <= MAX_HOLE + 1 for first, second in itertools.pairwise(own))
    left = {place for place in places if at(place) not in boxes}
    for first, last in itertools.combinations(sorted(left), 2):
        inside = [place for place in left if first <= place <= last]
        assert last - first + 1 < MIN_RANGE or len(inside) * MISSING < (last - first + 1) * (MISSING - 1)
