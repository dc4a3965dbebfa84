from collections.abc import Sequence
from ipaddress import IPv4Address

import numpy as np
import numpy.typing as npt
import pytest
from segments import ACK, OWN, RST, answer, frames, unreachable

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE
from leadapron.net.syn.cookie import CookieJar, network_order
from leadapron.net.syn.flight import ASKED, Flight, InFlight
from leadapron.net.syn.hearing import Hearer
from leadapron.net.syn.piece import Closed, Piece
from leadapron.net.syn.source import Sources
from leadapron.net.target import Outcome

FIRST, SIZE, PORT = 0xC6120000, 64, 104
"""Index i is address FIRST + i, of 256; two pieces of 64 begin at 0 and at 100."""


class Sky:
    """A hearer with two pieces in flight, all of whose targets were asked."""

    def __init__(self) -> None:
        self.jar = CookieJar(bytes(range(16)), range(61000, 65536))
        self.flights = InFlight()
        self.first, self.second = self.fly(0), self.fly(100)
        self.hits: list[tuple[int, list[tuple[int, int, int]]]] = []
        self.hearer = Hearer(self.flights, self.jar, Sources(IPv4Address(OWN)), index_of, self)

    def fly(self, start: int) -> Flight:
        places = np.arange(SIZE, dtype=np.uint32)
        flight = Flight(
            Piece(
                start=start,
                stop=start + SIZE,
                addresses=places + np.uint32(FIRST + start),
                ports=np.full(SIZE, PORT, dtype=np.uint16),
                places=places,
            )
        )
        flight.take(SIZE)
        flight.states[:] = ASKED
        self.flights.add(flight)
        return flight

    def answered(self, start: int, hits: Sequence[tuple[int, int, int]]) -> None:
        self.hits.append((start, list(hits)))

    def closed(self, closed: Closed) -> None:
        raise AssertionError(closed)

    def cookie(self, index: int) -> tuple[int, int, int, int]:
        """address, port, source port, sequence number"""
        addresses = np.array([FIRST + index], dtype=np.uint32)
        cookies = self.jar.of(addresses, np.array([PORT], dtype=np.uint16))
        return FIRST + index, PORT, int(cookies.ports[0]), int(network_order(cookies.sequences)[0])

    def hear(self, *packets: bytes) -> None:
        self.hearer.hear(*frames(packets))


def index_of(addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.int64]:
    offsets = addresses.astype(np.int64) - FIRST
    return np.where((offsets >= 0) & (offsets < 256) & (ports == PORT), offsets, -1)


@pytest.fixture
def sky() -> Sky:
    return Sky()


def test_answers_are_noted_in_their_pieces_and_hits_are_told(sky: Sky) -> None:
    sky.hear(
        answer(*sky.cookie(3)),
        answer(*sky.cookie(4), flags=RST | ACK),
        answer(*sky.cookie(101)),
        unreachable(1, *sky.cookie(163)),
    )
    assert sky.hits == [(0, [(3, FIRST + 3, PORT)]), (100, [(1, FIRST + 101, PORT)])]
    assert sky.hearer.kinds == {ACCEPTED: 2, REFUSED: 1, UNREACHABLE: 1}
    outcomes = [flight.closed(is_final=True).outcomes for flight in (sky.first, sky.second)]
    assert outcomes == [
        {Outcome.CONNECTED: 1, Outcome.REFUSED: 1, Outcome.TIMEOUT: 62},
        {Outcome.CONNECTED: 1, Outcome.UNREACHABLE: 1, Outcome.TIMEOUT: 62},
    ]
    assert (sky.hearer.late, sky.hearer.invalid) == (0, 0)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_hit_that_answers_again_is_told_once(sky: Sky, at_once: bool) -> None:
    packets = [answer(*sky.cookie(3))] * 3
    if at_once:
        sky.hear(*packets)
    else:
        for packet in packets:
            sky.hear(packet)
    assert sky.hits == [(0, [(3, FIRST + 3, PORT)])]
    assert sky.hearer.kinds == {ACCEPTED: 3}
    assert sky.first.answered == 1


def test_an_answer_to_a_piece_that_is_closed_is_late(sky: Sky) -> None:
    sky.flights.remove(sky.first)
    sky.hear(answer(*sky.cookie(3)), answer(*sky.cookie(80)), answer(*sky.cookie(101)))
    assert (sky.hearer.late, sky.hearer.invalid) == (2, 0)
    assert sky.hits == [(100, [(1, FIRST + 101, PORT)])]


def test_what_is_no_answer_to_us_is_invalid_and_leaves_no_trace(sky: Sky) -> None:
    address, port, own_port, sequence = sky.cookie(3)
    before = sky.first.states.copy()
    sky.hear(
        answer(address, port, own_port, sequence + 1),  # off by one
        answer(address, port, own_port ^ 1, sequence),
        answer(address + 1, port, own_port, sequence),  # said to come from another
        answer(address, port, own_port, sequence, own=OWN + 1),  # to an address that we did not ask from
        answer(*sky.cookie(300)),  # our cookie, outside the space
        answer(*sky.cookie(3))[:30],
        b"SYNTHETIC^1",
    )
    assert (sky.hearer.late, sky.hearer.invalid) == (0, 7)
    assert sky.hits == []
    assert (sky.first.states == before).all()


def test_an_answer_before_the_question_is_invalid(sky: Sky) -> None:
    sky.flights.remove(sky.first)
    sky.flights.add(Flight(sky.first.piece))
    sky.hear(answer(*sky.cookie(3)), answer(*sky.cookie(101)))
    assert (sky.hearer.late, sky.hearer.invalid) == (0, 1)
    assert sky.hits == [(100, [(1, FIRST + 101, PORT)])]
