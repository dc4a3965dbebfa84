"""Splitting a query that a server caps: by study date down to one day, by time of day, then by accession number.

Studies without the key fall out of every piece, and there is no uncapped parent: what the pieces add up to is a bound.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from leadapron.protocols.dicom.found import Reply
from leadapron.protocols.dicom.identifiers import Narrowing

_FIRST_RANGES = ((2020, None), (2010, 2019), (2000, 2009), (1900, 1999))
_HALF_A_DAY = 12
_PREFIXES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Splitting:
    """The pieces that are still to be asked for. `cap` > 0: so many answers to a piece are a cap too, a silent one."""

    def __init__(self, today: dt.date, *, cap: int = 0) -> None:
        self._cap = cap
        self._waiting = list(reversed(first_pieces(today)))
        self._lost = False
        self._answers = 0
        self._empty_half: Narrowing | None = None

    def next(self) -> Narrowing | None:
        """The piece to ask for."""
        return self._waiting.pop() if self._waiting else None

    def take(self, piece: Narrowing, reply: Reply) -> None:
        """How the server replied to `piece`: where it capped it, smaller ones are next."""
        self._answers += reply.answers
        if reply.is_capped or (self._cap and reply.is_whole and reply.answers >= self._cap):
            self._waiting.extend(reversed(split(piece)))
            self._lost = self._lost or piece.days == 1
        elif not reply.is_whole:
            self._lost = True
        elif not reply.answers and piece.hours == _HALF_A_DAY:
            self._take_empty_half(piece)

    def _take_empty_half(self, piece: Narrowing) -> None:
        """A capped day of which both halves are empty: its studies have no time, so the accession number is next."""
        day = replace(piece, from_hour=0, to_hour=24)
        if self._empty_half == day:
            self._waiting.extend(reversed(_by_accession(day)))
        self._empty_half = day

    @property
    def is_done(self) -> bool:
        """No piece is waiting."""
        return not self._waiting

    @property
    def has_seen_all(self) -> bool:
        """Every piece came whole, none was smaller than a day, and some had answers: the server does match dates."""
        return self.is_done and not self._lost and self._answers > 0


def first_pieces(today: dt.date) -> list[Narrowing]:
    """The date ranges to begin with, latest first."""
    return [
        Narrowing(first=dt.date(first, 1, 1), last=dt.date(last, 12, 31) if last else today + dt.timedelta(days=1))
        for first, last in _FIRST_RANGES
    ]


def everything(today: dt.date) -> Narrowing:
    """Every study that has a date, as one range."""
    return Narrowing(first=dt.date(1900, 1, 1), last=today + dt.timedelta(days=1))


def split(piece: Narrowing) -> list[Narrowing]:
    """Smaller pieces of one that is capped itself, in the order to ask for them; none where it cannot be split."""
    if piece.accession:
        return []
    if piece.days > 1 or piece.hours > 1:
        earlier, later = piece.halves()
        return [later, earlier]
    return _by_accession(piece)


def _by_accession(piece: Narrowing) -> list[Narrowing]:
    return [replace(piece, accession=prefix) for prefix in _PREFIXES]
