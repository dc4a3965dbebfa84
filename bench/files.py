"""File headers: Lead Apron's two ways beside pydicom, dcmdump and C, on one core, in one run, the programs in turns.

    python bench/files.py [--rounds 5] [--files 2000]

Every program opens the same made-up files and says how many have a study UID; a rate counts only where all agree.
pydicom is measured twice: as it reads by default, which leaves values undecoded, and with every element decoded at any
depth, which is what a census needs. Files are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pydicom

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1] / "tests")]

from file_trees import dicom  # noqa: E402 - lies among the tests
from leadapron.protocols.files import header  # noqa: E402

Program = Callable[[list[str]], int]
BATCH = 500
"""Files of one call of a command."""


def _first(path: str) -> bytes:
    number = os.open(path, os.O_RDONLY)
    try:
        return os.pread(number, header.FIRST, 0)
    finally:
        os.close(number)


def by_find(paths: list[str]) -> int:
    return sum(header.identify(_first(path)) is not None for path in paths)


def by_walk(paths: list[str]) -> int:
    return sum(header.read(_first(path)).identity.study != b"" for path in paths)


def by_pydicom(paths: list[str]) -> int:
    return sum("StudyInstanceUID" in pydicom.dcmread(path, stop_before_pixels=True) for path in paths)


def by_pydicom_decoded(paths: list[str]) -> int:
    found = 0
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        found += any(element.keyword == "StudyInstanceUID" for element in list(dataset.iterall()))
    return found


def by_dcmdump(paths: list[str]) -> int:
    command = ["dcmdump", "-q", "+L", "+P", "0020,000d"]
    found = 0
    for start in range(0, len(paths), BATCH):
        done = subprocess.run([*command, *paths[start : start + BATCH]], check=True, capture_output=True)
        found += done.stdout.count(b"(0020,000d)")
    return found


def by_c(program: Path) -> Program:
    def run(paths: list[str]) -> int:
        found = 0
        for start in range(0, len(paths), BATCH):
            done = subprocess.run([program, *paths[start : start + BATCH]], check=True, capture_output=True)
            found += int(done.stdout)
        return found

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="File headers: Lead Apron beside its peers and beside C.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=2_000)
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "headers"
        source = Path(__file__).parent / "c" / "headers.c"
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
        paths = [str(Path(folder) / f"IM{number:06d}") for number in range(given.files)]
        for number, path in enumerate(paths):
            Path(path).write_bytes(dicom(number // 100 + 1, number, StudyDescription="made up", StationName="made up"))
        programs: dict[str, Program] = {
            "Lead Apron, find": by_find,
            "Lead Apron, strict walk": by_walk,
            "pydicom": by_pydicom,
            "pydicom, decoded": by_pydicom_decoded,
            "dcmdump": by_dcmdump,
            "C": by_c(program),
        }
        report(measure(programs, paths, given.rounds))


def measure(programs: dict[str, Program], paths: list[str], rounds: int) -> dict[str, float]:
    """Files a second: the medians of the rounds, of which one more than asked warms up."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    names = list(programs)
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            found = programs[name](paths)
            seconds = time.perf_counter() - start
            if found != len(paths):
                raise SystemExit(f"{name} found {found} of {len(paths)} studies: its rate says nothing")
            if number:
                rates[name].append(len(paths) / seconds)
    return {name: statistics.median(rates[name]) for name in names}


def report(rates: dict[str, float]) -> None:
    ours = rates["Lead Apron, find"]
    print("| headers a second, one core | rate | Lead Apron, find, beside it |\n|---|---:|---:|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.0f} | {ours / rate:.2f} |")


if __name__ == "__main__":
    main()
