"""The header of every DICOM file that comes with pydicom, pydicom-data and deid-data, as pydicom reads it."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from leadapron.protocols.files import header
from leadapron.protocols.files.attributes import wanted

PACKAGES = ("pydicom", "data_store", "deid_data")
ODD = {
    "rtplan_truncated.dcm": "pydicom keeps the last element, whose value is cut in the middle of a nested item",
    "UN_sequence.dcm": "pydicom 3 leaves what is UN and has a defined length unread",
}


def files() -> Iterator[Path]:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        for path in sorted(Path(spec.origin).parent.rglob("*")):
            if path.is_file() and path.suffix in (".dcm", "") and path.stat().st_size > 200:
                yield path


FILES = list(files())


def populated(dataset: Dataset, found: set[int]) -> set[int]:
    """Tags of the census that pydicom finds populated, below pixel data."""
    own = wanted()
    for element in dataset:
        if element.tag >= 0x7FE00000:
            break
        if element.VR == "SQ":
            if any(len(item) for item in element.value) and element.tag in own:
                found.add(own[element.tag])
            for item in element.value:
                populated(item, found)
        elif element.tag in own and _is_filled(dataset.get_item(element.tag), element.value):
            found.add(own[element.tag])
    return found


def _is_filled(raw: object, value: object) -> bool:
    if isinstance(value, bytes):
        return bool(value.strip(b" \0"))
    if isinstance(value, str) or value is None:
        return bool(str(value or "").strip(" \0"))
    if isinstance(value, pydicom.multival.MultiValue):
        return len(value) > 0
    return str(value) != ""


def read_by_pydicom(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=None)
            populated(dataset, set())
        except (InvalidDicomError, ValueError, EOFError, AttributeError, NotImplementedError, TypeError):
            return None
    return dataset if "SOPClassUID" in dataset or "StudyInstanceUID" in dataset else None


def test_there_are_files_to_compare() -> None:
    assert len(FILES) > 150


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_walk_finds_what_pydicom_finds(path: Path) -> None:
    expected = read_by_pydicom(path)
    data = path.read_bytes()
    if expected is None:
        pytest.skip("no header that pydicom reads")
    found = header.read(data, whole=True)

    assert found.identity.instance.decode() == str(
        expected.get("SOPInstanceUID") or expected.file_meta.get("MediaStorageSOPInstanceUID", "")
    )
    assert found.identity.study.decode() == str(expected.get("StudyInstanceUID", ""))
    assert found.identity.series.decode() == str(expected.get("SeriesInstanceUID", ""))
    if path.name not in ODD:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert set(found.present) == populated(expected, set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_fast_way_agrees_or_is_not_sure(path: Path) -> None:
    data = path.read_bytes()
    quick = header.identify(data[: header.FIRST])
    if quick is not None:
        assert quick == header.read(data, whole=True).identity


def test_the_fast_way_is_sure_of_most() -> None:
    marked = [data for path in FILES if (data := path.read_bytes())[128:132] == b"DICM"]
    sure = sum(header.identify(data[: header.FIRST]) is not None for data in marked)
    assert sure / len(marked) > 0.6
