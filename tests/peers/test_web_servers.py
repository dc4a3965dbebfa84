"""The real servers that the doors of the web are tested with: each serves what it should, and refuses what it should.

Asked with plain `http.client`, so that nothing of ours is in between. The shapes of what comes are told at the top of
web_servers.py, dicomweb_servers.py and object_stores.py.
"""

from __future__ import annotations

import html
import http.client
import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from asking import ask
from dicomweb_servers import DICOM_JSON, ORTHANC_ROOT, TINY_PACS_ROOT, orthanc_web, stow, tiny_pacs
from listing_captures import DATA, OBJECTS, SERVERS, captures, orthanc_captures, store_captures
from object_stores import ACCOUNT, LIST, LISTED, PRIVATE, READ, READABLE, azurite, fake_gcs, seaweedfs
from real_servers import Namespace, as_file, instance, load_orthanc, namespace, require
from tls_servers import Pair, within
from web_servers import AUTHORIZATION, AWKWARD, LONG, file_tree, nginx_https, rclone

from leadapron.model import Endpoint

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


@dataclass(frozen=True)
class Seen:
    """A line of the table in web_servers.py."""

    listing: str | None = "text/html"
    """its media type; None: 403"""
    slash: int = 301
    piece: int = 206
    past: int = 416
    propfind: int = 405
    infinity: int = 405
    hidden: bool = True
    version: int = 11


SEEN = {
    "nginx": Seen(hidden=False),
    "nginx-json": Seen("application/json", hidden=False),
    "nginx-xml": Seen("text/xml", hidden=False),
    "nginx-webdav": Seen(None, propfind=207, infinity=403, hidden=False),
    "apache-plain": Seen(),
    "apache-fancy": Seen(),
    "apache-table": Seen(),
    "apache-webdav": Seen(propfind=207, infinity=403),
    "lighttpd": Seen(propfind=501, infinity=501, hidden=False),
    "lighttpd-webdav": Seen(propfind=207, infinity=403, hidden=False),
    "caddy": Seen(slash=308, propfind=200, infinity=200),
    "rclone": Seen(slash=404),
    "rclone-webdav": Seen(slash=405, propfind=207, infinity=207),
    "http-server": Seen(piece=200, past=200, propfind=501, infinity=501, version=10),
    "wsgidav": Seen(propfind=207, infinity=207),
}
NAMES = {"SYNTHETIC 0", LONG, AWKWARD}


def test_every_server_has_its_line() -> None:
    assert SEEN.keys() == SERVERS.keys()


