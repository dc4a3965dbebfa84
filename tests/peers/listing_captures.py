"""What each server lists of the tree of `file_tree`, as it came: the data in tests/protocols/listing/data.

`PYTHONPATH=src:tests:tests/peers python tests/peers/listing_captures.py` writes them anew, as root.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from asking import ask
from dicomweb_servers import orthanc_web
from object_stores import ACCOUNT, LIST, LISTED, READ, azurite, fake_gcs, seaweedfs
from real_servers import Namespace, as_file, instance, load_orthanc, namespace
from web_servers import (
    AWKWARD,
    Form,
    apache,
    caddy,
    file_tree,
    http_server,
    lighttpd,
    nginx_listing,
    nginx_webdav,
    rclone,
    wsgidav,
)

from leadapron.model import Endpoint

DATA = Path(__file__).parents[1] / "protocols" / "listing" / "data"

Server = Callable[..., contextlib.AbstractContextManager[Endpoint]]
"""Of a namespace, a folder for its own files and the tree that it serves."""
SERVERS: Mapping[str, Server] = {
    "nginx": nginx_listing,
    "nginx-json": partial(nginx_listing, form=Form.JSON),
    "nginx-xml": partial(nginx_listing, form=Form.XML),
    "nginx-webdav": nginx_webdav,
    "apache-plain": partial(apache, form=Form.PLAIN),
    "apache-fancy": partial(apache, form=Form.FANCY),
    "apache-table": partial(apache, form=Form.TABLE),
    "apache-webdav": partial(apache, webdav=True),
    "lighttpd": lighttpd,
    "lighttpd-webdav": partial(lighttpd, webdav=True),
    "caddy": caddy,
    "rclone": rclone,
    "rclone-webdav": partial(rclone, protocol="webdav"),
    "http-server": http_server,
    "wsgidav": wsgidav,
}
FOLDERS = {"root": "/", "studies": "/studies/"}
TWO_PROPERTIES = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>'
)
WAYS: Mapping[str, tuple[str, int, dict[str, str], bytes | None]] = {
    "page": ("GET", 200, {}, None),
    "json": ("GET", 200, {"Accept": "application/json"}, None),
    "propfind": ("PROPFIND", 207, {"Depth": "1"}, None),
    "propfind-two": ("PROPFIND", 207, {"Depth": "1", "Content-Type": "application/xml"}, TWO_PROPERTIES),
}
"""Method, the status of a listing, headers and content."""
OBJECTS = {"a/b/IM000001.dcm": b"SYNTHETIC", AWKWARD: b"SYNTHETIC 2", "two.dcm": b"SYNTHETIC 3"}
PAGE = "list-type=2&delimiter=/&max-keys=2"


def captures(inside: Namespace, folder: Path, name: str) -> dict[str, bytes]:
    """File's name to content, of one server of SERVERS; whatever was no listing is left out."""
    found: dict[str, bytes] = {}
    tree = folder / f"tree-of-{name}"
    tree.mkdir()
    file_tree(tree)
    with SERVERS[name](inside, folder, tree) as here:
        for stem, target in FOLDERS.items():
            for way, (method, status, headers, content) in WAYS.items():
                if method == "GET" and name.endswith("-webdav"):
                    continue  # the same page as without it
                answer = ask(inside, here, method, target, headers, content)
                if answer.status == status:
                    kind = answer.headers["content-type"].partition(";")[0].rpartition("/")[2]
                    end = f"{way}.xml" if method == "PROPFIND" else kind
                    found[f"{name}-{stem}.{end}"] = anonymous(answer.body, here)
    return found


def store_captures(inside: Namespace, folder: Path) -> dict[str, bytes]:
    """The same of object stores: a whole listing, and the first page with a delimiter."""
    found: dict[str, bytes] = {}

    def keep(here: Endpoint, targets: Mapping[str, str]) -> None:
        for name, target in targets.items():
            answer = ask(inside, here, "GET", target)
            assert answer.status == 200, (name, answer.status)
            found[name] = anonymous(answer.body, here)

    buckets = folder / "buckets"
    for key, content in OBJECTS.items():
        (buckets / "open" / key).parent.mkdir(parents=True, exist_ok=True)
        (buckets / "open" / key).write_bytes(content)
    s3 = {"": "/open?list-type=2", "-page": f"/open?{PAGE}", "-buckets": "/"}
    with seaweedfs(inside, folder, {"open": OBJECTS}, {"open": (READ, LIST)}) as here:
        keep(here, {f"seaweedfs{name}.xml": target for name, target in s3.items()})
    with rclone(inside, folder, buckets, "s3") as here:
        keep(here, {f"rclone-s3{name}.xml": target for name, target in s3.items()})
    with azurite(inside, folder, {("open", LISTED): OBJECTS}) as here:
        whole = f"/{ACCOUNT}/open?restype=container&comp=list"
        keep(here, {"azurite.xml": whole, "azurite-page.xml": f"{whole}&delimiter=/&maxresults=2"})
    with fake_gcs(inside, folder, {"open": OBJECTS}) as here:
        whole = "/storage/v1/b/open/o"
        keep(here, {"gcs.json": whole, "gcs-page.json": f"{whole}?delimiter=/&maxResults=2", "gcs.xml": "/open"})
    return found


def orthanc_captures(inside: Namespace, folder: Path) -> dict[str, bytes]:
    """The WebDAV of an Orthanc: folders that are made up of patients and studies, down to a series of two instances."""
    found: dict[str, bytes] = {}
    with orthanc_web(inside, folder, WebDavEnabled=True) as here:
        load_orthanc(inside, here.port, [as_file(instance(1, 0, number)) for number in range(2)])
        target = "/webdav/"
        for depth, wanted in enumerate(("by-patients", "SYNTHETIC", "", "", "")):
            answer = ask(inside, here, "PROPFIND", target, {"Depth": "1"})
            assert answer.status == 207, answer.status
            found[f"orthanc-{depth}.propfind.xml"] = anonymous(answer.body, here)
            links = [link for link in re.findall(r"<D:href>(.*?)</D:href>", answer.body.decode()) if link != target]
            below = [link for link in links if wanted in link and not link.endswith(".dcm")]
            if not below:
                break
            target = below[0] if below[0].endswith("/") else f"{below[0]}/"
    return found


def anonymous(body: bytes, here: Endpoint) -> bytes:
    """Without the port of this one run."""
    return body.replace(f":{here.port}".encode(), b":8080")


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    with namespace() as inside, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = store_captures(inside, folder) | orthanc_captures(inside, folder)
        for name in SERVERS:
            found |= captures(inside, folder, name)
    for name, body in found.items():
        (DATA / name).write_bytes(body)


if __name__ == "__main__":
    main()
