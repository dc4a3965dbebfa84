"""What one server shows: collections, whole or in part, and the answers to queries for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from leadapron.lab import archive
from leadapron.lab.archive import Archive, Keys, write_identifier
from leadapron.lab.world.draw import Indices
from leadapron.lab.world.studies import NUMBERS, Collection
from leadapron.protocols.dicom.wire import elements

BLOCK = 256
"""Studies that are computed at once."""
MAX_KEPT = 20_000
"""Data elements of one attribute that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The first `count` studies of a collection."""

    collection: Collection
    count: int

    @property
    def images(self) -> int:
        return int(self.collection.images_at(np.arange(self.count, dtype=np.int64)).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a server shows. `claims`: its answers say how many series and images a study has."""

    shelves: tuple[Shelf, ...]
    claims: bool = True

    @property
    def studies(self) -> int:
        return sum(shelf.count for shelf in self.shelves)

    @property
    def images(self) -> int:
        return sum(shelf.images for shelf in self.shelves)

    def find(self, keys: Keys) -> Iterator[dict[int, bytes]]:
        """The answers to an identifier, as `Archive.find` gives them."""
        tags = frozenset(keys)
        for shelf in self.shelves:
            indices = _within(shelf, keys)
            for start in range(0, len(indices), BLOCK):
                studies = shelf.collection.at(indices[start : start + BLOCK], tags)
                yield from Archive(studies=studies, claims=self.claims).find(keys)

    def identifiers(self, keys: Keys, *, explicit: bool) -> Iterator[bytes]:
        """As `Archive.identifiers`. The queries by which an archive is counted take a way of their own, since a sweep of the
        world asks for a million answers: a third of the time."""
        if explicit or not _is_simple(keys):
            yield from (write_identifier(values, explicit=explicit) for values in self.find(keys))
            return
        for shelf in self.shelves:
            indices = _within(shelf, keys)
            for start in range(0, len(indices), BLOCK):
                yield from self._encoded(shelf.collection, indices[start : start + BLOCK], keys)

    def _encoded(self, collection: Collection, indices: Indices, keys: Keys) -> Iterator[bytes]:
        """Column by column, each value with its tag and length."""
        columns: list[Iterable[bytes]] = []
        for tag in sorted(keys):
            encoded = _ENCODED[tag]
            if tag == archive.LEVEL or (tag in NUMBERS and not self.claims):
                columns.append(itertools.repeat(encoded[b"STUDY" if tag == archive.LEVEL else b""], len(indices)))
            else:
                columns.append(map(encoded.__getitem__, collection.column(tag, indices)))
        return map(b"".join, zip(*columns, strict=True))


def _is_simple(keys: Keys) -> bool:
    """Whether an identifier asks at STUDY level for nothing but what `_ENCODED` knows, of all studies or of some days."""
    patterns = {tag: pattern for tag, value in keys.items() if (pattern := value.strip(b" \0"))}
    is_plain = patterns.pop(archive.LEVEL, b"") == b"STUDY" and not patterns.keys() - {archive.STUDY_DATE}
    return is_plain and keys.keys() <= _ENCODED.keys() and archive.STUDY_UID in keys and _days(keys) is not None


def _days(keys: Keys) -> tuple[int, int] | None:
    """The first and the last day of a range of dates, all days where there is no pattern; None for any other pattern."""
    pattern = keys.get(archive.STUDY_DATE, b"").strip(b" \0")
    if not pattern:
        return 0, 99_999_999
    first, hyphen, last = pattern.partition(b"-")
    if not hyphen:
        last = first
    is_range = len(first) == len(last) == 8 and first.isdigit() and last.isdigit()
    return (max(int(first), 1), int(last)) if is_range else None


def _within(shelf: Shelf, keys: Keys) -> Indices:
    """The studies that list and range matching leave; `Archive.find` looks at each of them again."""
    collection = shelf.collection
    if uids := keys.get(archive.STUDY_UID, b"").strip(b" \0"):
        named = {collection.index_of(uid) for uid in uids.split(b"\\")} - {None}
        indices = np.array(
            sorted(index for index in named if index is not None and index < shelf.count), dtype=np.int64
        )
    else:
        indices = np.arange(shelf.count, dtype=np.int64)
    first, last = _days(keys) or (0, 0)
    if first:
        days = collection.days_at(indices)
        indices = indices[(days >= first) & (days <= last)]
    return indices


# -- data elements -----------------------------------------------------------------------------------------------------

_HEAD = 8
"""Bytes of tag and length in implicit VR."""


class _Elements(dict[bytes, bytes]):
    """Values of one attribute, each as a data element in implicit VR."""

    def __init__(self, tag: int, *, is_kept: bool = True) -> None:
        """`is_kept`: there are few, and each is encoded once."""
        super().__init__()
        self._tag, self._most = tag, MAX_KEPT if is_kept else 0
        self._forms: dict[int, tuple[bytes, bytes]] = {}
        """what is before and behind a value, by its length"""

    def __missing__(self, value: bytes) -> bytes:
        head, padding = self._forms.get(len(value)) or self._form(len(value))
        element = head + value + padding
        if len(self) < self._most:
            self[value] = element
        return element

    def _form(self, size: int) -> tuple[bytes, bytes]:
        element = elements.encode([(self._tag, b"1" * size)])
        return self._forms.setdefault(size, (element[:_HEAD], element[_HEAD + size :]))


_ENCODED = {
    archive.STUDY_DATE: _Elements(archive.STUDY_DATE),
    archive.LEVEL: _Elements(archive.LEVEL),
    archive.MODALITIES: _Elements(archive.MODALITIES),
    archive.STUDY_UID: _Elements(archive.STUDY_UID, is_kept=False),
    archive.STUDY_SERIES: _Elements(archive.STUDY_SERIES),
    archive.STUDY_IMAGES: _Elements(archive.STUDY_IMAGES),
}
"""The keys of a query that counts."""
