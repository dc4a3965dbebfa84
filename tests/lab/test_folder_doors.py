"""The lab's web server and share, seen through clients that are not ours: http.client, ftplib, pydicom."""

from __future__ import annotations

import ftplib
import http.client
import io
import json
import re
from collections.abc import Iterator

import pydicom
import pytest

from leadapron.lab.archive import Persona, made_up
from leadapron.lab.folder import Folder, of_archive
from leadapron.lab.ftp import Ftp
from leadapron.lab.web import Site, Web, bucket, dicomweb, listing, locked
from leadapron.model import Endpoint
from listening import listening

ARCHIVE = made_up(7, 12, largest=3, persona=Persona.PATIENTS)
FOLDER = of_archive(ARCHIVE, {"read me & more.txt": b"hello"})


def get(here: Endpoint, path: str, **fields: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(str(here.address), here.port, timeout=5)
    try:
        connection.request("GET", path, headers=fields)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def serving(site: Site) -> Iterator[Endpoint]:
    with listening(Web(site).serve) as (here,):
        yield here


@pytest.fixture
def web() -> Iterator[Endpoint]:
    yield from serving(listing(FOLDER))


@pytest.fixture
def archive() -> Iterator[Endpoint]:
    yield from serving(dicomweb(ARCHIVE))


@pytest.fixture
def store() -> Iterator[Endpoint]:
    yield from serving(bucket("scans", FOLDER))


@pytest.fixture
def share() -> Iterator[Endpoint]:
    with listening(Ftp(FOLDER).serve) as (here,):
        yield here


def test_each_file_is_one_that_pydicom_reads() -> None:
    uids = set()
    for folder in FOLDER.folders.values():
        for file in folder.files.values():
            dataset = pydicom.dcmread(io.BytesIO(file))
            assert "-MadeUp" in str(dataset.PatientName)
            assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
            uids.add(dataset.SOPInstanceUID)
    assert len(uids) == ARCHIVE.images


def test_paths_lead_to_folders_and_files() -> None:
    assert FOLDER.at("/") is FOLDER
    assert isinstance(FOLDER.at("/study0000/"), Folder)
    assert FOLDER.at("/read me & more.txt") == b"hello"
    assert FOLDER.at("/read me & more.txt/x") is None
    assert FOLDER.at("/nothing") is None


def test_a_listing_has_links_to_all_of_it(web: Endpoint) -> None:
    status, page = get(web, "/")
    assert status == 200
    links = re.findall(rb'href="([^"]+)"', page)
    assert links[:2] == [b"../", b"study0000/"]
    assert len(links) == 1 + 12 + 1
    assert links[-1] == b"read%20me%20%26%20more.txt"
    assert get(web, "/read%20me%20%26%20more.txt") == (200, b"hello")
    assert get(web, "/read%20me%20%26%20more.txt", Range="bytes=1-2") == (206, b"el")
    assert get(web, "/nothing/")[0] == 404
    assert get(web, "/study0000")[0] == 404


def test_an_archive_answers_page_by_page(archive: Endpoint) -> None:
    found = [json.loads(get(archive, f"/dicom-web/studies?limit=5&offset={offset}")[1]) for offset in (0, 5, 10)]
    uids = [row["0020000D"]["Value"][0] for page in found for row in page]
    assert len(set(uids)) == 12
    images = sum(row["00201208"]["Value"][0] for page in found for row in page)
    assert images == ARCHIVE.images
    assert get(archive, "/dicom-web/studies?limit=5&offset=12") == (204, b"")
    dated = [study for study in ARCHIVE.studies if study.values[0x00080020]]
    everything = json.loads(get(archive, "/dicom-web/studies?limit=50&StudyDate=19000101-20991231")[1])
    assert len(everything) == len(dated)
    assert get(archive, "/dicom-web/series")[0] == 404


def test_a_bucket_lists_and_gives(store: Endpoint) -> None:
    status, page = get(store, "/scans?list-type=2&delimiter=/&max-keys=5")
    assert status == 200
    assert page.count(b"<CommonPrefixes>") + page.count(b"<Contents>") == 5
    assert b"<IsTruncated>true</IsTruncated>" in page
    token = re.search(rb"<NextContinuationToken>([^<]+)<", page)
    assert token is not None
    rest = get(store, f"/scans?list-type=2&delimiter=/&continuation-token={token[1].decode().replace(' ', '%20')}")[1]
    assert rest.count(b"<CommonPrefixes>") + rest.count(b"<Contents>") == 8
    inner = get(store, "/scans?list-type=2&prefix=study0000/&delimiter=/")[1]
    assert inner.count(b"<Contents>") == len(FOLDER.folders["study0000"].files)
    key = re.search(rb"<Key>([^<]+)</Key>", inner)
    assert key is not None
    assert get(store, f"/scans/{key[1].decode()}", Range="bytes=128-131") == (206, b"DICM")
    assert get(store, "/other?list-type=2")[0] == 404


def test_a_login_is_demanded_everywhere() -> None:
    with listening(Web(locked("Orthanc Secure Area")).serve) as (here,):
        assert {get(here, path)[0] for path in ("/", "/x", "/dicom-web/studies")} == {401}


@pytest.mark.parametrize("epsv", [True, False])
def test_a_share_is_listed_and_read_by_anonymous(share: Endpoint, epsv: bool) -> None:
    with ftplib.FTP(timeout=5) as client:
        client.connect(str(share.address), share.port)
        client.login()
        if epsv:
            client.af = 10  # type: ignore[assignment]  # asks for EPSV
        names = [name for name, facts in client.mlsd() if facts["type"] == "dir"]
        assert len(names) == 12
        client.cwd("study0000")
        taken: list[bytes] = []
        client.retrbinary("RETR IM00000.dcm", taken.append, rest=128)
        assert b"".join(taken)[:4] == b"DICM"
        lines: list[str] = []
        client.retrlines("LIST /", lines.append)
        assert len(lines) == 13
        with pytest.raises(ftplib.error_perm):
            client.storbinary("STOR x", io.BytesIO(b""))


def test_a_share_knows_nobody_else(share: Endpoint) -> None:
    with ftplib.FTP(timeout=5) as client:
        client.connect(str(share.address), share.port)
        with pytest.raises(ftplib.error_perm):
            client.login("made-up", "made-up")
        with pytest.raises(ftplib.error_perm):
            client.nlst()
