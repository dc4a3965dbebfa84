"""What a server holds: each study computed from (seed, origin, index) when somebody asks, none of them kept.

The studies of one origin are a `Collection`; a server shows its own and copies of others' (`leadapron.lab.world.holdings`).
A study is the same on each server that shows it. Numbers of images add up exactly: in a pair of studies what one has more
than the mean, the other has less.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from leadapron.lab import archive
from leadapron.lab.archive import Study
from leadapron.lab.world.draw import Indices, below, key_of

_FIRST_DAY = dt.date(2005, 1, 1)
_DAYS = [f"{_FIRST_DAY + dt.timedelta(days=day):%Y%m%d}".encode() for day in range(5_750)]
"""The days of studies, to September 2020: before the investigation was published."""
_DAY_NUMBERS = np.array([int(day) for day in _DAYS], dtype=np.int64)
_BIRTHS = [f"{dt.date(1925, 1, 1) + dt.timedelta(days=day):%Y%m%d}".encode() for day in range(28_000)]
_UNDATED = 33
"""One study in so many has no date."""
_MODALITIES = (b"CT", b"MR", b"CR", b"US", b"MG", b"CT\\SR")
_MOST_SERIES = 3
_PUBLIC_ROOT = "1.3.6.1.4.1.14519.5.2.1"
"""Of The Cancer Imaging Archive: what copies of its collections are known by. No study of it has one of our UIDs."""


class Whose(enum.Enum):
    """Whose records a collection plays, by the verdict on genuineness. Each record says of itself that it is made up."""

    PATIENTS = "patients"
    TEST = "test"
    DEIDENTIFIED = "deidentified"
    PUBLIC = "public-sample"
    HONEYPOT = "honeypot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The studies of one origin (0 to 999,999) under one seed, with so many images together, at least one each."""

    seed: int
    origin: int
    studies: int
    images: int
    whose: Whose = Whose.PATIENTS

    @property
    def root(self) -> str:
        """What all of its study UIDs begin with; eight digits follow."""
        above = _PUBLIC_ROOT if self.whose is Whose.PUBLIC else "2.25"
        return f"{above}.{10**9 + self.seed}{self.origin:06}"

    def index_of(self, uid: bytes) -> int | None:
        """The study with this UID, or None."""
        root = self.root.encode()
        number = uid.removeprefix(root)
        if len(number) != 8 or len(uid) != len(root) + 8 or not number.isdigit():
            return None
        return index if (index := int(number)) < self.studies else None

    def images_at(self, indices: Indices) -> Indices:
        """The number of images of each study."""
        mean, rest = divmod(self.images, self.studies)
        swing = below(self._key("images"), indices // 2, max(mean, 1))
        swing = np.where(indices % 2, -swing, swing)
        swing[(indices == self.studies - 1) & (indices % 2 == 0)] = 0  # the last of an odd number has no other
        return np.asarray(mean + (indices < rest) + swing)

    def days_at(self, indices: Indices) -> Indices:
        """The study date of each as a number, 20190131; 0 where it has none."""
        days = _DAY_NUMBERS[below(self._key("date"), indices, len(_DAYS))]
        return np.asarray(np.where(below(self._key("undated"), indices, _UNDATED), days, 0))

    def series_at(self, indices: Indices) -> Indices:
        """The number of series of each study."""
        return np.minimum(1 + below(self._key("series"), indices, _MOST_SERIES), self.images_at(indices))

    def at(self, indices: Indices, tags: frozenset[int]) -> tuple[Study, ...]:
        """The studies, with those of their attributes that are in `tags`."""
        wanted = [tag for tag in (*_COLUMNS, *archive.FILLED) if tag in tags or tag == archive.STUDY_UID]
        columns = [self.column(tag, indices) for tag in wanted]
        images, series = self.images_at(indices).tolist(), self.series_at(indices).tolist()
        return tuple(
            Study(values=dict(zip(wanted, values, strict=True)), series=_series(total, count))
            for total, count, *values in zip(images, series, *columns, strict=True)
        )

    def column(self, tag: int, indices: Indices) -> list[bytes]:
        """One attribute of each study; of a number of series or images what is there."""
        if tag in NUMBERS:
            return [b"%d" % number for number in NUMBERS[tag](self, indices).tolist()]
        if (column := _COLUMNS.get(tag)) is not None:
            return column(self, indices)
        share, value = archive.FILLED[tag]
        is_filled = below(self._key(tag), indices, 1000) < int(share * 1000)
        return [value if filled else b"" for filled in is_filled.tolist()]

    def _key(self, about: object) -> int:
        return key_of(self.seed, self.origin, about)

    def texts(self, about: str, indices: Indices, choices: tuple[bytes, ...] | list[bytes]) -> list[bytes]:
        """One of `choices` for each study."""
        return [choices[place] for place in below(self._key(about), indices, len(choices)).tolist()]


def _series(images: int, count: int) -> tuple[int, ...]:
    """Images of each series."""
    mean, rest = divmod(images, count)
    return tuple(mean + (place < rest) for place in range(count))


# -- attributes --------------------------------------------------------------------------------------------------------

_NAMES = {
    Whose.TEST: "SYNTHETIC^Patient{:06}",
    Whose.DEIDENTIFIED: "ANON-{:06}",
    Whose.PUBLIC: "Collection-MadeUp^{:04}",
    Whose.HONEYPOT: "Guest-MadeUp^Ada{:02}",
}
_BORN_ON = {Whose.TEST: b"19700101", Whose.DEIDENTIFIED: b"", Whose.PUBLIC: b"", Whose.HONEYPOT: b"19800101"}
_PATIENTS = [f"{family}-MadeUp^{given}".encode() for family in archive.FAMILIES for given in archive.GIVEN]


def _uids(collection: Collection, indices: Indices) -> list[bytes]:
    root = collection.root
    return [f"{root}{index:08}".encode() for index in indices.tolist()]


def _dates(collection: Collection, indices: Indices) -> list[bytes]:
    return [b"%d" % day if day else b"" for day in collection.days_at(indices).tolist()]


def _times(collection: Collection, indices: Indices) -> list[bytes]:
    seconds = below(key_of(collection.seed, collection.origin, "time"), indices, 86_400).tolist()
    return [b"%02d%02d%02d" % (second // 3600, second // 60 % 60, second % 60) for second in seconds]


def _accessions(collection: Collection, indices: Indices) -> list[bytes]:
    return [f"SYN{collection.origin % 10_000:04}{index:08}".encode() for index in indices.tolist()]


def _names(collection: Collection, indices: Indices) -> list[bytes]:
    if collection.whose is Whose.PATIENTS:
        return collection.texts("name", indices, _PATIENTS)
    return [_NAMES[collection.whose].format(index).encode() for index in indices.tolist()]


def _births(collection: Collection, indices: Indices) -> list[bytes]:
    if collection.whose is Whose.PATIENTS:
        return collection.texts("birth", indices, _BIRTHS)
    return [_BORN_ON[collection.whose]] * len(indices)


def _patient_ids(collection: Collection, indices: Indices) -> list[bytes]:
    return [f"MU{collection.origin:06}{index:08}".encode() for index in indices.tolist()]


def _removed(collection: Collection, indices: Indices) -> list[bytes]:
    return [b"YES" if collection.whose is Whose.DEIDENTIFIED else b""] * len(indices)


def _modalities(collection: Collection, indices: Indices) -> list[bytes]:
    return collection.texts("modality", indices, _MODALITIES)


_COLUMNS: Mapping[int, Callable[[Collection, Indices], list[bytes]]] = {
    archive.STUDY_UID: _uids,
    archive.STUDY_DATE: _dates,
    archive.STUDY_TIME: _times,
    archive.ACCESSION: _accessions,
    archive.MODALITIES: _modalities,
    archive.PATIENT_NAME: _names,
    archive.PATIENT_ID: _patient_ids,
    archive.BIRTH_DATE: _births,
    archive.IDENTITY_REMOVED: _removed,
}

NUMBERS: Mapping[int, Callable[[Collection, Indices], Indices]] = {
    archive.STUDY_SERIES: Collection.series_at,
    archive.STUDY_IMAGES: Collection.images_at,
}
