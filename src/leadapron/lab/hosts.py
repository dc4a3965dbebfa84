"""What stands in the demo estate, and the truth beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from ssl import SSLContext

from leadapron.lab.archive import ADDRESS, BIRTH_DATE, COMMENTS, PATIENT_NAME, REFERRER, Archive
from leadapron.lab.odd import Serve
from leadapron.lab.tls import inside

CENSUS = 25
"""Records of a sample."""
CENSUS_ATTRIBUTES = {
    "PatientName": PATIENT_NAME,
    "PatientBirthDate": BIRTH_DATE,
    "PatientAddress": ADDRESS,
    "ReferringPhysicianName": REFERRER,
    "PatientComments": COMMENTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an audit has to find at one endpoint. Counts: (lowest value, kind). `unknown`: (stage, reason) or None."""

    resource: str | None
    """the called title of the service; None: no DICOM service there"""
    access: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[int, str]] = field(default_factory=dict)
    unknown: tuple[str, str] | None = None
    genuineness: str | None = None
    elsewhere: int | None = None
    """how many of its studies another server shows too; None: that depends on who is cut off where"""
    own: int = 0
    """how many of its studies are those of the hospital that audits"""
    census: dict[str, tuple[int, int]] = field(default_factory=dict)
    """by attribute: in at least and at most how many records of a sample of `CENSUS` it is populated"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    number: int
    """place in the network"""
    what: str
    serve: Serve
    truth: Truth
    also: tuple[Truth, ...] = ()
    """of further services at the same endpoint"""
    door: str = "dicom"
    """hosts of one door listen on one port"""
    asked: Counter[str] = field(default_factory=Counter)
    """what a DICOM server was asked, by kind"""

    def sharing(self, elsewhere: int, *, own: int) -> Host:
        """The same, and what of it other servers show, and is the hospital's own."""
        return replace(self, truth=replace(self.truth, elsewhere=elsewhere, own=own))

    def inside(self, context: SSLContext) -> Host:
        """The same, inside TLS."""
        return replace(self, serve=inside(self.serve, context))


def census_of(archive: Archive) -> dict[str, tuple[int, int]]:
    """What any sample of an archive has to show: all of it where it is small, else what every record has."""
    size = len(archive.studies)
    sampled, missed = min(size, CENSUS), max(0, size - CENSUS)
    filled = {
        keyword: sum(bool(study.values[tag]) for study in archive.studies) for keyword, tag in CENSUS_ATTRIBUTES.items()
    }
    return {keyword: (max(0, count - missed), min(count, sampled)) for keyword, count in filled.items()}


def exact(archive: Archive) -> dict[str, tuple[int, str]]:
    numbers = {"studies": len(archive.studies), "series": archive.series, "images": archive.images}
    return {name: (value, "exact") for name, value in numbers.items()}
