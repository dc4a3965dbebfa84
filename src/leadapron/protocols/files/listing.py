"""What the listings of a tree say: entries counted as they come, candidates drawn, folders queued. Memory is bounded: a
folder with a million names costs what one with a thousand does.

A folder that lists itself below itself (a link that a server follows, a server that answers anything with the same page)
is told by a digest of its entries: where a folder shows what one above it shows, it is left out.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from leadapron.model import Reason
from leadapron.protocols.files import preamble
from leadapron.protocols.files.formats import DICOMDIR, MAY_BE_DICOM, Format, format_of
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path

MAX_DEPTH = 32
"""Folders inside folders."""
MAX_QUEUE = 20_000
"""Folders that wait."""
MAX_HELD = 4096
"""Entries of a folder that are held until it is known whether it is a loop."""
MAX_DIRECTORIES = 4
"""DICOMDIRs that are kept."""
TOPS = 12
"""Folders of the root that are strata of their own; the others are one."""
TELLING = 3
"""Entries from which on a listing that was seen above is a loop; a smaller one may be a coincidence (`a/a/a`)."""
SMALL_LOOP = 4
"""How often a smaller one may come."""


@dataclass(slots=True)
class Contents:
    """What tells the listing of a folder: filled in when it has come, after what is below was queued."""

    above: Contents | None = None
    count: int = 0
    digest: int = 0


class Folder(NamedTuple):
    path: Path
    top: int
    above: Contents | None = None


class Candidate(NamedTuple):
    folder: Path
    """shared by all files of it"""
    name: bytes

    @property
    def path(self) -> Path:
        return (*self.folder, self.name)


@dataclass(slots=True)
class Reservoir:
    """A uniform sample of a stratum (Vitter's algorithm R)."""

    capacity: int
    population: int = 0
    drawn: list[Candidate] = field(default_factory=list)

    def add(self, candidate: Candidate, chance: random.Random) -> None:
        self.population += 1
        if len(self.drawn) < self.capacity:
            self.drawn.append(candidate)
        elif (place := int(chance.random() * self.population)) < self.capacity:
            self.drawn[place] = candidate


@dataclass(slots=True)
class Tally:
    """Numbers of `result.Found`."""

    entries: int = 0
    files: int = 0
    folders: int = 0
    others: int = 0
    closed: int = 0
    broken: int = 0
    unlisted: int = 0
    loops: int = 0
    depth: int = 0
    size: int = 0
    sized: int = 0
    writable: int = 0
    candidates: int = 0
    formats: dict[str, int] = field(default_factory=dict)


class Listing:
    """Takes the entries of one folder after the other. `most` entries in all."""

    def __init__(self, chance: random.Random, *, capacity: int, most: int) -> None:
        self.tally = Tally()
        self.queue: deque[Folder] = deque([Folder((), -1)])
        self.strata: dict[tuple[str, int], Reservoir] = {}
        """by what the name says, and the folder of the root"""
        self.directories: list[Path] = []
        self.why: Reason | None = None
        """why it is not whole: the first reason"""
        self.root: Reason | None = None
        """what became of the root"""
        self._chance, self._capacity, self._most = chance, capacity, most
        self._seen = 0
        self._tops = 0
        self._folder = self.queue[0]
        self._held: list[Entry] = []
        self._contents = Contents()

    @property
    def is_spent(self) -> bool:
        return self._seen >= self._most

    def begin(self, folder: Folder) -> None:
        self._folder, self._contents = folder, Contents(folder.above)
        self._held.clear()

    def take(self, entry: Entry) -> bool:
        """One entry of the folder that was begun; False: enough."""
        if self.is_spent:
            return False
        self._seen += 1
        contents = self._contents
        contents.count += 1
        contents.digest = (contents.digest + hash((entry.name, entry.kind, entry.size))) & 0xFFFFFFFFFFFFFFFF
        if contents.count <= MAX_HELD:
            self._held.append(entry)
        else:
            self._flush()
            self._keep(entry)
        return not self.is_spent

    def end(self, listed: Listed) -> None:
        """The folder came to its end, or not."""
        tally, folder = self.tally, self._folder
        tally.depth = max(tally.depth, len(folder.path))
        if not folder.path:
            self.root = listed.why
        if self._held and self._is_loop():
            tally.loops += 1
            self._give(Reason.LIMIT)
            self._held.clear()
            return
        self._flush()
        if listed.why is Reason.AUTH:
            tally.closed += 1
        elif listed.why is not None:
            self._give(Reason.BUDGET if listed.why is Reason.STOPPED else listed.why)
            tally.broken += listed.why is not Reason.STOPPED

    def cut(self, why: Reason) -> None:
        """The connection ended in the middle of a listing."""
        self._give(why)
        if not self._is_loop():
            self._flush()

    def _is_loop(self) -> bool:
        own, times, above = self._contents, 0, self._contents.above
        while above is not None:  # at most MAX_DEPTH
            times += (above.count, above.digest) == (own.count, own.digest)
            above = above.above
        return times >= (1 if own.count >= TELLING else SMALL_LOOP)

    def _give(self, why: Reason) -> None:
        self.why = self.why or why

    def _flush(self) -> None:
        for entry in self._held:
            self._keep(entry)
        self._held.clear()

    def _keep(self, entry: Entry) -> None:
        tally = self.tally
        tally.entries += 1
        tally.writable += entry.world_writable
        if entry.kind is Kind.FILE:
            self._keep_file(entry)
        elif entry.kind is Kind.FOLDER:
            tally.folders += 1
            self._wait(entry)
        else:
            tally.others += 1

    def _keep_file(self, entry: Entry) -> None:
        tally, size = self.tally, entry.size
        tally.files += 1
        if size is not None:
            tally.size += max(0, size)
            tally.sized += 1
        found = format_of(entry.name)
        tally.formats[found.name] = tally.formats.get(found.name, 0) + 1
        folder = self._folder
        if found.name == DICOMDIR and len(self.directories) < MAX_DIRECTORIES:
            self.directories.append((*folder.path, entry.name))
        if found.sort in MAY_BE_DICOM and (size is None or size >= preamble.LENGTH):
            tally.candidates += 1
            self._stratum(found).add(Candidate(folder.path, entry.name), self._chance)

    def _stratum(self, found: Format) -> Reservoir:
        key = (found.name, self._folder.top)
        if key not in self.strata:
            self.strata[key] = Reservoir(self._capacity)
        return self.strata[key]

    def _wait(self, entry: Entry) -> None:
        folder = self._folder
        if len(folder.path) >= MAX_DEPTH or len(self.queue) >= MAX_QUEUE:
            self.tally.unlisted += 1
            self._give(Reason.LIMIT)
            return
        top = folder.top
        if not folder.path:
            top = min(self._tops, TOPS)
            self._tops += 1
        self.queue.append(Folder((*folder.path, entry.name), top, self._contents))
