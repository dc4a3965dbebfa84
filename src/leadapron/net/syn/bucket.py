"""The pace of a sweep: a token bucket in packets."""

from __future__ import annotations

import time
from collections.abc import Callable

CATCH_UP = 0.01
"""Seconds of pace that may be made good at once after a pause: 1 % of a second."""


class TokenBucket:
    """At most `rate * w + max(1, rate * CATCH_UP)` packets in any window of w seconds.

    So any window of a second or more is within 1 % of the rate (within one packet below 100 a second).
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        if not rate > 0:
            raise ValueError("a rate is greater than 0")
        self._clock = clock
        self._since = clock()
        self._set(rate)
        self._tokens = 1.0

    def _set(self, rate: float) -> None:
        self._rate, self._most = rate, max(1.0, rate * CATCH_UP)

    @property
    def rate(self) -> float:
        """Packets a second right now."""
        return self._rate

    def change(self, rate: float) -> None:
        """From now on."""
        if rate != self._rate:
            self._refill()
            self._set(rate)
            self._tokens = min(self._tokens, self._most)

    def available(self) -> int:
        """Packets that may leave right now."""
        self._refill()
        return int(self._tokens)

    def spend(self, packets: int) -> None:
        """Packets that leave; no more than were available."""
        self._tokens -= packets

    def delay(self, packets: int) -> float:
        """Seconds until so many are available, or as many as ever are."""
        self._refill()
        return max(0.0, (min(packets, int(self._most)) - self._tokens) / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._since) * self._rate)
        self._since = now
