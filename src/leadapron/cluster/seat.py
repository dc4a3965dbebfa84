"""A worker's seat while it works: renewed, watched, and left in time.

Two threads, since neither a slow database nor a busy event loop may keep the other from acting. One speaks to the store:
it renews the seat, hears the news, and tells what is halted. The other has a clock only: where the seat was not renewed
for so long that it may be somebody else's soon, it says stop. From that moment no socket of this process connects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from leadapron.errors import RunStopped, StoreError
from leadapron.model import Endpoint
from leadapron.scope.decision import Denied
from leadapron.settings import replace_private
from leadapron.store.leases import LIFE, Leases, News

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at the news."""
TICK = 0.2
SAFE = 5 / 6
"""Of the life of a seat that was not renewed: the rest is for what is on its way when it ends."""
STUCK = 1 / 12
"""Of that life: what a process has to end its connections by itself."""
LOST = "the seat was lost: the store could not be reached in time"
UNLED = "the coordinator is gone, so that nobody could stop this run"


class Guard(Protocol):
    def dial_allowed(self, host: str, port: int) -> Denied | None: ...


class Book(Protocol):
    """The audit log."""

    @property
    def head(self) -> str: ...
    @property
    def entries(self) -> int: ...


class Seat:
    """Of one shift. `on_end` is told why to stop, once, from whichever thread finds out."""

    def __init__(
        self,
        leases: Leases,
        holder: str,
        book: Book,
        *,
        on_end: Callable[[str], object],
        rounds: Callable[[], Sequence[Any]] = lambda: (),
        since: float,
        exclusions: Path | None = None,
        is_cut_off: Callable[[], bool] = lambda: False,
        on_stuck: Callable[[], object] = lambda: None,
        life: float = LIFE,
    ) -> None:
        """`since`: a moment before the seat was taken, of the monotonic clock. `exclusions`: where the file of them is kept
        up to date. `is_cut_off`: whether who began this shift is gone. `on_stuck`: called where the seat is about to be lost
        and this process does not come to its end: its connections have to."""
        self.leases, self.holder = leases, holder
        self._book, self._rounds, self._exclusions = book, rounds, exclusions
        self._on_end, self._is_cut_off, self._on_stuck, self._life = on_end, is_cut_off, on_stuck, life
        self._until = since + life * SAFE
        """no socket of this process connects after it"""
        self._renew_at = 0.0
        self._closed = threading.Event()
        self._version = 1
        self._halted: dict[str, tuple[str, int]] = {}
        self.is_lost = False
        self.news: News | None = None

    def begin(self) -> None:
        for work in (self._speak, self._count):
            threading.Thread(target=work, daemon=True, name=f"seat {work.__name__}").start()

    def close(self) -> None:
        self._closed.set()

    def is_over(self) -> bool:
        """Whether the seat may be somebody else's soon."""
        return self.is_lost or time.monotonic() >= self._until

    def tell_halts(self, halted: Mapping[str, Endpoint]) -> None:
        """For the next time that the store is spoken to."""
        self._halted = {place: (str(at.address), at.port) for place, at in halted.items()}

    def _speak(self) -> None:
        while not self._closed.is_set():
            try:
                self._once()
            except RunStopped as stopped:
                self._lose(stopped.why)
                return
            except StoreError as error:
                log.warning("the store cannot be reached: %s", error)
            self._closed.wait(LOOK)

    def _once(self) -> None:
        if (asked := time.monotonic()) >= self._renew_at:
            self.leases.renew(
                self.holder,
                entries=self._book.entries,
                head=self._book.head,
                rounds=self._rounds(),
                life=self._life,
            )
            self._until = asked + self._life * SAFE
            self._renew_at = asked + self._life / 6
        news = self.leases.news()
        if news.version > self._version:
            self._take_exclusions()
        if fresh := {place: at for place, at in self._halted.items() if place not in news.halts}:
            self.leases.halt(fresh)
        self.news = news
        if news.stopping or not news.is_led:
            self._on_end(news.stopping or UNLED)

    def _take_exclusions(self) -> None:
        version, data = self.leases.exclusions()
        if self._exclusions is not None and data is not None:
            replace_private(self._exclusions, data)
        self._version = version

    def _count(self) -> None:
        while not self._closed.wait(TICK):
            if self._is_cut_off():
                self._on_end("who began this shift is gone")
                return
            if time.monotonic() >= self._until:
                self._lose(LOST)
                if not self._closed.wait(self._life * STUCK):
                    self._on_stuck()
                return

    def _lose(self, why: str) -> None:
        self.is_lost = True
        self._on_end(why)


class Fenced:
    """A gate that is shut once the seat may be somebody else's. For the audit hook."""

    def __init__(self, gate: Guard, seat: Seat) -> None:
        self._gate, self._seat = gate, seat

    def dial_allowed(self, host: str, port: int) -> Denied | None:
        if self._seat.is_over():
            return Denied.SEAT
        return self._gate.dial_allowed(host, port)
