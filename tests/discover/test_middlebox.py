"""What answers alike everywhere is a middlebox; what a hospital has many of is not."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from leadapron.discover.middlebox import MIN_PORTS, MIN_RUN, MIN_RUN_ASSOCIATED, middleboxes
from leadapron.model import Endpoint

FIRST = int(IPv4Address("198.18.3.0"))
SILENT = {"failed": {"stage": "handshake", "reason": "timeout"}}
GONE = {"failed": {"stage": "connect", "reason": "refused"}}
ACCEPTED = {"negotiated": {"outcome": "accepted", "digest": "00ff"}}


def at(place: int, port: int = 104) -> Endpoint:
    return Endpoint(address=IPv4Address(FIRST + place), port=port)


@pytest.mark.parametrize(
    ("hello", "length", "is_middlebox"),
    [
        (SILENT, MIN_RUN, True),
        (SILENT, MIN_RUN - 1, False),
        (ACCEPTED, MIN_RUN, False),
        (ACCEPTED, MIN_RUN_ASSOCIATED, True),
        (GONE, 200, False),
    ],
)
def test_a_run_of_addresses_that_answer_alike(hello: dict[str, object], length: int, is_middlebox: bool) -> None:
    found = middleboxes({at(place): hello for place in range(length)})

    assert len(found) == (length if is_middlebox else 0)
    if is_middlebox:
        assert set(found.values()) == {f"198.18.3.0-{IPv4Address(FIRST + length - 1)} port 104"}


def test_a_gap_or_another_answer_ends_the_run() -> None:
    hellos = {at(place): SILENT for place in range(2 * MIN_RUN) if place != MIN_RUN - 1}
    hellos[at(MIN_RUN + 5)] = ACCEPTED
    assert middleboxes(hellos) == {}


def test_a_host_all_of_whose_ports_fail_alike() -> None:
    ports = range(100, 100 + MIN_PORTS)
    assert len(middleboxes({at(1, port): SILENT for port in ports})) == MIN_PORTS
    assert middleboxes({at(1, port): ACCEPTED for port in ports}) == {}
