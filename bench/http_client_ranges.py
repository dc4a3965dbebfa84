"""The same range requests by Python's own client, which keeps its connection, one after the other."""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path

FIRST = 4096


def main(port: int, names: Path, count: int) -> None:
    connection, done = http.client.HTTPConnection("127.0.0.1", port, timeout=30), 0
    begun = time.perf_counter()
    for name in names.read_text().splitlines()[:count]:
        connection.request("GET", name, headers={"Range": f"bytes=0-{FIRST - 1}"})
        answer = connection.getresponse()
        done += answer.read()[128:132] == b"DICM"
    print(json.dumps({"done": done, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
