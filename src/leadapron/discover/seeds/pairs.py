"""What is kept of a file of another scanner: addresses and ports, each pair once, and how many records fell out and why."""

from __future__ import annotations

import enum
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton

import numpy as np
import numpy.typing as npt

from leadapron.errors import InputError

MAX_PAIRS = 50_000_000
"""Of IPv4."""
MAX_PAIRS6 = 1 << 20
"""Of IPv6, which are kept as Python's numbers: some 200 bytes each."""

_SLACK = MAX_PAIRS // 8
"""Pairs beyond the bound before duplicates are looked for, which takes seconds."""
_BLOCK = 1 << 20
"""Pairs that are worked on at once: copies of all of them would double what is needed."""
_MAPPED = 0xFFFF


class Kind(enum.StrEnum):
    """What wrote the file."""

    LIST = "list"
    ZMAP = "zmap"
    MASSCAN = "masscan"
    NMAP = "nmap"
    CENSYS = "censys"
    SHODAN = "shodan"


class Skipped(enum.StrEnum):
    """Why a record gave no seed, though nothing is wrong with it."""

    NOT_OPEN = "not_open"
    """closed, filtered, or no success to the scanner"""
    NOT_TCP = "not_tcp"
    NO_PORT = "no_port"
    """none at all, or port 0"""
    NOT_A_HOST = "not_a_host"
    """a certificate or a web property"""
    DUPLICATE = "duplicate"
    """a pair that stood there before"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Each pair once, by address and port ascending. `sha256` is that of the file as it lies on the disk."""

    kind: Kind
    sha256: str
    addresses4: npt.NDArray[np.uint32]
    ports4: npt.NDArray[np.uint16]
    """as long as `addresses4`"""
    targets6: tuple[tuple[int, int], ...]
    """(address, port)"""
    skipped: Mapping[Skipped, int]
    """only reasons that occurred"""

    def __len__(self) -> int:
        return len(self.addresses4) + len(self.targets6)


class Found:
    """Where the parsers put what they find. `unit` and `at` say where they are, for a mistake."""

    def __init__(self, path: Path, ports: Sequence[int], most: int = MAX_PAIRS) -> None:
        self._path, self._ports, self._most = path, tuple(dict.fromkeys(ports)), most
        self._four = array("Q")
        """address << 16 | port: eight bytes a pair, and arrays grow in place"""
        self._six: set[tuple[int, int]] = set()
        self.skipped: Counter[Skipped] = Counter()
        self.unit, self.at = "line", 0
        self.has_ended = True
        """whether the last line that was read had an end"""

    def add(self, address: str, port: int | None) -> None:
        """`port` None: each of those that the scope names. Raises InputError for what is no address or no port."""
        version, number = self._number(address)
        if port is None and not self._ports:
            raise self.mistake("has no port; write address:port")
        for each in self._ports if port is None else (port,):
            if not 0 < each < 65_536:
                raise self.mistake("has no port from 1 to 65535; mend it, or leave it out")
            if version == 4:
                self._four.append(number << 16 | each)
            else:
                self._add6(number, each)
        if len(self._four) > self._most + _SLACK:
            self._once()

    def skip(self, why: Skipped) -> None:
        self.skipped[why] += 1

    def mistake(self, problem: str) -> InputError:
        """One line. It repeats nothing of the file: a banner may hold anything."""
        place = f"{self.unit} {self.at}: " if self.at else ""
        return InputError(f"{self._path}: {place}{problem}")

    def seeds(self, kind: Kind, sha256: str) -> Seeds:
        """Raises InputError where there is none."""
        self._once()
        if not (self._four or self._six):
            self.at = 0
            raise self.mistake("names no open TCP port; give the result of a scan that found one")
        addresses4, ports4 = _split(self._four)
        return Seeds(
            kind=kind,
            sha256=sha256,
            addresses4=addresses4,
            ports4=ports4,
            targets6=tuple(sorted(self._six)),
            skipped={why: self.skipped[why] for why in Skipped if self.skipped[why]},
        )

    def _number(self, address: str) -> tuple[int, int]:
        """IP version and number; of an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) those of the IPv4 address."""
        if (four := _packed(AF_INET, address)) is not None:
            return 4, int.from_bytes(four, "big")
        if (six := _packed(AF_INET6, address)) is None:
            raise self.mistake("has no IP address; names and networks belong in the scope")
        number = int.from_bytes(six, "big")
        return (4, number & 0xFFFFFFFF) if number >> 32 == _MAPPED else (6, number)

    def _add6(self, number: int, port: int) -> None:
        if (number, port) in self._six:
            self.skip(Skipped.DUPLICATE)
        elif len(self._six) >= MAX_PAIRS6:
            raise self.mistake(f"more than {MAX_PAIRS6:,} pairs of IPv6 address and port; split the file")
        self._six.add((number, port))

    def _once(self) -> None:
        """Sorted, each pair once, in place."""
        keys = _view(self._four)
        keys.sort()
        kept = _unique(keys)
        repeated = len(keys) - kept
        del keys
        del self._four[kept:]
        if repeated:
            self.skipped[Skipped.DUPLICATE] += repeated
        if kept > self._most:
            raise self.mistake(f"more than {self._most:,} pairs of address and port; split the file")


def _packed(family: int, address: str) -> bytes | None:
    """None for what is no address; the exception would carry the text."""
    try:
        return inet_pton(family, address)
    except (OSError, ValueError):
        return None


def _view(pairs: array[int]) -> npt.NDArray[np.uint64]:
    """While somebody looks into an array, it neither grows nor shrinks."""
    return np.frombuffer(pairs, dtype=np.uint64) if pairs else np.empty(0, dtype=np.uint64)


def _unique(keys: npt.NDArray[np.uint64]) -> int:
    """Moves the different ones of sorted `keys` to the front. Returns how many there are."""
    kept = 0
    for start in range(0, len(keys), _BLOCK):
        part = keys[start : start + _BLOCK]
        is_new = np.empty(len(part), dtype=bool)
        is_new[0] = not kept or part[0] != keys[kept - 1]
        np.not_equal(part[1:], part[:-1], out=is_new[1:])
        different = part[is_new]
        keys[kept : kept + len(different)] = different
        kept += len(different)
    return kept


def _split(pairs: array[int]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    keys = _view(pairs)
    addresses = np.empty(len(keys), dtype=np.uint32)
    for start in range(0, len(keys), _BLOCK):
        addresses[start : start + _BLOCK] = keys[start : start + _BLOCK] >> np.uint64(16)
    return addresses, keys.astype(np.uint16)
