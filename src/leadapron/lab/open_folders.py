"""The doors of the demo estate beside DICOM: an archive over the web, a folder with copies, a login, a share, a bucket."""

from __future__ import annotations

from collections.abc import Iterator

from leadapron.lab.archive import Archive, Persona, made_up
from leadapron.lab.folder import of_archive
from leadapron.lab.ftp import Ftp
from leadapron.lab.hosts import CENSUS_ATTRIBUTES, Host, Truth, census_of, exact
from leadapron.lab.web import Web, bucket, dicomweb, listing, locked

BUCKETS, BUCKET = "buckets", "scans"
"""The door that is asked by name, and the name."""
BACKED_UP = 4
"""Studies of the share that lie in the bucket as well."""
EXPORTED = 12
"""Studies of the archive over DICOMweb that lie in a folder as well."""


def open_folders(seed: int) -> Iterator[Host]:
    """What is open over other doors."""
    yield from _on_the_web(seed)
    yield from _of_files(seed)


def _on_the_web(seed: int) -> Iterator[Host]:
    """An archive over DICOMweb, a folder with copies of it, a login."""
    web = made_up(seed + 11, 148, largest=6, persona=Persona.PATIENTS)
    exported = Archive(studies=web.studies[:EXPORTED])
    yield Host(
        number=21,
        what="archive over DICOMweb",
        serve=Web(dicomweb(web)).serve,
        truth=Truth(
            resource="/dicom-web",
            access={"reach": "proven", "talk": "proven", "list": "proven", "read": "offered"},
            counts=exact(web),
            genuineness="patients",
            elsewhere=EXPORTED,
            census=census_of(web),
        ),
        door="http",
    )
    extra = {"export.zip": b"PK\3\4" + b"\0" * 60, "readme.txt": b"SYNTHETIC export"}
    yield Host(
        number=22,
        what="folder of a web server, with copies",
        serve=Web(listing(of_archive(exported, extra))).serve,
        truth=_folder_truth(exported, elsewhere=EXPORTED),
        door="http",
    )
    yield Host(
        number=23,
        what="archive behind a login of the web",
        serve=Web(locked("Orthanc Secure Area")).serve,
        truth=Truth(resource="", access={"reach": "proven", "talk": "proven", "list": "refused", "read": "refused"}),
        door="http",
    )


def _of_files(seed: int) -> Iterator[Host]:
    """A share, and a bucket with a backup of a part of it."""
    nas = made_up(seed + 12, 9, largest=6, persona=Persona.PATIENTS)
    yield Host(
        number=24,
        what="share that lets anonymous in",
        serve=Ftp(of_archive(nas)).serve,
        truth=_folder_truth(nas, elsewhere=BACKED_UP),
        also=(Truth(resource="", access={"reach": "proven", "talk": "proven"}),),
        door="ftp",
    )
    backup = Archive(
        studies=nas.studies[:BACKED_UP] + made_up(seed + 13, 7, largest=6, persona=Persona.PATIENTS).studies
    )
    yield Host(
        number=25,
        what="bucket with a backup of the share",
        serve=Web(bucket(BUCKET, of_archive(backup))).serve,
        truth=_folder_truth(backup, elsewhere=BACKED_UP, resource=f"s3://{BUCKET}"),
        door=BUCKETS,
    )


def _folder_truth(archive: Archive, *, elsewhere: int, resource: str = "/") -> Truth:
    """Of files: every header is read, so that the census is of all of them."""
    filled = {
        keyword: sum(study.images for study in archive.studies if study.values[tag])
        for keyword, tag in CENSUS_ATTRIBUTES.items()
    }
    return Truth(
        resource=resource,
        access={"reach": "proven", "talk": "proven", "list": "proven", "read": "proven"},
        counts={"studies": (len(archive.studies), "exact"), "images": (archive.images, "exact")},
        genuineness="patients",
        elsewhere=elsewhere,
        census={keyword: (count, count) for keyword, count in filled.items()},
    )
