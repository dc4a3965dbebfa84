"""An index of made-up studies, from a seed, and C-FIND matching on it (PS3.4 Annex C.2.2.2)."""

from __future__ import annotations

import datetime as dt
import enum
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from leadapron.protocols.dicom.wire import elements

STUDY_DATE, STUDY_TIME = 0x00080020, 0x00080030
ACCESSION, LEVEL, MODALITIES = 0x00080050, 0x00080052, 0x00080061
PATIENT_NAME, PATIENT_ID, BIRTH_DATE, SEX = 0x00100010, 0x00100020, 0x00100030, 0x00100040
ISSUER = 0x00100021
ADDRESS, TELEPHONE, COMMENTS = 0x00101040, 0x00102154, 0x00104000
INSTITUTION, REFERRER, DESCRIPTION = 0x00080080, 0x00080090, 0x00081030
IDENTITY_REMOVED = 0x00120062
STUDY_UID, SERIES_UID, INSTANCE_UID = 0x0020000D, 0x0020000E, 0x00080018
STUDY_SERIES, STUDY_IMAGES, SERIES_IMAGES = 0x00201206, 0x00201208, 0x00201209

VRS = {
    STUDY_DATE: b"DA",
    STUDY_TIME: b"TM",
    ACCESSION: b"SH",
    LEVEL: b"CS",
    MODALITIES: b"CS",
    PATIENT_NAME: b"PN",
    PATIENT_ID: b"LO",
    ISSUER: b"LO",
    BIRTH_DATE: b"DA",
    SEX: b"CS",
    ADDRESS: b"LO",
    TELEPHONE: b"SH",
    COMMENTS: b"LT",
    INSTITUTION: b"LO",
    REFERRER: b"PN",
    DESCRIPTION: b"LO",
    IDENTITY_REMOVED: b"CS",
    STUDY_UID: b"UI",
    SERIES_UID: b"UI",
    INSTANCE_UID: b"UI",
    STUDY_SERIES: b"IS",
    STUDY_IMAGES: b"IS",
    SERIES_IMAGES: b"IS",
}
LEVELS = (b"STUDY", b"SERIES", b"IMAGE")
"""Of the Study Root information model (PS3.4 section C.6.2.1)."""
MAX_SEED = 999_999_999
"""A seed is a component of every UID."""
_FIRST = ("Bra", "Cante", "Dor", "Elmi", "Fosca", "Grandi", "Lumi", "Morva", "Pella", "Vasti")
_LAST = ("velli", "lmar", "ndo", "roni", "scone", "tier", "wald")
FAMILIES = tuple(first + last for first in _FIRST for last in _LAST)
GIVEN = ("Ada", "Bruno", "Clio", "Dario", "Elke", "Franz", "Gaia", "Hugo", "Ines", "Jan", "Kira", "Leo", "Mara", "Nils")
"""Syllables that make names of nobody."""


class Persona(enum.Enum):
    """Whose records an archive plays. Each says of itself that it is made up."""

    PHANTOMS = enum.auto()
    """`SYNTHETIC^Patient000001`: what a tool has to take for a test"""
    PATIENTS = enum.auto()
    """`Bravelli-MadeUp^Ada`: as various as those of a hospital"""
    DEIDENTIFIED = enum.auto()
    """`ANON-000001`, and PatientIdentityRemoved says so"""
    BAIT = enum.auto()
    """`Guest-MadeUp^Ada01`: counted up, all born on one day"""


_UNDATED = 0.03
FILLED = {
    SEX: (0.99, b"O"),
    ADDRESS: (0.4, b"SYNTHETIC Street 1"),
    TELEPHONE: (0.25, b"SYNTHETIC-0000"),
    COMMENTS: (0.05, b"SYNTHETIC comment"),
    INSTITUTION: (0.9, b"SYNTHETIC Hospital"),
    REFERRER: (0.8, b"SYNTHETIC^Referrer"),
    DESCRIPTION: (0.85, b"SYNTHETIC study"),
}
"""How often a study has an attribute, and what is in it then."""
_FIRST_DAY = dt.date(2005, 1, 1)
_DAYS = 7600