def names(body: bytes, kind: str) -> set[str]:
    """Whatever in a body is, in full, one of NAMES: that all are found says that a parser can find them."""
    text = body.decode()
    if kind == "application/json":
        found = [entry["name"] for entry in json.loads(text)]
    else:
        found = [html.unescape(each) for each in re.findall(r'href="([^"]*)"|>([^<>\r\n]+)</', text) for each in each]
        found = [unquote(each) for each in found]
    return {each.removeprefix("./").strip("/").removeprefix("studies/") for each in found} & NAMES


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_of_files_serves_what_its_line_says(name: str, inside: Namespace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    files, seen = file_tree(tree), SEEN[name]

    with SERVERS[name](inside, tmp_path, tree) as here:
        listed, empty = (ask(inside, here, "GET", f"/{each}/") for each in ("studies", "empty"))
        root = ask(inside, here, "GET", "/")
        gone, slash = ask(inside, here, "GET", "/nothing/"), ask(inside, here, "GET", "/studies")
        whole = ask(inside, here, "GET", "/first.dcm")
        piece = ask(inside, here, "GET", "/first.dcm", {"Range": "bytes=128-131"})
        past = ask(inside, here, "GET", "/first.dcm", {"Range": "bytes=90000-90003"})
        found = ask(inside, here, "PROPFIND", "/studies/", {"Depth": "1"})
        all_of_it = ask(inside, here, "PROPFIND", "/", {"Depth": "infinity"})

    if seen.listing is None:
        assert (listed.status, empty.status, root.status) == (403, 403, 403)
    else:
        assert (listed.status, empty.status, root.status) == (200, 200, 200)
        assert listed.headers["content-type"].partition(";")[0] == seen.listing
        assert names(listed.body, seen.listing) == NAMES
        assert names(empty.body, seen.listing) == set()
        assert (b".hidden" in root.body) == seen.hidden
    assert (gone.status, slash.status) == (404, seen.slash)
    assert (whole.status, whole.body) == (200, files[1])
    assert (piece.status, past.status) == (seen.piece, seen.past)
    assert piece.body == (b"DICM" if seen.piece == 206 else files[1])
    assert piece.headers.get("content-range") == (f"bytes 128-131/{len(files[1])}" if seen.piece == 206 else None)
    assert (found.status, all_of_it.status) == (seen.propfind, seen.infinity)
    if seen.propfind == 207:
        assert names(found.body.replace(b"href>", b'href="').replace(b"</", b'"</'), "text/xml") == NAMES
    assert {each.version for each in (root, whole, piece, listed)} == {seen.version}
    assert {each.is_kept for each in (root, whole, piece, listed)} == {seen.version == 11}


@pytest.mark.parametrize("name", [each for each in SERVERS if each != "http-server"])
def test_a_locked_server_of_files_refuses_every_method(name: str, inside: Namespace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    file_tree(tree)

    with SERVERS[name](inside, tmp_path, tree, locked=True) as here:
        refused = [
            ask(inside, here, method, target)
            for method in ("GET", "OPTIONS", "PROPFIND")
            for target in ("/", "/studies/", "/first.dcm", "/nothing")
        ]
        wrong = ask(inside, here, "GET", "/first.dcm", {"Authorization": "Basic bWFkZTp1cA=="})
        right = ask(inside, here, "GET", "/first.dcm", {"Authorization": AUTHORIZATION})

    assert {each.status for each in (*refused, wrong)} == {401}
    assert all(each.headers["www-authenticate"].startswith("Basic realm=") for each in refused)
    assert not any(b"SYNTHETIC" in each.body for each in refused)
    assert right.status == 200


@pytest.mark.parametrize("name", SERVERS)
def test_what_is_kept_as_data_is_what_the_server_still_lists(name: str, inside: Namespace, tmp_path: Path) -> None:
    found = captures(inside, tmp_path, name)

    assert found
    assert {each.name for each in DATA.glob(f"{name}-*")} >= found.keys()
    for each, body in found.items():
        assert links((DATA / each).read_bytes()) == links(body)


def test_what_is_kept_of_stores_is_what_they_still_list(inside: Namespace, tmp_path: Path) -> None:
    found = store_captures(inside, tmp_path)

    assert {each.name for each in DATA.glob("*")} >= found.keys()
    for each, body in found.items():
        assert shape((DATA / each).read_bytes()) == shape(body)


def test_what_is_kept_of_the_webdav_of_orthanc_is_what_it_still_lists(inside: Namespace, tmp_path: Path) -> None:
    found = orthanc_captures(inside, tmp_path)

    assert len(found) == 5
    for each, body in found.items():
        assert links((DATA / each).read_bytes()) == links(body)


def links(body: bytes) -> list[bytes]:
    """All that leads somewhere in a page, and all names in other listings; in no order, for nginx has none."""
    return sorted(
        re.findall(rb'href="[^"]*"|href>[^<]*<|"(?:name|url|type|is_dir)":"?[^",]*|(?:file|directory)>', body)
    )


def shape(body: bytes) -> list[bytes]:
    """The names, sizes and ends of a listing of objects: without times and what is made of them."""
    tags = rb"<(?:Key|Name|Prefix|Size|Content-Length|IsTruncated|NextMarker|NextContinuationToken)/?>[^<]*"
    return re.findall(tags + rb'|"(?:name|size|nextPageToken)":"[^"]*"|"prefixes":\[[^\]]*', body)


# --- DICOMweb ---------------------------------------------------------------------------------------------------------

FILES = [as_file(instance(study, 0, number)) for study in range(3) for number in range(2)]
INSTANCE = "/studies/2.25.11.1/series/2.25.12.1.1/instances/2.25.10.1.1.1"
MULTIPART = 'multipart/related; type="application/dicom"'
AS_STORED = f"{MULTIPART}; transfer-syntax=*"
EXPLICIT = b"1.2.840.10008.1.2.1\0"
# Statuses of (Orthanc, tiny_pacs).
ASKED = {
    "/studies": (200, 200),
    "/studies?limit=1&offset=1": (200, 200),
    "/studies?StudyDate=20990101-20991231": (200, 204),
    "/studies?offset=3": (200, 204),
    "/series": (200, 404),
    "/instances": (200, 404),
    "/studies/2.25.11.1/series": (200, 200),
    "/studies/2.25.99/series": (200, 204),
    f"{INSTANCE}/metadata": (200, 404),
    "": (404, 404),
}


@pytest.mark.parametrize("which", [0, 1], ids=["orthanc", "tiny-pacs"])
def test_dicomweb_answers_as_it_is_written_down(which: int, inside: Namespace, tmp_path: Path) -> None:
    root = (ORTHANC_ROOT, TINY_PACS_ROOT)[which]

    with (orthanc_web, tiny_pacs)[which](inside, tmp_path) as here:
        stored = stow(inside, here, root, FILES)
        answers = {each: ask(inside, here, "GET", f"{root}{each}", {"Accept": DICOM_JSON}) for each in ASKED}
        one = ask(inside, here, "GET", f"{root}{INSTANCE}", {"Accept": AS_STORED, "Range": "bytes=0-9"})
        by_default = ask(inside, here, "GET", f"{root}{INSTANCE}", {"Accept": MULTIPART})
        none = ask(inside, here, "GET", f"{root}/studies?limit=0", {"Accept": DICOM_JSON})

    assert stored.status == 200
    assert {each: answer.status for each, answer in answers.items()} == {each: ASKED[each][which] for each in ASKED}
    studies = json.loads(answers["/studies"].body)
    assert {each["0020000D"]["Value"][0] for each in studies} == {f"2.25.11.{number}" for number in (1, 2, 3)}
    assert len(json.loads(answers["/studies?limit=1&offset=1"].body)) == 1
    assert ["00201208" in each for each in studies] == [which == 0] * 3
    assert one.status == 200
    assert one.headers["content-type"].startswith(MULTIPART)
    assert (EXPLICIT in one.body, EXPLICIT in by_default.body) == (False, which == 0)
    assert len(json.loads(none.body)) == (3, 1)[which]
    assert answers["/studies?offset=3"].is_kept == (which == 0)


def test_the_rest_of_an_open_orthanc_tells_its_counts(inside: Namespace, tmp_path: Path) -> None:
    with orthanc_web(inside, tmp_path) as here:
        load_orthanc(inside, here.port, FILES)
        statistics, front = ask(inside, here, "GET", "/statistics"), ask(inside, here, "GET", "/")
        without = ask(inside, here, "PROPFIND", "/webdav/", {"Depth": "1"})

    counts = json.loads(statistics.body)
    assert [counts[f"Count{each}"] for each in ("Patients", "Studies", "Series", "Instances")] == [3, 3, 3, 6]
    assert (front.status, front.headers["location"]) == (301, "app/explorer.html")
    assert without.status == 207  # WebDavEnabled is true unless a configuration says otherwise


def test_a_locked_orthanc_and_a_locked_tiny_pacs_refuse(inside: Namespace, tmp_path: Path) -> None:
    with orthanc_web(inside, tmp_path, locked=True, WebDavEnabled=True) as here:
        orthanc_refused = [
            ask(inside, here, *each)
            for each in (("GET", "/system"), ("GET", f"{ORTHANC_ROOT}/studies"), ("PROPFIND", "/webdav/"))
        ]
        right = ask(inside, here, "GET", "/system", {"Authorization": AUTHORIZATION})
    with tiny_pacs(inside, tmp_path, tokens=("made-up-token",)) as here:
        tiny_refused = ask(inside, here, "GET", f"{TINY_PACS_ROOT}/studies")
        borne = ask(inside, here, "GET", f"{TINY_PACS_ROOT}/studies", {"Authorization": "Bearer made-up-token"})

    assert [each.status for each in (*orthanc_refused, tiny_refused)] == [401] * 4
    assert {each.headers["www-authenticate"] for each in orthanc_refused} == {'Basic realm="Orthanc Secure Area"'}
    assert tiny_refused.headers["www-authenticate"] == 'Bearer realm="tiny_pacs"'
    assert (right.status, borne.status) == (200, 204)


def test_nginx_ends_https_before_an_orthanc(inside: Namespace, tmp_path: Path, pair: Pair) -> None:
    with orthanc_web(inside, tmp_path) as backend, nginx_https(inside, tmp_path, backend, pair) as here:
        status, body = within(inside, lambda: secured(here, "/system"))

    assert status == 200
    assert json.loads(body)["DicomAet"] == "ORTHANC"


def secured(here: Endpoint, target: str) -> tuple[int, bytes]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(str(here.address), here.port, timeout=20, context=context)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# --- Object stores ----------------------------------------------------------------------------------------------------


def test_seaweedfs_is_open_and_closed_by_bucket(inside: Namespace, tmp_path: Path) -> None:
    buckets = dict.fromkeys(("open", "blind", "listed", "closed"), OBJECTS) | {"empty": {}}
    anyone = {"open": (READ, LIST), "blind": (READ,), "listed": (LIST,), "empty": (LIST,)}

    with seaweedfs(inside, tmp_path, buckets, anyone) as here:
        lists = {name: ask(inside, here, "GET", f"/{name}?list-type=2") for name in (*buckets, "nothing")}
        reads = {name: ask(inside, here, "GET", f"/{name}/two.dcm") for name in (*buckets, "nothing")}
        piece = ask(inside, here, "GET", "/open/two.dcm", {"Range": "bytes=0-3"})
        past = ask(inside, here, "GET", "/open/two.dcm", {"Range": "bytes=900-903"})
        every = ask(inside, here, "GET", "/")

    refused = {name for name, each in lists.items() if each.status == 403 and b"<Code>AccessDenied<" in each.body}
    assert refused == {"blind", "closed", "nothing"}
    assert {name for name, each in lists.items() if each.status == 200} == {"open", "listed", "empty"}
    assert [lists[name].body.count(b"<Key>") for name in ("open", "listed", "empty")] == [3, 3, 0]
    statuses = {"open": 200, "blind": 200, "listed": 403, "closed": 403, "empty": 403, "nothing": 403}
    assert {name: each.status for name, each in reads.items()} == statuses
    assert (piece.status, piece.body, piece.headers["content-range"]) == (206, b"SYNT", "bytes 0-3/11")
    assert past.status == 416
    assert re.findall(rb"<Name>(.*?)<", every.body) == [b"empty", b"listed", b"open"]


def test_seaweedfs_tells_whom_it_lists_all_that_there_is_no_such_bucket(inside: Namespace, tmp_path: Path) -> None:
    with seaweedfs(inside, tmp_path, {"one": OBJECTS}, {"": (READ, LIST)}) as here:
        here_it_is, gone = (ask(inside, here, "GET", f"/{name}?list-type=2") for name in ("one", "nothing"))
        no_key = ask(inside, here, "GET", "/one/nothing.dcm")

    assert here_it_is.status == 200
    assert (gone.status, b"<Code>NoSuchBucket<" in gone.body) == (404, True)
    assert (no_key.status, b"<Code>NoSuchKey<" in no_key.body) == (404, True)


def test_azurite_is_open_and_closed_by_container(inside: Namespace, tmp_path: Path) -> None:
    containers = {("open", LISTED): OBJECTS, ("blind", READABLE): OBJECTS, ("closed", PRIVATE): OBJECTS}

    with azurite(inside, tmp_path, containers) as here:
        base = f"/{ACCOUNT}"
        lists = {
            name: ask(inside, here, "GET", f"{base}/{name}?restype=container&comp=list")
            for name in ("open", "blind", "closed", "nothing")
        }
        reads = {name: ask(inside, here, "GET", f"{base}/{name}/two.dcm") for name in lists}
        piece = ask(inside, here, "GET", f"{base}/open/two.dcm", {"Range": "bytes=0-3"})
        gone = ask(inside, here, "GET", f"{base}/blind/nothing.dcm")
        every = ask(inside, here, "GET", f"{base}?comp=list")
        other = ask(inside, here, "GET", "/other/open?restype=container&comp=list")

    listed_to_anyone = {"open": 200, "blind": 403, "closed": 403, "nothing": 403}
    assert {name: each.status for name, each in lists.items()} == listed_to_anyone
    assert {name: each.status for name, each in reads.items()} == {**listed_to_anyone, "blind": 200}
    assert lists["open"].body.count(b"<Blob>") == 3
    assert lists["closed"].headers["x-ms-error-code"] == "AuthorizationFailure"
    assert (piece.status, piece.body, piece.headers["content-range"]) == (206, b"SYNT", "bytes 0-3/11")
    assert (gone.status, gone.headers["x-ms-error-code"]) == (404, "BlobNotFound")
    assert every.status == 403
    assert (other.status, other.headers["x-ms-error-code"]) == (404, "ResourceNotFound")


def test_fake_gcs_server_lists_pages_and_pieces(inside: Namespace, tmp_path: Path) -> None:
    with fake_gcs(inside, tmp_path, {"open": OBJECTS}) as here:
        whole = ask(inside, here, "GET", "/storage/v1/b/open/o")
        page = ask(inside, here, "GET", "/storage/v1/b/open/o?maxResults=1")
        gone = ask(inside, here, "GET", "/storage/v1/b/nothing/o")
        piece = ask(inside, here, "GET", "/storage/v1/b/open/o/two.dcm?alt=media", {"Range": "bytes=0-3"})
        no_key = ask(inside, here, "GET", "/storage/v1/b/open/o/nothing.dcm?alt=media")

    sizes = {each["name"]: int(each["size"]) for each in json.loads(whole.body)["items"]}
    assert sizes == {name: len(content) for name, content in OBJECTS.items()}
    first = json.loads(page.body)
    assert (len(first["items"]), first["nextPageToken"] in OBJECTS) == (1, True)
    assert (gone.status, json.loads(gone.body)["error"]["code"]) == (404, 404)
    assert (piece.status, piece.body, piece.headers["content-range"]) == (206, b"SYNT", "bytes 0-3/11")
    assert no_key.status == 404


def test_rclone_serves_s3_to_all_or_to_those_who_have_the_key(inside: Namespace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "open").mkdir(parents=True)
    (tree / "open" / "two.dcm").write_bytes(OBJECTS["two.dcm"])

    with rclone(inside, tmp_path, tree, "s3") as here:
        listed = ask(inside, here, "GET", "/open?list-type=2")
        piece = ask(inside, here, "GET", "/open/two.dcm", {"Range": "bytes=0-3"})
        gone = ask(inside, here, "GET", "/nothing?list-type=2")
    with rclone(inside, tmp_path, tree, "s3", locked=True) as here:
        refused = [ask(inside, here, "GET", each) for each in ("/", "/open?list-type=2", "/open/two.dcm")]

    assert re.findall(rb"<Key>(.*?)<", listed.body) == [b"two.dcm"]
    assert (piece.status, piece.body, piece.headers["content-range"]) == (200, b"SYNT", "bytes 0-3/11")
    assert (gone.status, b"NoSuchBucket" in gone.body) == (404, True)
    assert {(each.status, b"UnsupportedAlgorithm" in each.body) for each in refused} == {(400, True)}
