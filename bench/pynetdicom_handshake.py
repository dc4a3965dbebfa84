"""pynetdicom's associations, in threads: connect, associate, abort."""

from __future__ import annotations

import argparse
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

THREADS = 16


def associate(place: tuple[str, int]) -> bool:
    entity = AE(ae_title="LEADAPRON")
    entity.add_requested_context(Verification, "1.2.840.10008.1.2")
    entity.acse_timeout = entity.connection_timeout = 3
    association = entity.associate(*place)
    accepted = association.is_established
    if accepted:
        association.abort()
    return accepted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("first", type=IPv4Address)
    for name in ("count", "port"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    places = [(str(given.first + i), given.port) for i in range(given.count)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        accepted = sum(pool.map(associate, places))
    seconds = time.perf_counter() - begun
    print(json.dumps({"done": given.count, "accepted": accepted, "seconds": seconds}))


if __name__ == "__main__":
    main()
