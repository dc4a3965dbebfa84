"""One archive behind every door: an Orthanc, its DICOMweb and WebDAV, an NFS export, an SMB copy, a web folder and a
bucket with parts of it. What they show together is counted once, exactly."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from file_doors import open_to_all
from ganesha import NFS_PORT, Export, ganesha, portmapper
from ganesha import PROGRAMS as NFS_PROGRAMS
from object_stores import LIST, READ, seaweedfs
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from samba import smbd
from web_servers import nginx_listing

from scope_file import write_scope

pytestmark = pytest.mark.peer

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
ARCHIVE, ON_NFS, ON_SMB, ON_WEB = range(30), range(30), range(20, 34), (*range(5), *range(34, 36))
IN_BUCKET = (*range(32, 35), 40)
"""Studies by door. Some of those from 30 on are nowhere else."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "Orthanc", "smbd", "nginx", *NFS_PROGRAMS)
    with namespace() as made:
        yield made


def images(study: int) -> int:
    return 1 + study % 3


def files(studies: Sequence[int]) -> dict[str, bytes]:
    return {
        f"study{study}/image{number}.dcm": as_file(instance(study, 0, number, is_dated=True))
        for study in studies
        for number in range(images(study))
    }


def folder_of(root: Path, studies: Sequence[int]) -> Path:
    for name, data in files(studies).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for each in (root, *root.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return root


def total(*doors: Sequence[int]) -> tuple[int, int]:
    """Studies and images, each door for itself."""
    return sum(map(len, doors)), sum(images(study) for studies in doors for study in studies)


def exact(count: dict[str, Any] | None) -> int | None:
    return None if count is None or count["kind"] != "exact" else count["value"]


def test_copies_behind_seven_doors_are_counted_once(inside: Namespace, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    port, http_port, smb_port = free_ports(3)
    nfs, smb, web = (
        folder_of(tmp_path / name, studies) for name, studies in (("nfs", ON_NFS), ("smb", ON_SMB), ("web", ON_WEB))
    )
    share = {"path": smb, "guest ok": "yes", "read only": "yes"}
    with (
        orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True, Plugins=[PLUGIN]),
        portmapper(inside, tmp_path),
        ganesha(inside, tmp_path, Export(path=nfs, pseudo="/pacs")),
        smbd(inside, tmp_path / "samba", smb_port, {"dicom": share}),
        nginx_listing(inside, tmp_path, web) as listed,
        seaweedfs(inside, tmp_path, {"pacs": files(IN_BUCKET)}, {"pacs": (READ, LIST)}) as store,
    ):
        load_orthanc(inside, http_port, list(files(ARCHIVE).values()))
        ports = {"dicom": [port], "http": [http_port, listed.port], "nfs": [NFS_PORT], "smb": [smb_port]}
        report = audit(inside, tmp_path / "own", ports, f"s3://pacs@http://127.0.0.1:{store.port}")
    by_door = {(each["protocol"], each["resource"]): each for each in report["services"]}
    expected = {
        ("dicom", "ANY-SCP"): ARCHIVE,
        ("dicomweb", "/"): ARCHIVE,
        ("dicomweb", "/dicom-web"): ARCHIVE,
        ("webdav", "/webdav/"): ARCHIVE,  # Orthanc's own, which ships switched on
        ("smb", "dicom"): ON_SMB,
        ("listing", "/"): ON_WEB,
        ("buckets", "s3://pacs"): IN_BUCKET,
    }
    (export,) = (key for key in by_door if key[0] == "nfs" and key[1])
    expected[export] = ON_NFS
    for key, studies in expected.items():
        counts = by_door[key]["counts"]
        assert (key, exact(counts["studies"]), exact(counts["images"])) == (key, *total(studies))
        assert by_door[key]["genuineness"]["verdict"] == "test"
    totals = report["totals"]
    assert set(by_door) - set(expected) == {("nfs", ""), ("smb", "")}
    assert totals["exposed_services"] == len(expected)
    assert (exact(totals["studies"]), exact(totals["images"])) == total(*expected.values())
    once = sorted({study for studies in expected.values() for study in studies})
    assert len(once) == 37
    assert (exact(totals["unique_studies"]), exact(totals["unique_images"])) == total(once)
    assert (exact(totals["unique_genuine_studies"]), exact(totals["unique_genuine_images"])) == (0, 0)
    elsewhere = by_door["smb", "dicom"]["facts"]["studies_elsewhere"]
    assert elsewhere == len(set(ON_SMB) & {*ARCHIVE, *ON_NFS, *ON_WEB, *IN_BUCKET})


def audit(inside: Namespace, folder: Path, ports: dict[str, list[int]], bucket: str) -> dict[str, Any]:
    folder.mkdir()
    scope = write_scope(
        folder / "scope.toml",
        networks=["127.0.0.1/32"],
        ports=ports,
        depth="census",
        cleartext_census=True,
        granted=f'blank_login = true\nbuckets = ["{bucket}"]',
    )
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    result = inside.run(*command, "--quiet", "--full", env={**os.environ, "LEADAPRON_DATA": str(folder / "data")})
    assert result.returncode == 1, result.stderr
    kept = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert all(b"SYNTHETIC" not in each for each in (*kept, result.stdout.encode(), result.stderr.encode()))
    report: dict[str, Any] = json.loads(result.stdout)
    return report
