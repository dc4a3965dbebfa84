"""Trees of files of known truth, in memory or on disk, from a seed. All patients are made up."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as LocalPath

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from leadapron.model import Reason
from leadapron.net.conversation import Lost, Steps
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
CANARY = "Zzyzxcanary"
"""Part of the name of every made-up patient, folder and file that must appear nowhere."""

Folder = Mapping[bytes, "Folder | bytes"]


def dicom(
    study: int, image: int, *, syntax: str = ExplicitVRLittleEndian, marked: bool = True, **values: object
) -> bytes:
    """One made-up file; `marked` False: without preamble and file meta information."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.10.9.{study}.1.{image}"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyDate = "20250101"
    dataset.PatientName = f"{CANARY}^Test"
    dataset.PatientID = f"{CANARY}{study}"
    dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.10.9.{study}"
    dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.9.{study}.1"
    code = Dataset()
    code.PersonName = f"{CANARY}^Nested"
    dataset.PersonIdentificationCodeSequence = [code]
    dataset.PixelData = b"\0" * 64
    dataset["PixelData"].VR = "OW"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    return data if marked else data[144 + int.from_bytes(data[140:144], "little") :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    images: int
    """different SOP instances"""
    copies: int
    studies: int
    files: int


def made_up(seed: int, *, studies: int = 6, most: int = 12) -> tuple[Folder, Truth]:
    """A share as they are: images under many names, a copy here and there, and everything else."""
    chance = random.Random(seed)
    root: dict[bytes, Folder | bytes] = {
        b"readme.txt": b"made up",
        b"old.zip": b"PK\x03\x04" + b"\0" * 400,
        b"head.nii.gz": b"\x1f\x8b" + b"\0" * 400,
        b"HOW_TO_DECRYPT.txt": b"made up",
        b"noise": chance.randbytes(900),
        b"broken.dcm": b"\0" * 128 + b"DIC",
        b"empty": {},
    }
    files, images, copies = 6, 0, 0
    for study in range(1, studies + 1):
        folder: dict[bytes, Folder | bytes] = {}
        for image in range(chance.randint(1, most)):
            data = dicom(study, image, syntax=chance.choice(SYNTAXES))
            name = chance.choice(("IM%06d", "%08d", f"{CANARY}-%d.dcm", "%d.ima", "scan-%d", "1.2.3.4.5.%d")) % image
            folder[name.encode()] = data
            images += 1
            if chance.random() < 0.1:
                folder[f"copy-{image}.dcm".encode()] = data
                copies += 1
        files += len(folder)
        root[f"{CANARY}-{study}".encode()] = {b"series": folder}
    return root, Truth(images=images, copies=copies, studies=studies, files=files)


def on_disk(folder: Folder, path: LocalPath) -> None:
    path.mkdir(exist_ok=True)
    for name, content in folder.items():
        below = path / name.decode()
        if isinstance(content, bytes):
            below.write_bytes(content)
        else:
            on_disk(content, below)


@dataclass
class MemoryTree(Tree):
    """A tree as a door would give it, in steps. `lost_after`: so many steps later the connection ends."""

    root: Folder
    lost_after: int = 1 << 60
    closed: frozenset[Path] = frozenset()
    barred: bool = False
    listings: int = 0
    reads: list[Wanted] = field(default_factory=list)
    odd: int = 0

    def _step(self) -> Steps[None]:
        self.lost_after -= 1
        if self.lost_after < 0:
            raise Lost(Reason.RESET)
        yield b"?"

    def _at(self, path: Path) -> Folder | bytes | None:
        here: Folder | bytes | None = self.root
        for part in path:
            here = here.get(part) if isinstance(here, Mapping) else None
        return here

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        self.listings += 1
        yield from self._step()
        here = self._at(folder)
        if folder in self.closed:
            return Listed(Reason.AUTH)
        if not isinstance(here, Mapping):
            return Listed(Reason.EMPTY)
        for name, content in here.items():
            is_file = isinstance(content, bytes)
            size = len(content) if is_file else None
            if not take(Entry(name, Kind.FILE if is_file else Kind.FOLDER, size)):
                return Listed(Reason.STOPPED)
        return Listed()

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        yield from self._step()
        self.reads += wanted
        return [self._piece(one) for one in wanted]

    def _piece(self, one: Wanted) -> Piece:
        content = self._at(one.path)
        if self.barred:
            return Reason.AUTH
        return content[one.start : one.start + one.length] if isinstance(content, bytes) else Reason.EMPTY


def drive(steps: Steps[None]) -> None:
    """To the end. Raises Lost."""
    for _ in steps:
        pass
