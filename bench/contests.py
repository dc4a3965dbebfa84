"""What is compared: programs that do the same, each checked for having done it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from place import (
    CLOSED,
    FIND,
    FIND_SHORT,
    FIND_SPLIT,
    FIND_SPLIT_SHORT,
    FIRST,
    FRAGMENT,
    OPEN,
    QUIET,
    SPARSE,
    STEP,
    Place,
    Sample,
)

Measure = Callable[[], Sample]

LEAD_APRON, UNARMED, C, C_SPARING = "Lead Apron", "its engine, hook not armed", "C", "C, as sparing"
NMAP, PYNETDICOM, FINDSCU = "nmap dicom-ping", "pynetdicom", "findscu -q"
DCMDUMP, PYDICOM, HTTP_CLIENT = "dcmdump", "pydicom", "http.client"
ALL_OPEN = "all open"
UIDS, ATTRIBUTES, RANGES = "UIDs", "every attribute", "pieces of 4 KiB"
BATCH = 500
"""Files of one call of a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A sample has "done" and "seconds"."""

    name: str
    programs: dict[str, Measure]


def handshakes(place: Place, name: str, port: int, *, accepted: Callable[[int], int], silent: bool = False) -> Contest:
    """`accepted(targets)`: how many of the first so many addresses answer on the port."""
    size = place.size
    sockets, timeout = (size.sockets, 1000) if silent else (256, 3000)
    count = size.handshakes
    files = (place.folder / "request", place.folder / "farewell")

    def checked(sample: Sample, among: int) -> Sample:
        assert sample["accepted"] == accepted(among), (name, sample, accepted(among))
        return sample

    def c(sparing: int) -> Measure:
        arguments = (FIRST, count, sockets, port, timeout, *files, sparing)
        return lambda: checked(place.c("handshake_client", *arguments), count)

    def leadapron(*options: object) -> Measure:
        arguments = (FIRST, count, sockets, port, timeout, *options)
        return lambda: checked(place.python("leadapron_handshake", *arguments), count)

    programs = {
        LEAD_APRON: leadapron("--armed", place.folder / "scope.toml"),
        UNARMED: leadapron(),
        C: c(0),
        C_SPARING: c(1),
    }
    if not silent:
        among = 1 << 32 - size.nmap_prefix
        programs[NMAP] = lambda: checked(nmap(place, port), among)
        programs[PYNETDICOM] = lambda: checked(
            place.python("pynetdicom_handshake", FIRST, size.pynetdicom, port), size.pynetdicom
        )
    return Contest(name=name, programs=programs)


def nmap(place: Place, port: int) -> Sample:
    """Its own time for many hosts less that for one: its start is not counted."""

    def seconds(prefix: int) -> tuple[float, int]:
        options = ("-n", "-Pn", "-sT", "-T5", "--min-hostgroup", 1 << 32 - prefix, "-p", port)
        begun = time.perf_counter()
        output = place.run("nmap", *options, "--script", "dicom-ping", f"{FIRST}/{prefix}")
        return time.perf_counter() - begun, output.count("DICOM Service Provider discovered")

    start, _ = seconds(32)
    took, found = seconds(place.size.nmap_prefix)
    return {"done": 1 << 32 - place.size.nmap_prefix, "accepted": found, "seconds": max(took - start, 1e-6)}


def finds(place: Place, name: str, port: int, short_port: int) -> Contest:
    size = place.size

    def checked(sample: Sample, answers: int) -> Sample:
        assert sample["done"] == answers, (name, sample)
        assert sample.get("images", images(answers)) == images(answers), (name, sample)
        return sample

    def findscu() -> Sample:
        keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "NumberOfStudyRelatedInstances")
        begun = time.perf_counter()
        place.run("findscu", "-q", "-S", *(part for key in keys for part in ("-k", key)), "127.0.0.1", port)
        return {"done": size.answers, "seconds": time.perf_counter() - begun}

    files = (place.folder / "associate", place.folder / "find")
    return Contest(
        name=name,
        programs={
            LEAD_APRON: lambda: checked(place.python("leadapron_find", port), size.answers),
            C: lambda: checked(place.c("find_client", port, *files), size.answers),
            FINDSCU: findscu,
            PYNETDICOM: lambda: checked(place.python("pynetdicom_find", short_port), size.answers_pynetdicom),
        },
    )


def headers(place: Place, name: str, way: str, pydicom_way: str) -> Contest:
    """Of files in the page cache."""
    size = place.size

    def checked(sample: Sample, files: int) -> Sample:
        assert sample["done"] == files, (name, sample)
        return sample

    def warm() -> None:
        """Each program finds the files where the one before it left them: in the caches, names too."""
        place.c("headers", place.names, size.headers)

    def leadapron() -> Sample:
        warm()
        return checked(place.python("leadapron_headers", place.names, size.headers, way), size.headers)

    def pydicom() -> Sample:
        warm()
        count = size.headers_pydicom
        return checked(place.python("pydicom_headers", place.names, count, pydicom_way), count)

    def in_c() -> Sample:
        warm()
        return checked(place.c("headers", place.names, size.headers), size.headers)

    programs = {
        LEAD_APRON: leadapron,
        C: in_c,
        PYDICOM: pydicom,
    }
    if way == "find":
        programs[DCMDUMP] = lambda: checked(dcmdump(place), size.headers_pydicom)
    return Contest(name=name, programs=programs)


def dcmdump(place: Place) -> Sample:
    """Many files a call, and no more of each than has to be read."""
    paths = place.names.read_text().splitlines()[: place.size.headers_pydicom]
    begun, found = time.perf_counter(), 0
    for start in range(0, len(paths), BATCH):
        options = ("-q", "-M", "+st", "0020,000d", "+P", "0020,000d")
        found += place.run("dcmdump", *options, *paths[start : start + BATCH]).count("(0020,000d)")
    return {"done": found, "seconds": time.perf_counter() - begun}


def ranges(place: Place) -> Contest:
    def run(program: str) -> Sample:
        sample = place.python(program, place.web, place.targets, place.size.ranges)
        assert sample["done"] == place.size.ranges, (program, sample)
        return sample

    return Contest(
        name=RANGES,
        programs={LEAD_APRON: lambda: run("leadapron_ranges"), HTTP_CLIENT: lambda: run("http_client_ranges")},
    )


def images(studies: int) -> int:
    """What the find server's studies claim together."""
    return sum(i * 7919 % 1500 + 1 for i in range(studies))


def every(count: int) -> int:
    return count


def hundredth(count: int) -> int:
    return -(-count // STEP)


def none(_count: int) -> int:
    return 0


def contests(place: Place) -> list[Contest]:
    return [
        handshakes(place, ALL_OPEN, OPEN, accepted=every),
        handshakes(place, "all closed", CLOSED, accepted=none),
        handshakes(place, "1 % open, rest closed", SPARSE, accepted=hundredth),
        handshakes(place, "1 % open, rest silent", QUIET, accepted=hundredth, silent=True),
        finds(place, "one PDU an identifier", FIND, FIND_SHORT),
        finds(place, f"fragments of {FRAGMENT} bytes", FIND_SPLIT, FIND_SPLIT_SHORT),
        headers(place, UIDS, "find", "uids"),
        headers(place, ATTRIBUTES, "walk", "decoded"),
        ranges(place),
    ]
