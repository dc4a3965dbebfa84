"""A folder as it is found on open servers, with a canary in every place of it: names, headers, what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from real_servers import as_file, instance

TEXT_ATTRIBUTES = (
    *("PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments", "PatientMotherBirthName"),
    *("InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName"),
    *("StudyDescription", "SeriesDescription", "AccessionNumber", "StationName", "Manufacturer", "StudyID"),
    *("RequestedProcedureDescription", "AdditionalPatientHistory", "Occupation", "ImageComments", "ProtocolName"),
    *("IssuerOfPatientID", "DeviceSerialNumber", "SoftwareVersions"),
)
NESTED, DEEP = "PatientID in a sequence", "PersonName in a sequence of a sequence"
PRIVATE, CREATOR = "private element", "private creator"
SOURCE, OWN = "title of the sender, in file meta information", "private file meta information"
PLACES_IN_A_FILE = (*TEXT_ATTRIBUTES, NESTED, DEEP, PRIVATE, CREATOR, SOURCE, OWN)


def image(number: int, words: Mapping[str, str]) -> bytes:
    """One image of a study of its own, with the word of each place."""
    dataset = instance(number, is_dated=True)
    for attribute in TEXT_ATTRIBUTES:
        setattr(dataset, attribute, words[attribute])
    deep, nested = Dataset(), Dataset()
    deep.PersonName = words[DEEP]
    nested.PatientID, nested.PersonIdentificationCodeSequence = words[NESTED], [deep]
    dataset.OtherPatientIDsSequence = [nested]
    block = dataset.private_block(0x0011, words[CREATOR], create=True)
    block.add_new(0x01, "LO", words[PRIVATE])
    dataset.file_meta.SourceApplicationEntityTitle = words[SOURCE]
    dataset.file_meta.PrivateInformationCreatorUID = "2.25.13"
    dataset.file_meta.PrivateInformation = words[OWN].encode()
    return as_file(dataset)


def served_folder(root: Path, word: Callable[[str], str], images: int) -> None:
    """Images two folders down, a DICOMDIR of them, a letter, an archive, and a link."""
    below = root / f"{word('name of a folder')}^JOHN" / f"{word('name of a folder below')} 1"
    below.mkdir(parents=True)
    words = {place: word(place) for place in PLACES_IN_A_FILE}
    files = [image(number, words) for number in range(images)]
    for number, data in enumerate(files):
        (below / f"{word('name of an image')}.{number}.dcm").write_bytes(data)
    (root / "DICOMDIR").write_bytes(_directory(word))
    (root / f"{word('name of a letter')}.txt").write_text(word("letter"))
    (root / f"{word('name of an archive')}.zip").write_bytes(b"PK\x03\x04" + word("archive").encode() * 40)
    (root / f"{word('name of a link')}").symlink_to(f"/{word('target of a link')}")
    for each in (root, *root.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() else 0o644)


RECORDS: Mapping[str, tuple[str, ...]] = {
    "PATIENT": ("PatientName", "PatientID"),
    "STUDY": ("StudyDescription", "StudyID", "AccessionNumber"),
    "SERIES": ("InstitutionName", "InstitutionAddress", "PerformingPhysicianName"),
    "IMAGE": ("ImageComments",),
}


def _directory(word: Callable[[str], str]) -> bytes:
    """A DICOMDIR of one image (PS3.3 Annex F), each record with words of its own."""
    dataset = instance(90)
    named = {name: word(f"DICOMDIR, {name}") for names in RECORDS.values() for name in names}
    directory = Dataset()
    directory.file_meta = dataset.file_meta
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.FileSetID, directory.FileSetConsistencyFlag = word("DICOMDIR, its own name"), 0
    directory.DirectoryRecordSequence = [_record(kind, dataset, named, word) for kind in RECORDS]
    return as_file(directory)


def _record(kind: str, dataset: Dataset, named: Mapping[str, str], word: Callable[[str], str]) -> Dataset:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.RecordInUseFlag, record.DirectoryRecordType = 0xFFFF, kind
    for name in RECORDS[kind]:
        setattr(record, name, named[name])
    if kind == "STUDY":
        record.StudyInstanceUID = dataset.StudyInstanceUID
    if kind == "IMAGE":
        record.ReferencedFileID = [word("DICOMDIR, name of a file"), "IM1"]
        record.ReferencedSOPClassUIDInFile = dataset.SOPClassUID
        record.ReferencedSOPInstanceUIDInFile = dataset.SOPInstanceUID
        record.ReferencedTransferSyntaxUIDInFile = ExplicitVRLittleEndian
    return record
