"""A shift in a process of its own (`leadapron.cli.shift`), so that the audit hook holds it alone, and so that whoever began
it stays free to be heard. It is given its order over a pipe, and stops when the other end is closed, whoever closed it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from multiprocessing.connection import Connection

from leadapron.child import Child, begin_as_child
from leadapron.cluster.order import Order
from leadapron.cluster.worker import work

GRACE = 30.0
"""Seconds that it has to come to its end."""


class Job:
    """One of them, from the side that gives the order. `life`: of its seat, in seconds."""

    def __init__(self, order: Order, worker: str, life: float) -> None:
        self._why = "the seat was lost: the process of the shift ended before its time"
        self._child = Child("leadapron.cli.shift")
        self._child.pipe.send((order, worker, life))

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def ended(self) -> str | None:
        """Why it ended ("" where all is well), as `leadapron.cluster.worker.work` says it; None while it goes on."""
        self._hear()
        if self._child.process.poll() is None:
            return None
        self._hear()
        return self._why

    def _hear(self) -> None:
        try:
            while self._child.pipe.poll():
                self._why = self._child.pipe.recv()
        except (EOFError, OSError):
            pass

    def close(self) -> None:
        """It stops within seconds, gives back what it holds, and is waited for."""
        self._child.close(GRACE)


def main(fd: int) -> None:
    """`fd`: the other end of the pipe."""
    connection = begin_as_child(fd)
    order, worker, life = connection.recv()
    logging.getLogger().setLevel(order.level)
    is_cut_off = threading.Event()
    threading.Thread(target=_listen, args=(connection, is_cut_off), daemon=True).start()
    why = work(order, worker=worker, is_cut_off=is_cut_off.is_set, on_stuck=_end_at_once, life=life)
    with contextlib.suppress(OSError):
        connection.send(why)


def _end_at_once() -> None:
    """The event loop is held up, by a store that does not answer: the system closes what it cannot. Nothing is lost by it,
    since nothing could be written."""
    os._exit(1)


def _listen(connection: Connection, is_cut_off: threading.Event) -> None:
    """Nothing comes but the end."""
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
    is_cut_off.set()
