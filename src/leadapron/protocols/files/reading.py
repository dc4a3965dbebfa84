"""What the first bytes of files say: which are DICOM, of which studies, and what a census counts of their headers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.dicom.signs import Signs
from leadapron.protocols.digests import Digests
from leadapron.protocols.files import dicomdir, header, preamble
from leadapron.protocols.files.attributes import attributes
from leadapron.protocols.files.elements import Ending
from leadapron.protocols.files.preamble import Preamble
from leadapron.protocols.shown import NOT_CLAIMED, packed

CENSUS = 500
"""Headers of which every attribute is counted; of the others only the UIDs."""

Hashes = npt.NDArray[np.int64]


@dataclass(slots=True)
class Tally:
    """Numbers of `result.Found`."""

    read: int = 0
    proven: int = 0
    barred: int = 0
    unread: int = 0
    headers: int = 0
    odd_headers: int = 0
    titles: int = 0
    burned_in: int = 0
    burned_out: int = 0
    documents: int = 0
    reports: int = 0
    private: int = 0
    directories: int = 0
    preambles: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Head:
    """One file, as far as its header is known. Without a `repr`: it holds raw values."""

    kind: Preamble
    identity: header.Identity | None = None
    """None: no header that can be read"""
    found: header.Header | None = None
    """None: only the UIDs were looked for"""
    reader: header.Reader | None = None

    @property
    def needs(self) -> int:
        """How many bytes of the file, from its start, are the least that lead further; 0: it is done."""
        return 0 if self.found is None else self.found.needs


class Reading:
    """Takes the pieces. `key`: of the run; `today`, `issuers`: see `Signs`."""

    def __init__(self, key: bytes, today: dt.date, issuers: frozenset[bytes]) -> None:
        self.tally = Tally()
        self.sampled = 0
        self.why: Reason | None = None
        """why the last file that said nothing said nothing"""
        self.unnamed = 0
        """DICOM files without a SOP instance UID: nobody knows whether one is a copy"""
        self.directory_is_whole = True
        self._signs = Signs(today, issuers)
        self._present: dict[int, int] = {}
        self._studies, self._instances = Digests(key), Digests(key)
        self._claimed_studies, self._claimed_instances = Digests(key), Digests(key)
        self._claims: list[int] = []
        self._nothing = Digests(key)
        self._nothing.add(b"")

    # -- files ---------------------------------------------------------------------------------------------------------

    def failed(self, why: Reason) -> None:
        self.why = why
        if why is Reason.AUTH:
            self.tally.barred += 1
        else:
            self.tally.unread += 1

    def magic(self, data: bytes) -> bool:
        """Whether it is DICOM, by its first 132 bytes."""
        self.tally.read += 1
        kind = preamble.classify(data)
        if kind is Preamble.NONE and not _is_header(data):
            return False
        self._prove(kind)
        return True

    def head(self, data: bytes, *, whole: bool, before: Head | None = None) -> Head:
        """What the first bytes of a file say; nothing is counted. `before`: what fewer of them said."""
        kind = preamble.classify(data)
        identity = header.identify(data) if self.sampled >= CENSUS else None
        if identity is not None:
            return Head(kind, identity=identity)
        reader = before.reader if before is not None and before.reader is not None else header.Reader()
        try:
            found = reader.read(data, whole=whole)
        except WireError:
            return Head(kind)
        return Head(kind, identity=found.identity, found=found, reader=reader)

    def take(self, head: Head) -> bool:
        """Whether it is DICOM; what its header says is counted."""
        self.tally.read += 1
        if head.identity is None:
            if head.kind is not Preamble.NONE:
                self._prove(head.kind)
                self.tally.odd_headers += 1
                self.unnamed += 1
            return head.kind is not Preamble.NONE
        if head.identity.sop_class == header.DIRECTORY:
            return False
        if head.found is not None:
            self._count(head.found)
        self._prove(head.kind)
        self._name(head.identity)
        return True

    def _prove(self, kind: Preamble) -> None:
        self.tally.proven += 1
        self.tally.preambles[kind.value] = self.tally.preambles.get(kind.value, 0) + 1

    def _name(self, identity: header.Identity) -> None:
        self.tally.headers += 1
        self.tally.documents += identity.sop_class.startswith(header.DOCUMENT)
        self.tally.reports += identity.sop_class.startswith(header.REPORT)
        if identity.instance:
            self._instances.add(identity.instance)
            self._studies.add(identity.study)
        else:
            self.unnamed += 1

    def _count(self, found: header.Header) -> None:
        tally = self.tally
        tally.odd_headers += found.ending is not Ending.WHOLE
        if self.sampled >= CENSUS:
            return
        self.sampled += 1
        tally.titles += found.titles
        tally.burned_in += found.burned_in is True
        tally.burned_out += found.burned_in is False
        tally.private += found.private > 0
        self._signs.take(found.values)
        for tag in found.present:
            self._present[tag] = self._present.get(tag, 0) + 1

    # -- DICOMDIRs -----------------------------------------------------------------------------------------------------

    def directory(self, data: bytes, *, whole: bool) -> None:
        try:
            found = dicomdir.read(data)
        except WireError:
            self.directory_is_whole = False
            return
        self.tally.directories += 1
        self.directory_is_whole = self.directory_is_whole and whole and found.is_whole
        for uid, images in found.studies:
            if uid:
                self._claimed_studies.add(uid)
                self._claims.append(images)
        for uid in found.instances:
            self._claimed_instances.add(uid)

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def instances(self) -> int:
        """Different ones."""
        return len(np.unique(self._instances.hashes()))

    @property
    def copies(self) -> int:
        """Files that hold an instance that another one holds."""
        return len(self._instances.hashes()) - self.instances

    @property
    def directory_studies(self) -> int:
        return len(np.unique(self._claimed_studies.hashes()))

    @property
    def directory_images(self) -> int:
        return len(np.unique(self._claimed_instances.hashes()))

    def studies(self) -> tuple[int, int]:
        """Different ones, in headers, and in headers and DICOMDIRs."""
        own = self._own_studies()
        return len(np.unique(own)), len(np.unique(np.concatenate((own, self._claimed_studies.hashes()))))

    def _own_studies(self) -> Hashes:
        studies = self._studies.hashes()
        named: Hashes = studies[studies != self._of_nothing()]
        return named

    def _of_nothing(self) -> np.int64:
        """The hash of the study of files that name none."""
        return np.int64(self._nothing.hashes()[0])

    def shown(self, *, whole: bool) -> bytes:
        """Studies with their images: as counted where every file was read, else as a DICOMDIR claims."""
        pairs = np.unique(np.stack((self._studies.hashes(), self._instances.hashes()), axis=1), axis=0)
        studies, images = np.unique(pairs[:, 0][pairs[:, 0] != self._of_nothing()], return_counts=True)
        counts = images.astype(np.int32) if whole else np.full(len(studies), NOT_CLAIMED, dtype=np.int32)
        return packed(
            np.concatenate((studies, self._claimed_studies.hashes())),
            np.concatenate((counts, np.array(self._claims, dtype=np.int32))),
        )

    def census(self) -> dict[str, int]:
        names = attributes()
        return {names[tag].keyword: count for tag, count in sorted(self._present.items())}

    def signs(self) -> dict[str, int]:
        return self._signs.numbers() if self.sampled else {}


def _is_header(data: bytes) -> bool:
    """Whether a file without preamble begins as a data set does."""
    try:
        header.read(data)
    except WireError:
        return False
    return True
