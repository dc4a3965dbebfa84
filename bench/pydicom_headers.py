"""pydicom over a list of files: the four UIDs alone (`uids`), the header with its values left undecoded, as is its default
(`default`), or every element decoded at any depth, which a census needs (`decoded`)."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom

UIDS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


def uids(path: str) -> bool:
    dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*UIDS])
    return bool(dataset.StudyInstanceUID)


def default(path: str) -> bool:
    return bool(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def decoded(path: str) -> bool:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    populated = {element.tag for element in dataset.iterall() if element.value not in (None, "", b"")}
    return 0x0020000D in populated


WAYS: dict[str, Callable[[str], bool]] = {"uids": uids, "default": default, "decoded": decoded}


def main(names: Path, count: int, way: str) -> None:
    paths, read = names.read_text().splitlines()[:count], WAYS[way]
    warnings.simplefilter("ignore")
    begun = time.perf_counter()
    done = sum(read(path) for path in paths)
    print(json.dumps({"done": done, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
