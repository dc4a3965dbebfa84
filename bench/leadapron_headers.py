"""Lead Apron's two ways of reading headers, over a list of files: the study of each by `find`, or every attribute by the
strict walk, which reads on where a header is longer than the first piece."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from leadapron.protocols.files import header

FIRST, FLAGS, identify = header.FIRST, os.O_RDONLY | os.O_CLOEXEC, header.identify
LENGTHS = (header.FIRST, 16 << 10, header.MOST)
"""Bytes that are known after each read, as in a walk."""


def by_find(number: int) -> bool:
    return identify(os.pread(number, FIRST, 0)) is not None


def by_walk(number: int) -> bool:
    data, reader = b"", header.Reader()
    for length in LENGTHS:
        data += os.pread(number, length - len(data), len(data))
        found = reader.read(data, whole=len(data) < length)
        if not found.needs:
            break
    return bool(found.identity.study) and len(found.present) > 0


WAYS: dict[str, Callable[[int], bool]] = {"find": by_find, "walk": by_walk}


def main(names: Path, count: int, way: str) -> None:
    paths, read = names.read_bytes().splitlines()[:count], WAYS[way]
    begun, done = time.perf_counter(), 0
    for path in paths:
        number = os.open(path, FLAGS)
        try:
            done += read(number)
        finally:
            os.close(number)
    print(json.dumps({"done": done, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
