"""What answers alike everywhere is a middlebox; what a hospital has many of is not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.discover.middlebox import (
    MAX_HOLE,
    MIN_PORTS,
    MIN_RANGE,
    MIN_RANGE_ANSWERED,
    MISSING,
    Crowd,
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
WORDLESS = {"negotiated": {"outcome": "accepted", "digest": ""}}


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


# -- before all have answered ------------------------------------------------------------------------------------------


def test_whoever_failed_waits() -> None:
    crowd = Crowd()
    assert crowd.joins(at(1), SILENT)
    assert crowd.joins(at(200), GONE)


def test_of_many_that_answer_alike_nearby_the_first_go_on_and_the_others_wait() -> None:
    crowd = Crowd()
    joined = [crowd.joins(at(place), ACCEPTED) for place in range(MIN_RANGE_ANSWERED + 10)]
    assert joined == [False] * (MIN_RANGE_ANSWERED - 1) + [True] * 11


def test_another_answer_another_port_and_another_block_are_counted_apart() -> None:
    crowd = Crowd()
    for place in range(MIN_RANGE_ANSWERED):
        crowd.joins(at(place), ACCEPTED)
    assert crowd.joins(at(100), ACCEPTED)
    assert not crowd.joins(at(100), OTHERWISE)
    assert not crowd.joins(at(101, 11112), ACCEPTED)
    assert not crowd.joins(at(300), ACCEPTED)


def test_as_many_ports_of_one_host_as_make_a_box_wait_from_there_on() -> None:
    crowd = Crowd()
    assert [crowd.joins(at(1, port), ABORTED) for port in PORTS] == [False] * (MIN_PORTS - 1) + [True]
    assert not crowd.joins(at(2), ABORTED)


def test_what_says_nothing_is_part_of_nothing() -> None:
    crowd = Crowd()
    assert not any(crowd.joins(at(place), WORDLESS) for place in range(255))


def test_blocks_of_ipv4_and_ipv6_are_not_one() -> None:
    crowd = Crowd()
    for place in range(MIN_RANGE_ANSWERED - 1):
        crowd.joins(at(place), ACCEPTED)
    alike = Endpoint(address=ip_address("::") + FIRST, port=104)
    assert not crowd.joins(alike, ACCEPTED)
    assert crowd.joins(at(99), ACCEPTED)


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 520), st.sampled_from(PORTS)),
        st.sampled_from([SILENT, GONE, ACCEPTED, OTHERWISE, ABORTED]),
        max_size=300,
    ),
    st.data(),
)
def test_of_a_box_no_more_go_on_than_make_one(hellos: dict[tuple[int, int], Payload], data: st.DataObject) -> None:
    """In whatever order they answer: of each block, port and answer fewer than make a range."""
    crowd, gone_on = Crowd(), []
    for place, port in data.draw(st.permutations(list(hellos))):
        if not crowd.joins(at(place, port), hellos[place, port]):
            gone_on.append(at(place, port))

    boxes = middleboxes({at(*where): hello for where, hello in hellos.items()}, PORTS)

    for box in set(boxes.values()):
        early = [endpoint for endpoint in gone_on if boxes.get(endpoint) == box]
        assert all("failed" not in hellos[int(each.address) - FIRST, each.port] for each in early)
        blocks = {int(each.address) >> 8 for each, name in boxes.items() if name == box}
        assert len(early) < MIN_RANGE_ANSWERED * len(blocks)
