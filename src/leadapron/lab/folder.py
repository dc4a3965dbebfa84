"""A folder of made-up image files, in memory: DICOM headers of an archive's studies, without any pixels in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from leadapron.lab.archive import INSTANCE_UID, SERIES_UID, STUDY_UID, VRS, Archive, Keys
from leadapron.protocols.dicom.wire import elements

SOP_CLASS = 0x00080016
_META_CLASS, _META_INSTANCE, _META_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_SECONDARY_CAPTURE = b"1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT_LITTLE = b"1.2.840.10008.1.2.1"
_PREAMBLE = b"\0" * 128 + b"DICM"
_PIXELS = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 4) + b"\0" * 4
"""Pixel Data of four bytes: there is no image in it."""

_FILE_VRS = {**VRS, SOP_CLASS: b"UI"}
_META_VRS = {_META_CLASS: b"UI", _META_INSTANCE: b"UI", _META_SYNTAX: b"UI"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """`folders` and `files` by name."""

    folders: Mapping[str, Folder] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def at(self, path: str) -> Folder | bytes | None:
        """What lies at a path of names between slashes; None: nothing."""
        here: Folder | bytes | None = self
        for name in path.split("/"):
            if name and isinstance(here, Folder):
                here = here.folders.get(name, here.files.get(name))
            elif name:
                return None
        return here


def of_archive(archive: Archive, extra: Mapping[str, bytes] | None = None) -> Folder:
    """Every image of every study as a file, a folder a study; `extra` files lie beside the folders."""
    folders = {
        f"study{number:04}": Folder(
            files={f"IM{place:05}.dcm": file for place, file in enumerate(_files(values, series))}
        )
        for number, (values, series) in enumerate((study.values, study.series) for study in archive.studies)
    }
    return Folder(folders=folders, files=extra or {})


def _files(values: Keys, series: tuple[int, ...]) -> Iterator[bytes]:
    for number, images in enumerate(series, start=1):
        uid = values[STUDY_UID] + b".%d" % number
        for image in range(1, images + 1):
            yield _file({**values, SERIES_UID: uid, INSTANCE_UID: uid + b".%d" % image})


def _file(values: Keys) -> bytes:
    """PS3.10 section 7.1, in explicit VR little endian."""
    uids = {_META_CLASS: _SECONDARY_CAPTURE, _META_INSTANCE: values[INSTANCE_UID], _META_SYNTAX: _EXPLICIT_LITTLE}
    padded = [(tag, uid + b"\0" * (len(uid) % 2)) for tag, uid in uids.items()]
    meta = elements.encode(padded, vrs=_META_VRS)
    version = struct.pack("<HH2sHI", 0x0002, 0x0001, b"OB", 0, 2) + b"\0\1"
    length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(version) + len(meta))
    known = sorted([(SOP_CLASS, _SECONDARY_CAPTURE), *((tag, value) for tag, value in values.items() if tag in VRS)])
    return _PREAMBLE + length + version + meta + elements.encode(known, vrs=_FILE_VRS) + _PIXELS
