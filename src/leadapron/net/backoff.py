"""Back off from a server that slows down under our questions: its database is not ours to burn."""

from __future__ import annotations

SLOWER = 2.0
"""An answer that takes this many times as long as the quickest one before it is a sign of load."""
FLOOR = 0.1
"""Seconds; an answer within them is quick, whatever came before."""
LONGEST = 5.0
"""Seconds of one pause."""


class Backoff:
    """Of one connection. Between two questions we wait as long as the last slow answer took: half of the time is its
    own again."""

    def __init__(self) -> None:
        self._quickest = float("inf")
        self.pause = 0.0
        """Seconds to wait before the next question."""

    def answered(self, seconds: float) -> None:
        """The last question was answered after so many seconds, to its first byte."""
        is_slow = seconds > max(FLOOR, SLOWER * self._quickest)
        self._quickest = min(self._quickest, seconds)
        self.pause = min(seconds, LONGEST) if is_slow else 0.0


class AtOnce:
    """How many questions go out at once, of one kind, to one server: half as many as before where they took twice as long as
    the quickest time for as many or more; twice as many again where they did not."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._quickest: dict[int, float] = {}
        """seconds, by how many there were"""
        self.size = most

    def answered(self, count: int, seconds: float) -> None:
        """So many were answered within so many seconds."""
        before = min((each for number, each in self._quickest.items() if number >= count), default=float("inf"))
        is_slow = seconds > max(FLOOR, SLOWER * before)
        self._quickest[count] = min(seconds, self._quickest.get(count, seconds))
        self.size = max(1, self.size // 2) if is_slow else min(self._most, 2 * self.size)
