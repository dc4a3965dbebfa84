"""A piece in flight: one byte for each of its places, and who is to be asked next."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE
from leadapron.net.syn.piece import Addresses, Closed, Piece, Ports
from leadapron.net.target import Outcome

ABSENT, QUEUED, HELD, ASKED = range(4)
"""States of a place; above them the kinds of answers. Held: a question to it could not be put, so its silence says
nothing."""

_OUTCOMES = {ACCEPTED: Outcome.CONNECTED, REFUSED: Outcome.REFUSED, UNREACHABLE: Outcome.UNREACHABLE}
_STATES = ACCEPTED + 1

Indices = npt.NDArray[np.intp]
"""Into the columns of a piece."""
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some targets of a flight that go into one batch. `places` is that of each."""

    flight: Flight
    addresses: Addresses
    ports: Ports
    places: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.places)


class Flight:
    """Of one piece. Rounds of questions: `take` until it `is_asked`, wait until `due`, ask again or close."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.states = np.zeros(piece.stop - piece.start, dtype=np.uint8)
        self.states[piece.places] = QUEUED
        self.probes = 0
        """rounds that were begun after the first"""
        self.repeats = 0
        """rounds on top, since answers may have been lost"""
        self.is_suspect = False
        """answers may have been lost since the last round began"""
        self.due = 0.0
        self._todo: Indices | None = None
        """None: all, in the first round"""
        self._next = 0

    def __len__(self) -> int:
        return len(self.piece.places)

    @property
    def is_asked(self) -> bool:
        """Whether this round is over."""
        return self._next >= (len(self) if self._todo is None else len(self._todo))

    @property
    def has_begun(self) -> bool:
        return self._next > 0 or self._todo is not None

    def take(self, most: int) -> Part:
        """The next targets of this round that have not answered: at most `most`, maybe none."""
        piece, first = self.piece, self._next
        self._next += most
        if self._todo is None:
            which = slice(first, self._next)
            return Part(
                flight=self, addresses=piece.addresses[which], ports=piece.ports[which], places=piece.places[which]
            )
        some = self._todo[first : self._next]
        some = some[self.states[piece.places[some]] == ASKED]
        return Part(flight=self, addresses=piece.addresses[some], ports=piece.ports[some], places=piece.places[some])

    def ask_again(self) -> bool:
        """Begin a round with those that are silent. False: there are none."""
        self._todo, self._next = self.silent(), 0
        self.is_suspect = False
        return len(self._todo) > 0

    def silent(self) -> Indices:
        return np.flatnonzero(self.states[self.piece.places] == ASKED)

    def were_asked(self, places: Places) -> npt.NDArray[np.bool_]:
        return np.asarray(self.states[places] >= HELD)

    def mark(self, places: Places, kind: int) -> npt.NDArray[np.bool_]:
        """Note answers of one kind; of several to one place the highest kind stays. Returns which were news."""
        news = self.states[places] < kind
        self.states[places[news]] = kind
        return np.asarray(news)

    @property
    def answered(self) -> int:
        """Places."""
        return int((self.states >= UNREACHABLE).sum())

    def closed(self, *, is_final: bool) -> Closed:
        """`is_final`: silence counts."""
        counts = np.bincount(self.states, minlength=_STATES)
        outcomes = {outcome: int(counts[kind]) for kind, outcome in _OUTCOMES.items() if counts[kind]}
        unknown = (self.states == QUEUED) | (self.states == HELD)
        if not is_final:
            unknown |= self.states == ASKED
        elif counts[ASKED]:
            outcomes[Outcome.TIMEOUT] = int(counts[ASKED])
        return Closed(
            start=self.piece.start,
            stop=self.piece.stop,
            outcomes=outcomes,
            refused=np.flatnonzero(self.states == REFUSED).astype(np.uint32),
            waiting=np.flatnonzero(unknown).astype(np.uint32),
        )


class InFlight:
    """All flights, by their indices. Iterated, the flights in no order that matters."""

    def __init__(self) -> None:
        self._flights: list[Flight] = []
        self._starts = self._stops = np.empty(0, dtype=np.int64)
        self._is_stale = False
        self.targets = 0

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights)

    def add(self, flight: Flight) -> None:
        insort(self._flights, flight, key=_start)
        self.targets += len(flight)
        self._is_stale = True

    def remove(self, flight: Flight) -> None:
        self._flights.remove(flight)
        self.targets -= len(flight)
        self._is_stale = True

    def by_flight(self, indices: Places) -> Iterator[tuple[Flight, Indices]]:
        """Which of the indices lie in which flight; not those in none."""
        if not (len(indices) and self._flights):
            return
        if self._is_stale:
            self._starts = np.array([flight.piece.start for flight in self._flights], dtype=np.int64)
            self._stops = np.array([flight.piece.stop for flight in self._flights], dtype=np.int64)
            self._is_stale = False
        which = np.searchsorted(self._starts, indices, side="right") - 1
        inside = (which >= 0) & (indices < self._stops[which])
        if inside.all() and (which == which[0]).all():
            yield self._flights[which[0]], np.arange(len(indices))
            return
        for number in np.unique(which[inside]).tolist():
            yield self._flights[number], np.flatnonzero(inside & (which == number))


def _start(flight: Flight) -> int:
    return flight.piece.start