Keys = Mapping[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study. `series` holds the number of images of each series."""

    values: Keys
    series: tuple[int, ...]

    @property
    def images(self) -> int:
        return sum(self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Studies that can be queried. `claims`: answers say how many series and images a study has."""

    studies: tuple[Study, ...] = ()
    claims: bool = True

    @property
    def series(self) -> int:
        return sum(len(study.series) for study in self.studies)

    @property
    def images(self) -> int:
        return sum(study.images for study in self.studies)

    def find(self, keys: Keys) -> Iterator[dict[int, bytes]]:
        """The answers to an identifier: the requested keys of each match, at its level; none at a level of no model."""
        level = level_of(keys)
        for study in self.studies:
            if not _fits(keys, study.values):
                continue
            if level == b"STUDY":
                yield _answer(keys, {**study.values, **self._claims(study)})
            elif level == b"SERIES":
                yield from (_answer(keys, values) for values, _ in _series(study, keys, claims=self.claims))
            elif level == b"IMAGE":
                yield from _images(study, keys)

    def identifiers(self, keys: Keys, *, explicit: bool) -> Iterator[bytes]:
        """The same, each as a data set."""
        return (write_identifier(values, explicit=explicit) for values in self.find(keys))

    def _claims(self, study: Study) -> dict[int, bytes]:
        if not self.claims:
            return {}
        return {STUDY_SERIES: str(len(study.series)).encode(), STUDY_IMAGES: str(study.images).encode()}


def made_up(
    seed: int, count: int, *, claims: bool = True, largest: int = 60, persona: Persona = Persona.PHANTOMS
) -> Archive:
    """`count` studies of made-up patients, the same for the same seed (0 to `MAX_SEED`).

    Series have 1 to `largest` images. Raises ValueError for another seed: its UIDs would be none.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"a seed is a number from 0 to {MAX_SEED}")
    chance = random.Random(seed)  # noqa: S311 - made-up data
    return Archive(
        studies=tuple(_study(chance, seed, number, largest, persona) for number in range(count)), claims=claims
    )


def _study(chance: random.Random, seed: int, number: int, largest: int, persona: Persona) -> Study:
    day = _FIRST_DAY + dt.timedelta(days=chance.randrange(_DAYS))
    values = {
        STUDY_DATE: b"" if chance.random() < _UNDATED else f"{day:%Y%m%d}".encode(),
        ACCESSION: f"SYN{seed % 1000:03}{number:06}".encode(),
        MODALITIES: chance.choice((b"CT", b"MR", b"CR", b"US", b"MG", b"CT\\SR")),
        STUDY_UID: f"2.25.{seed}.{number + 1}".encode(),
    }
    values |= _person(chance, number, persona)
    values |= {tag: value if chance.random() < share else b"" for tag, (share, value) in FILLED.items()}
    return Study(values=values, series=tuple(chance.randint(1, largest) for _ in range(chance.randint(1, 3))))


def _person(chance: random.Random, number: int, persona: Persona) -> dict[int, bytes]:
    if persona is Persona.PATIENTS:
        name = f"{chance.choice(FAMILIES)}-MadeUp^{chance.choice(GIVEN)}"
        born = dt.date(1925, 1, 1) + dt.timedelta(days=chance.randrange(33_000))
        return {
            PATIENT_NAME: name.encode(),
            PATIENT_ID: f"MU{number:07}".encode(),
            BIRTH_DATE: f"{born:%Y%m%d}".encode(),
        }
    if persona is Persona.DEIDENTIFIED:
        return {
            PATIENT_NAME: f"ANON-{number:06}".encode(),
            PATIENT_ID: f"ANON-{number:06}".encode(),
            BIRTH_DATE: b"",
            IDENTITY_REMOVED: b"YES",
        }
    if persona is Persona.BAIT:
        guest = f"Guest-MadeUp^Ada{number:02}".encode()
        return {PATIENT_NAME: guest, PATIENT_ID: f"MU{number:07}".encode(), BIRTH_DATE: b"19800101"}
    return {
        PATIENT_NAME: f"SYNTHETIC^Patient{number:06}".encode(),
        PATIENT_ID: f"SYNTHETIC-{number:06}".encode(),
        BIRTH_DATE: b"19700101",
    }


def _series(study: Study, keys: Keys, *, claims: bool) -> Iterator[tuple[dict[int, bytes], int]]:
    """The matching series of a study, with the number of their images."""
    for number, images in enumerate(study.series, start=1):
        values = {**study.values, SERIES_UID: study.values[STUDY_UID] + f".{number}".encode()}
        if _fits(keys, {SERIES_UID: values[SERIES_UID]}):
            yield values | ({SERIES_IMAGES: str(images).encode()} if claims else {}), images


def _images(study: Study, keys: Keys) -> Iterator[dict[int, bytes]]:
    for values, images in _series(study, keys, claims=False):
        for number in range(1, images + 1):
            uid = values[SERIES_UID] + f".{number}".encode()
            if _fits(keys, {INSTANCE_UID: uid}):
                yield _answer(keys, {**values, INSTANCE_UID: uid})


def _answer(keys: Keys, values: Keys) -> dict[int, bytes]:
    return {tag: values.get(tag, b"") if tag != LEVEL else keys[LEVEL] for tag in keys}


def level_of(keys: Keys) -> bytes:
    """The query level that an identifier asks for."""
    return keys.get(LEVEL, b"").strip(b" \0")


def _fits(keys: Keys, values: Keys) -> bool:
    """Whether every key that is among `values` matches."""
    return all(_matches(VRS[tag], pattern, values[tag]) for tag, pattern in keys.items() if tag in values)


def _matches(vr: bytes, pattern: bytes, value: bytes) -> bool:
    """Universal, range (dates, times), list (UIDs), wildcard (text) and single value matching.

    An empty value matches no range; of several values one has to match. Text is compared byte by byte, so that it
    matters in no character set what a pattern holds.
    """
    pattern = pattern.strip(b" \0")
    if not pattern:
        return True
    if vr == b"UI":
        return value in pattern.split(b"\\")
    if vr in (b"DA", b"TM"):
        return _in_range(pattern, value)
    return any(_is_like(pattern, each) for each in value.split(b"\\"))


def _in_range(pattern: bytes, value: bytes) -> bool:
    """Dates, and times of one length."""
    first, hyphen, last = pattern.partition(b"-")
    if not hyphen:
        return value == pattern
    return bool(value) and first <= value and (not last or value <= last)


def _is_like(pattern: bytes, value: bytes) -> bool:
    """`*` stands for any bytes, `?` for one; nothing else is special (PS3.4 C.2.2.2.4). Takes len * len steps at most."""
    at = place = 0
    star, resume = -1, 0
    while at < len(value):
        here = pattern[place : place + 1]
        if here == b"*":
            star, resume = place, at
            place += 1
        elif here and here in (b"?", value[at : at + 1]):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = resume, star + 1
        else:
            return False
    return not pattern[place:].strip(b"*")


def read_identifier(data: bytes, *, explicit: bool) -> dict[int, bytes]:
    """The keys of an identifier by tag. Raises WireError."""
    return {tag: data[start:end] for tag, start, end in elements.walk(data, explicit=explicit)}


def write_identifier(values: Keys, *, explicit: bool) -> bytes:
    """An answer as a data set; keys that the archive does not know are left out."""
    known = [(tag, value) for tag, value in values.items() if tag in VRS]
    return elements.encode(known, vrs=VRS if explicit else None)
