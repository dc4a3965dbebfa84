"""Lead Apron's walk of one share: what an audit with `--full` asks of it, over the dialer of an audit. `done`: files that
were listed; `read`: those whose header was, as far as a walk's most bytes reach."""

from __future__ import annotations

import json
import sys
import time
from ipaddress import ip_address
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "peers")]

from file_doors import asked, terms  # noqa: E402 - lies among the tests
from leadapron_find import peak_mib  # noqa: E402

from leadapron.model import CountKind, Depth, Endpoint  # noqa: E402
from leadapron.pipeline_terms import FULL_ANSWERS, FULL_SECONDS  # noqa: E402
from leadapron.protocols.registry import PROTOCOLS  # noqa: E402

SHARES = {"http": "/", "smb": "dicom"}


def main(door: str, port: int) -> None:
    endpoint = Endpoint(address=ip_address("127.0.0.1"), port=port)
    full = terms(
        Depth.CENSUS, census=True, blank_login=True, answers=FULL_ANSWERS, requests=FULL_ANSWERS, seconds=FULL_SECONDS
    )
    begun = time.perf_counter()
    observations, _, _ = asked(PROTOCOLS[door], endpoint, full)
    seconds = time.perf_counter() - begun
    seen = observations[SHARES[door]]
    images, files, read = seen.counts.images, seen.facts["files.files"], seen.facts["files.read"]
    assert images is not None
    assert images.low <= files <= (images.high or 0), "every file is an image"
    assert (read == files) == (images.kind is CountKind.EXACT)
    print(json.dumps({"done": files, "read": read, "seconds": seconds, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
