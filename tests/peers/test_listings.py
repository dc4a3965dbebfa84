"""The whole tool against real web servers that list folders or speak WebDAV: every file counted, none of the names kept."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dicomweb_servers import orthanc_web
from listing_captures import SERVERS
from real_servers import Namespace, as_file, instance, load_orthanc, namespace, require
from web_servers import Form, apache, caddy, file_tree, lighttpd, nginx_listing, nginx_webdav, rclone, wsgidav

from leadapron.model import Endpoint
from leadapron.protocols.listing.formats import Format
from scope_file import write_scope

pytestmark = pytest.mark.peer

NAMES = (b"SYNTHETIC", b"IM000001", b"first.dcm", b"notes.txt", b"a%26b", b"a&b")
"""Parts of the names of `file_tree`, none of which may leave."""
FORMATS = {
    "nginx": Format.NGINX,
    "nginx-json": Format.NGINX_JSON,
    "nginx-xml": Format.NGINX_XML,
    "apache-plain": Format.APACHE_PLAIN,
    "apache-fancy": Format.APACHE_FANCY,
    "apache-table": Format.APACHE_TABLE,
    "apache-webdav": Format.APACHE_FANCY,
    "lighttpd": Format.LIGHTTPD,
    "lighttpd-webdav": Format.LIGHTTPD,
    "caddy": Format.CADDY,
    "rclone": Format.RCLONE,
    "rclone-webdav": Format.RCLONE,
    "http-server": Format.PYTHON,
    "wsgidav": Format.OTHER,
}
"""Of the front page; that of Caddy's tree is in JSON, for which only the tree asks."""
DAV = {"nginx-webdav", "apache-webdav", "lighttpd-webdav", "rclone-webdav", "wsgidav"}
NO_SIZES = {"apache-plain", "http-server", "lighttpd", "lighttpd-webdav"}
"""They say none, or rounded ones only."""
DICOM_FILES, STUDIES = 5, 5


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "tree"
    folder.mkdir()
    folder.parent.parent.chmod(0o755)
    file_tree(folder)
    return folder


def audit(inside: Namespace, folder: Path, port: int, **more: Any) -> tuple[dict[str, dict[str, Any]], bytes]:
    """One audit of this port of 127.0.0.1: the services over HTTP by protocol and resource, and every byte written."""
    here = folder / f"audit-{len(list(folder.iterdir()))}"
    here.mkdir()
    scope = write_scope(here / "scope.toml", networks=["127.0.0.1/32"], ports={"http": [port]}, **more)
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{here}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(here / "data")})
    assert result.returncode in (0, 1), result.stderr
    report = json.loads(result.stdout)
    written = b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file())
    services = {f"{seen['protocol']}:{seen['resource']}": seen for seen in report["services"]}
    for protocol, resource, data in stored(here / "s.db"):
        services[f"{protocol}:{resource}"]["facts"] = json.loads(data)["facts"]
    return services, written + result.stdout.encode() + result.stderr.encode()


def count(service: dict[str, Any], name: str) -> tuple[int, str] | None:
    found = service["counts"][name]
    return found and (found["value"], found["kind"])


def stored(database: Path) -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT protocol, resource, data FROM observations").fetchall()


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_file_behind_a_listing_is_counted(inside: Namespace, tmp_path: Path, tree: Path, name: str) -> None:
    with SERVERS[name](inside, tmp_path, tree) as here:
        services, written = audit(inside, tmp_path, here.port)

    seen = services["listing:/"]
    assert (seen["access"]["list"], seen["access"]["read"]) == ("proven", "proven")
    assert count(seen, "images") == (DICOM_FILES, "exact")
    facts = seen["facts"]
    hidden = name.split("-")[0] not in ("nginx", "lighttpd")
    assert facts["listing.format"] == FORMATS[name]
    assert (facts["files.files"], facts["files.folders"]) == (6 + hidden, 4)
    assert facts["files.dicom"] == DICOM_FILES
    assert "files.odd" not in facts
    assert ("files.bytes" in facts) == (name not in NO_SIZES)
    assert not [each for each in NAMES if each in written]


