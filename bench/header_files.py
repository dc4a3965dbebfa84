"""The files whose headers are read: headers of public samples of eight kinds, as devices wrote them, each with UIDs of its
own. No patient is in them. Pixels are a hole."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian

SAMPLES = (
    "CT_small",
    "MR_small",
    "examples_palette",
    "693_J2KI",
    "JPEG2000",
    "SC_rgb_rle",
    "rtdose_1frame",
    "liver_1frame",
)
"""Of pydicom: CT, MR, ultrasound, another CT, nuclear medicine, secondary capture, a dose, a segmentation."""
PIXELS = 64 << 10
A_FOLDER = 1000

_INSTANCE, _STUDY = (f"2.25.{digit}000000000000000000000000000000000000" for digit in (7, 8))


def make(folder: Path, count: int) -> list[Path]:
    """So many files, a thousand a folder, a study a hundred; in explicit VR little endian."""
    headers = list(_headers())
    paths: list[Path] = []
    for number in range(count):
        if number % A_FOLDER == 0:
            below = folder / f"{number // A_FOLDER:03}"
            below.mkdir(parents=True)
        data = headers[number % len(headers)]
        data = data.replace(_INSTANCE.encode(), b"2.25.7%036d" % number)
        data = data.replace(_STUDY.encode(), b"2.25.8%036d" % (number // 100))
        paths.append(below / f"IM{number:06}.dcm")
        with paths[-1].open("wb") as file:
            file.write(data)
            file.truncate(len(data) + PIXELS)
    return paths


def _headers() -> Iterator[bytes]:
    spec = importlib.util.find_spec("pydicom")
    assert spec is not None
    assert spec.origin is not None
    warnings.simplefilter("ignore")  # pydicom's, about what the samples hold
    for name in SAMPLES:
        dataset = pydicom.dcmread(
            Path(spec.origin).parent / "data" / "test_files" / f"{name}.dcm", stop_before_pixels=True
        )
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(_INSTANCE)
        dataset.StudyInstanceUID = _STUDY
        written = io.BytesIO()
        dataset.save_as(written, enforce_file_format=True)
        yield written.getvalue() + b"\xe0\x7f\x10\0OW\0\0" + PIXELS.to_bytes(4, "little")
