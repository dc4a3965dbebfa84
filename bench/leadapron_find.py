"""Lead Apron's count of one DICOM service: the inquiry of an audit over the dialer of an audit."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from leadapron.model import Completed, Endpoint
from leadapron.net.conversation import Limits
from leadapron.net.dialer import Line, hold
from leadapron.protocols.dicom.inquiry import Inquiry, Model


def main(port: int) -> None:
    endpoint = Endpoint(address=ip_address("127.0.0.1"), port=port)
    job = Inquiry(
        name="bench",
        endpoint=endpoint,
        called_aet="ANY-SCP",
        calling_aet="LEADAPRON",
        model=Model.STUDY_ROOT,
        ask_echo=False,
        ask_worklist=False,
        narrow=False,
        queries=1,
        answers=5_000_000,
        today=dt.datetime.now(dt.UTC).date(),
        key=bytes(32),
        limits=Limits(deadline=600.0, max_received=8 << 30),
    )
    begun = time.perf_counter()
    attempt = asyncio.run(hold(job.converse(), endpoint, Line(job.limits), job.limits))
    seconds = time.perf_counter() - begun
    assert isinstance(attempt, Completed)
    found = attempt.result.model
    assert found is not None
    assert found.studies is not None
    assert found.images is not None
    assert found.studies.value == found.most_answers, "a study was lost or counted twice"
    peak = peak_mib()
    print(json.dumps({"done": found.studies.value, "images": found.images.value, "seconds": seconds, "peak_mib": peak}))


def peak_mib() -> float:
    """The most memory that this program held; `ru_maxrss` would also know that of the process which started it."""
    held = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert held is not None
    return int(held[1]) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]))
