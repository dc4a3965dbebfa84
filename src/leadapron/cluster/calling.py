"""What Dask calls on a worker: a shift, as a long task. The process of the shift outlives the task.

When the scheduler is lost, Dask closes its worker and the task with it; the shift goes on, since its lease lies in the
store. When the scheduler is back, and calls again, the task finds the shift that is under way and waits for its end.
"""

from __future__ import annotations

import threading
import time

from distributed import get_worker

from leadapron.cluster.job import Job
from leadapron.cluster.order import Order
from leadapron.store.leases import LIFE

TICK = 0.2
LET_GO = "the worker was cut off from its scheduler"


class Shifts:
    """Of this process, one a run."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self.let_go = threading.Event()
        """tasks end, shifts go on"""

    def attend(self, order: Order, worker: str) -> str:
        """Begin the shift, or find it; wait for its end. See `leadapron.cluster.worker.work` for what is returned."""
        with self._lock:
            job = self._jobs.get(order.run)
            if job is None or job.ended() is not None:
                job = self._jobs[order.run] = Job(order, worker, LIFE)
        while not self.let_go.is_set():
            if (why := job.ended()) is not None:
                return why
            time.sleep(TICK)
        return LET_GO

    def close(self) -> None:
        """They stop within seconds, and are waited for."""
        self.let_go.set()
        for job in self._jobs.values():
            job.close()


shifts = Shifts()


def shift(order: Order) -> str:
    return shifts.attend(order, str(get_worker().name))
