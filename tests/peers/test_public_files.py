"""DICOM files that others published, in a real Orthanc: whose records the census takes them for.

They come with three packages (requirements/develop.in) and lie on the disk; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from test_real_peers import audit

from leadapron.lab.archive import BIRTH_DATE, PATIENT_ID, PATIENT_NAME, Persona, Study, made_up

pytestmark = pytest.mark.peer

PYDICOM = ("pydicom", "data/test_files")
CHARSETS = ("pydicom", "data/charset_files")
PYDICOM_DATA = ("data_store", "data")
DEID_DATA = ("deid_data", "data")

Files = dict[tuple[str, str], tuple[str, ...]]
"""Patterns by package and folder."""

DEIDENTIFIED: Files = {
    # a series of NEMA's example of a medium; the head of a patient of CQ500
    PYDICOM: (*(f"dicomdirtests/{patient}/*/*" for patient in (77654033, 98892001, 98892003)), "693_*.dcm"),
    PYDICOM_DATA: ("693_*.dcm", "emri_small.dcm", "eCT_Supplemental.dcm"),
}
SAMPLES: Files = {
    # NEMA WG-04: images for comparing compressions
    PYDICOM: ("CT_small.dcm", "MR_small.dcm", "JPEG-lossy.dcm"),
    PYDICOM_DATA: ("MR2_UNCR.dcm", "RG1_UNCR.dcm", "RG3_UNCR.dcm", "US1_UNCR.dcm"),
}
SCRIPTS: Files = {
    # the names of PS3.5 Annexes H to J, and others
    CHARSETS: ("chrArab.dcm", "chr[FR]*.dcm", "chrG*.dcm", "chrH3?.dcm", "chrHbrw.dcm", "chrI2.dcm", "chrX?.dcm"),
}
TESTS: Files = {
    # objects of radiotherapy and reports that somebody filled in with what the form says, look-up tables, a phantom
    PYDICOM: ("badVR.dcm", "reportsi.dcm", "rtplan.dcm", "rtstruct.dcm", "test-SR.dcm"),
    PYDICOM_DATA: ("gdcm-US-ALOKA-16.dcm", "mlut_18.dcm", "vlut_04.dcm"),
    DEID_DATA: ("ultrasounds/GREYSCALE_IMAGE.dcm",),
}
UNMARKED: Files = {
    # photographs of cookies under two English words each, a cat, a figure of television: people, for all that is said
    DEID_DATA: ("*/*.dcm",),
}


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "Orthanc")
    with namespace() as made:
        yield made


def published(wanted: Files) -> list[bytes]:
    """The files; a pattern that finds none is a mistake."""
    found = []
    for (package, folder), patterns in wanted.items():
        with resources.as_file(resources.files(package) / folder) as place:
            for pattern in patterns:
                files = sorted(place.glob(pattern))
                assert files, f"{package} has no {pattern}"
                found += [file.read_bytes() for file in files]
    return found


def judged(inside: Namespace, folder: Path, files: list[bytes]) -> dict[str, Any]:
    """The service of an Orthanc that holds these files, after a census."""
    port, http_port = free_ports(2)
    with orthanc(inside, folder, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, files)
        (service,) = audit(inside, folder, port, depth="census", cleartext_census=True)["services"]
    assert service["access"]["list"] == "proven"
    found: dict[str, Any] = service
    return found


@pytest.mark.parametrize(
    ("files", "studies", "verdict"),
    [
        (DEIDENTIFIED, 9, "deidentified"),
        (SAMPLES, 7, "public-sample"),
        (SCRIPTS, 11, "public-sample"),
        (TESTS, 9, "test"),
    ],
    ids=["de-identified", "samples", "scripts", "tests"],
)
def test_what_was_published_is_not_called_patients(
    files: Files, studies: int, verdict: str, inside: Namespace, tmp_path: Path
) -> None:
    service = judged(inside, tmp_path, published(files))
    assert service["counts"]["studies"]["value"] == studies
    assert service["genuineness"]["verdict"] == verdict, service["genuineness"]


def test_names_that_nothing_marks_are_taken_for_patients(inside: Namespace, tmp_path: Path) -> None:
    """The error that is on the safe side, and that docs/genuineness.md owns to."""
    service = judged(inside, tmp_path, published(UNMARKED))
    assert service["genuineness"]["verdict"] == "patients"
    assert service["counts"]["studies"]["value"] == 12


def file_of(number: int, study: Study) -> bytes:
    """An instance with the person of our generator, under a UID like those of a hospital."""
    dataset: Dataset = instance(number, is_dated=True)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = (
        study.values[tag].decode() for tag in (PATIENT_NAME, PATIENT_ID, BIRTH_DATE)
    )
    return as_file(dataset)


def of(persona: Persona, count: int) -> list[bytes]:
    return [file_of(number, study) for number, study in enumerate(made_up(11, count, persona=persona).studies)]


@pytest.mark.parametrize(
    ("persona", "verdict"),
    [(Persona.PATIENTS, "patients"), (Persona.PHANTOMS, "test"), (Persona.DEIDENTIFIED, "deidentified")],
)
def test_made_up_people_are_patients_and_made_up_phantoms_are_not(
    persona: Persona, verdict: str, inside: Namespace, tmp_path: Path
) -> None:
    assert judged(inside, tmp_path, of(persona, 40))["genuineness"]["verdict"] == verdict


def test_a_hospital_stays_one_with_the_samples_of_an_engineer_in_it(inside: Namespace, tmp_path: Path) -> None:
    """Seven of a sample of 25 at most."""
    service = judged(inside, tmp_path, of(Persona.PATIENTS, 40) + published(SAMPLES))
    assert service["counts"]["studies"]["value"] == 47
    assert service["genuineness"]["verdict"] == "patients", service["genuineness"]