@pytest.mark.parametrize("name", sorted(DAV))
def test_every_file_behind_webdav_is_counted(inside: Namespace, tmp_path: Path, tree: Path, name: str) -> None:
    with SERVERS[name](inside, tmp_path, tree) as here:
        services, written = audit(inside, tmp_path, here.port)

    seen = services["webdav:/"]
    assert (seen["access"]["list"], seen["access"]["read"]) == ("proven", "proven")
    assert count(seen, "images") == (DICOM_FILES, "exact")
    facts = seen["facts"]
    assert (facts["files.files"], facts["files.folders"]) == (6 + (name != "nginx-webdav"), 4)
    assert facts["files.bytes"] > 0
    assert seen["access"]["write"] == ("offered" if facts["webdav.writes"] else "not_asked")
    assert not [each for each in NAMES if each in written]


def test_whose_options_allow_to_write_offers_it_and_nobody_writes(
    inside: Namespace, tmp_path: Path, tree: Path
) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*"))
    with rclone(inside, tmp_path, tree, "webdav") as here:
        services, _ = audit(inside, tmp_path, here.port)
    assert services["webdav:/"]["access"]["write"] == "offered"
    assert sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*")) == before


LOCKED: dict[str, Any] = {
    "nginx": partial(nginx_listing, form=Form.PLAIN),
    "nginx-webdav": nginx_webdav,
    "apache-webdav": partial(apache, webdav=True),
    "lighttpd-webdav": partial(lighttpd, webdav=True),
    "caddy": caddy,
    "rclone-webdav": partial(rclone, protocol="webdav"),
    "wsgidav": wsgidav,
}


@pytest.mark.parametrize("name", sorted(LOCKED))
def test_behind_a_password_nothing_is_exposed(inside: Namespace, tmp_path: Path, tree: Path, name: str) -> None:
    serve: AbstractContextManager[Endpoint] = LOCKED[name](inside, tmp_path, tree, locked=True)
    with serve as here:
        services, _ = audit(inside, tmp_path, here.port)
    assert not [seen for seen in services.values() if "proven" in (seen["access"]["list"], seen["access"]["read"])]


def test_a_folder_that_is_listed_below_a_front_page_is_found(inside: Namespace, tmp_path: Path, tree: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "index.html").write_text("<html><title>SYNTHETIC practice</title></html>")
    (root / "dicom").symlink_to(tree)
    (root / "files").mkdir()
    (root / "files" / "index.html").write_text("<html><title>SYNTHETIC files</title></html>")
    tmp_path.chmod(0o755)
    with nginx_listing(inside, tmp_path, root) as here:
        services, _ = audit(inside, tmp_path, here.port)
    assert [name for name in services if name.startswith("listing:")] == ["listing:/dicom/"]
    assert count(services["listing:/dicom/"], "images") == (DICOM_FILES, "exact")


def test_a_folder_that_contains_itself_is_no_endless_tree(inside: Namespace, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    file_tree(root)
    (root / "again").symlink_to(root)
    tmp_path.chmod(0o755)
    with nginx_listing(inside, tmp_path, root) as here:
        services, _ = audit(inside, tmp_path, here.port)
    facts = services["listing:/"]["facts"]
    assert facts["files.files"] == 6
    assert facts["files.loops"] == 1


def test_a_census_is_taken_of_the_headers_behind_a_listing(inside: Namespace, tmp_path: Path, tree: Path) -> None:
    with nginx_listing(inside, tmp_path, tree) as here:
        withheld, _ = audit(inside, tmp_path, here.port, depth="census")
        services, written = audit(inside, tmp_path, here.port, depth="census", cleartext_census=True)
    assert withheld["listing:/"]["census"] is None
    census = services["listing:/"]["census"]
    assert census["sampled"] == DICOM_FILES
    assert census["present"]["PatientName"] == DICOM_FILES
    assert count(services["listing:/"], "studies") == (STUDIES, "exact")
    assert not [each for each in NAMES if each in written]


def test_the_archive_of_an_orthanc_is_counted_once_over_webdav(inside: Namespace, tmp_path: Path) -> None:
    with orthanc_web(inside, tmp_path, WebDavEnabled=True) as here:
        files = [as_file(instance(study, 0, number)) for study in range(3) for number in range(2)]
        load_orthanc(inside, here.port, files)
        services, written = audit(inside, tmp_path, here.port)
    seen = services["webdav:/webdav/"]
    assert (seen["access"]["list"], seen["access"]["read"], seen["access"]["write"]) == ("proven", "proven", "offered")
    assert count(seen, "images") == (6, "exact")
    assert seen["facts"]["files.dicom"] == 6
    assert b"SYNTHETIC" not in written
