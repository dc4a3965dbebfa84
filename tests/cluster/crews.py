"""Workers of this machine, without Dask: as many processes as there are seats, for as long as they are wanted."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from leadapron.cluster.job import Job
from leadapron.cluster.order import Order


class LocalCrew:
    """`most` at once. A shift that ends is followed by another, as on machines that are there all the time."""

    def __init__(self, most: int, life: float = 6.0) -> None:
        self.most, self.life = most, life
        self.jobs: dict[str, Job] = {}
        self.ended: list[str] = []
        self.begun = 0

    def call(self, order: Order) -> None:
        for name, job in list(self.jobs.items()):
            if (why := job.ended()) is not None:
                self.ended.append(why)
                del self.jobs[name]
        while len(self.jobs) < self.most:
            self.begun += 1
            name = f"worker-{self.begun}"
            self.jobs[name] = Job(order, name, self.life)

    def faults(self) -> Sequence[str]:
        return ()

    def dismiss(self) -> None:
        self.most = 0

    def places(self) -> Sequence[tuple[str, int]]:
        return ()

    def kill(self, name: str) -> None:
        """`kill -9`."""
        os.killpg(self.jobs[name].pid, signal.SIGKILL)

    def close(self) -> None:
        for job in self.jobs.values():
            job.close()
