"""What a walk found: numbers only. Beside them is `shown`, keyed hashes that have a way of their own into the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leadapron.model import Count, Failed, Reason
from leadapron.protocols.base import Terms
from leadapron.protocols.payload import APART


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one tree, however far the walk came."""

    listed: bool = False
    """the root was listed: entries came, or at least one name that is none"""
    refused: bool = False
    """the root is closed to us"""
    entries: int = 0
    files: int = 0
    folders: int = 0
    others: int = 0
    """links, devices: never followed"""
    odd: int = 0
    """entries that were left out because of their names"""
    closed: int = 0
    """folders that are closed to us"""
    broken: int = 0
    """folders whose listing came in part, or was none"""
    unlisted: int = 0
    """folders that were seen and not listed"""
    loops: int = 0
    """folders that list what is above them"""
    depth: int = 0
    """folders inside folders, of the deepest that was listed"""
    size: int = 0
    """bytes of the files whose size the listing says"""
    sized: int = 0
    """how many those are"""
    writable: int = 0
    """entries that anyone may write, as the listing says"""
    formats: Mapping[str, int] = field(default_factory=dict)
    """files by name: our words for formats (formats.toml)"""
    candidates: int = 0
    """files that may be DICOM by name and size"""
    read: int = 0
    """files of which bytes came"""
    proven: int = 0
    """of those, how many are DICOM"""
    barred: int = 0
    """files that are closed to us"""
    unread: int = 0
    """files of which nothing came, for other reasons"""
    preambles: Mapping[str, int] = field(default_factory=dict)
    """of the DICOM files that were read (preamble.Preamble)"""
    headers: int = 0
    """headers that were read"""
    odd_headers: int = 0
    """of those, how many break the standard, or our bounds, before pixel data"""
    instances: int = 0
    """different SOP instance UIDs"""
    titles: int = 0
    """of the sample of the census, whose file meta information names application entities"""
    burned_in: int = 0
    """of the sample, that say that names are burned into the pixels"""
    burned_out: int = 0
    """of the sample, that say that none are"""
    documents: int = 0
    """encapsulated PDF, CDA, STL …"""
    reports: int = 0
    """structured reports"""
    private: int = 0
    """of the sample, with private elements that are populated"""
    directories: int = 0
    """DICOMDIRs that were read"""
    directory_studies: int = 0
    directory_images: int = 0
    """that they claim, different ones"""
    images: Count | None = None
    studies: Count | None = None
    sampled: int = 0
    """of the census"""
    present: Mapping[str, int] = field(default_factory=dict)
    """in how many of them each attribute is populated, by keyword"""
    signs: Mapping[str, int] = field(default_factory=dict)
    """see `leadapron.protocols.dicom.signs`"""
    withheld: bool = False
    """headers would have crossed the net in clear, and the grant does not say that they may"""
    why_read: Reason | None = None
    """why of no file bytes came, where some were to be read"""
    unknowns: tuple[Failed, ...] = ()
    """why counts are not exact"""
    ended: Failed | None = None
    """what ended the walk before its end"""
    budget: int = 0
    """the answers that it might have had"""
    is_cut: bool = False
    """by that budget, or by those of requests and seconds beside it"""
    shown: bytes = field(default=b"", repr=False, metadata={APART: True})
    """the studies (`leadapron.protocols.shown`)"""

    def was_cut(self, terms: Terms) -> bool:
        return self.is_cut and self.budget < terms.answers
