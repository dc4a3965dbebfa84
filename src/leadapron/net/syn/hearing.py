"""From frames to notes on pieces: what is an answer, to what, and whether it is news."""

from __future__ import annotations

from collections import Counter

import numpy as np

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE, Answers, Frames, Lengths, genuine, parse
from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.flight import Flight, InFlight, Places
from leadapron.net.syn.piece import Addresses, IndexOf, Ports, Sink
from leadapron.net.syn.source import Sources


class Hearer:
    """Sorts answers into the flights."""

    def __init__(self, flights: InFlight, jar: CookieJar, sources: Sources, index_of: IndexOf, sink: Sink) -> None:
        self._flights, self._jar, self._sources, self._index_of = flights, jar, sources, index_of
        self._sink = sink
        self.kinds: Counter[int] = Counter()
        """answers that came in time"""
        self.late = self.invalid = 0

    def hear(self, frames: Frames, lengths: Lengths) -> None:
        answers = parse(frames, lengths)
        is_ours = genuine(answers, self._jar)
        is_ours &= self._sources.are_of(answers.addresses, answers.own_addresses)
        answers = answers.only(is_ours)
        if not len(answers):
            self.invalid += len(frames)
            return
        indices = self._index_of(answers.addresses, answers.ports)
        outside = int((indices < 0).sum())
        self.late += len(answers) - outside
        self.invalid += len(frames) - len(answers) + outside
        for flight, rows in self._flights.by_flight(indices):
            self.late -= len(rows)
            self._note(flight, answers.at(rows), indices[rows] - flight.piece.start)

    def _note(self, flight: Flight, answers: Answers, places: Places) -> None:
        """Answers that bear our cookie, from places of one flight; in time."""
        asked = flight.were_asked(places)
        if not asked.all():
            self.invalid += int((~asked).sum())
            answers, places = answers.only(asked), places[asked]
        for kind in (UNREACHABLE, REFUSED, ACCEPTED):
            if (of_kind := answers.kinds == kind).any():
                self.kinds[kind] += int(of_kind.sum())
                news = of_kind.copy()
                news[of_kind] = flight.mark(places[of_kind], kind)
                if kind == ACCEPTED:
                    self._tell(flight, answers.only(news).addresses, answers.only(news).ports, places[news])

    def _tell(self, flight: Flight, addresses: Addresses, ports: Ports, places: Places) -> None:
        """Of two answers from one place that came together, one is told."""
        places, firsts = np.unique(places, return_index=True)
        if len(places):
            hits = zip(places.tolist(), addresses[firsts].tolist(), ports[firsts].tolist(), strict=True)
            self._sink.answered(flight.piece.start, list(hits))
