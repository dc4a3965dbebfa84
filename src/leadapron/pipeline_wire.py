"""What the processes of a sweep and the one that gave them their orders say to each other: `leadapron.pipeline_away` on one
side, `leadapron.pipeline_sweeper` on the other."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leadapron.model import Address, SweepFigures
from leadapron.pipeline_method import CONNECT, SYN
from leadapron.scope.decision import Denied
from leadapron.store.chunk import SweepChunk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from leadapron.discover.space import Intervals
    from leadapron.net.syn import SynSettings

Wanted = frozenset[tuple[int, int]]
"""Addresses and ports of which it is told when they refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to sweep, and how. The space is that of IPv4 alone, whose indices begin at 0."""

    scope: Path
    digests: tuple[str, str]
    """the scope is swept only as it was when the run began, but for exclusions that came since"""
    exclusions: int
    """when it began"""
    pins: Mapping[str, tuple[Address, ...]]
    stop_file: Path
    intervals: Intervals
    ports: Sequence[int]
    pairs: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]] | None
    key: bytes
    in_part: Sequence[SweepChunk]
    missing: Sequence[tuple[int, int]]
    size: int
    """of a piece"""
    per_network: float
    """packets, or connections, a second"""
    wanted: Wanted
    syn: SynSettings | None
    """None: by connections"""
    cookie_key: bytes
    connections_per_second: float
    concurrency: int
    timeout: float
    level: int
    """of the log"""

    @property
    def method(self) -> str:
        return CONNECT if self.syn is None else SYN


class Decided(NamedTuple):
    """A piece is about to be asked."""

    start: int
    stop: int
    permitted: int
    denied: Mapping[Denied, int]


class Withheld(NamedTuple):
    """Of pieces that were decided, what the gate denied right before it was asked."""

    reasons: Mapping[Denied, int]


class Asked(NamedTuple):
    """So many packets more were permitted, and sent for all that is known."""

    packets: int


class Reached(NamedTuple):
    """As they come in, before their piece is done."""

    places: Sequence[tuple[int, int]]


class Done(NamedTuple):
    """Chunks, as `Store.record_chunks` takes them; who of the wanted refused; why others were not asked."""

    chunks: Sequence[SweepChunk]
    refused: Sequence[tuple[int, int]]
    not_asked: Mapping[str, int]


class Ended(NamedTuple):
    """`why` is "" when the order was carried out, or a stop was asked for."""

    why: str
    figures: SweepFigures


Message = Decided | Withheld | Asked | Reached | Done | Ended


class Wire:
    """The pipe to the process that gave the order. Reading and writing never hold up the sweep."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._out: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._gone_for: set[int] = set()
        """starts of pieces that may be asked"""
        self.is_over = threading.Event()
        """a stop was asked for, or nobody is there any more"""
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, daemon=True).start()

    def tell(self, message: Message) -> None:
        self._out.put(message)

    def may_ask(self, start: int) -> bool:
        """Whether the piece may be asked now. True once."""
        if self.is_over.is_set() or start not in self._gone_for:
            return False
        self._gone_for.remove(start)
        return True

    def close(self) -> None:
        """Once all is written."""
        self._out.put(None)
        self._writer.join()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (message := self._out.get()) is not None:
                self._connection.send(message)

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while (start := self._connection.recv()) is not None:
                self._gone_for.add(start)
        self.is_over.set()
