from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE
from leadapron.net.syn.flight import ASKED, HELD, Flight, InFlight
from leadapron.net.syn.piece import Piece
from leadapron.net.target import Outcome


def piece(start: int, stop: int, places: list[int] | None = None) -> Piece:
    chosen = np.array(range(stop - start) if places is None else places, dtype=np.uint32)
    return Piece(
        start=start,
        stop=stop,
        addresses=chosen + np.uint32(1000),
        ports=np.full(len(chosen), 104, dtype=np.uint16),
        places=chosen,
    )


def places(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def asked(flight: Flight, most: int = 1 << 20) -> list[int]:
    part = flight.take(most)
    flight.states[part.places] = ASKED
    assert (part.addresses == part.places + 1000).all()
    return part.places.tolist()


def test_a_round_takes_each_target_once_in_order() -> None:
    flight = Flight(piece(10, 20, [0, 3, 4, 9]))
    assert not flight.has_begun
    assert [asked(flight, 3), asked(flight, 3)] == [[0, 3, 4], [9]]
    assert flight.is_asked and flight.has_begun


def test_a_later_round_asks_only_those_that_are_silent() -> None:
    flight = Flight(piece(0, 6))
    asked(flight)
    flight.mark(places(1), ACCEPTED)
    flight.mark(places(2), REFUSED)
    flight.states[3] = HELD
    assert flight.ask_again()
    flight.mark(places(4), REFUSED)  # while the round waits for its turn
    assert asked(flight) == [0, 5]
    flight.mark(places(0, 5), UNREACHABLE)
    assert not flight.ask_again()


def test_of_several_answers_the_one_that_says_most_stays() -> None:
    flight = Flight(piece(0, 2))
    asked(flight)
    assert flight.mark(places(0), REFUSED).all()
    assert not flight.mark(places(0), UNREACHABLE).any()
    assert not flight.mark(places(0), REFUSED).any()
    assert flight.mark(places(0), ACCEPTED).all()
    assert not flight.mark(places(0), REFUSED).any()
    assert flight.closed(is_final=True).outcomes == {Outcome.CONNECTED: 1, Outcome.TIMEOUT: 1}
    assert flight.answered == 1


@pytest.mark.parametrize("is_final", [True, False])
def test_what_became_of_each_place(is_final: bool) -> None:
    flight = Flight(piece(100, 110, [0, 1, 2, 3, 4, 6, 7]))
    asked(flight, 5)
    flight.mark(places(0, 1), ACCEPTED)
    flight.mark(places(2), REFUSED)
    flight.states[3] = HELD
    closed = flight.closed(is_final=is_final)
    expected = {Outcome.CONNECTED: 2, Outcome.REFUSED: 1}
    assert (closed.start, closed.stop) == (100, 110)
    assert closed.outcomes == (expected | {Outcome.TIMEOUT: 1} if is_final else expected)
    assert closed.waiting.tolist() == ([3, 6, 7] if is_final else [3, 4, 6, 7])


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), max_size=30), st.randoms(), st.data())
def test_each_index_is_found_in_the_flight_that_holds_it(
    sizes: list[tuple[int, int]], random: Random, data: st.DataObject
) -> None:
    flights, at = [], 0
    for size, gap in sizes:
        flights.append(Flight(piece(at, at + size)))
        at += size + gap
    added = list(flights)
    random.shuffle(added)
    sky = InFlight()
    for flight in added:
        sky.add(flight)
    gone = added[: data.draw(st.integers(0, len(added)))]
    for flight in gone:
        sky.remove(flight)
    indices = np.array(data.draw(st.lists(st.integers(-1, at + 5), max_size=60)), dtype=np.int64)

    found = {}
    for flight, rows in sky.by_flight(indices):
        assert len(rows)
        for row in rows.tolist():
            assert row not in found
            found[row] = flight

    left = [flight for flight in flights if flight not in gone]
    for row, index in enumerate(indices.tolist()):
        holder = [flight for flight in left if flight.piece.start <= index < flight.piece.stop]
        assert holder == ([found[row]] if row in found else [])
    assert (len(sky), sky.targets) == (len(left), sum(map(len, left)))
