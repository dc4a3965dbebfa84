"""Real archives over HTTP: counted as over DICOM, joined with it, refused where they are locked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from proxies import nginx_tls
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from tls_servers import Pair

from leadapron.model import Endpoint
from scope_file import write_scope

pytestmark = pytest.mark.peer

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
FILES = [as_file(instance(study, 0, number, is_dated=True)) for study in range(60) for number in range(1 + study % 2)]
STUDIES, IMAGES = 60, 90


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "Orthanc")
    with namespace() as made:
        yield made


def audit(inside: Namespace, folder: Path, ports: dict[str, list[int]], **more: Any) -> dict[str, Any]:
    scope = write_scope(folder / "scope.toml", networks=["127.0.0.1/32"], ports=ports, depth="census", **more)
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(folder / "data")})
    assert result.returncode in (0, 1), result.stderr
    for file in folder.rglob("*"):
        assert not file.is_file() or "orthanc" in str(file) or b"SYNTHETIC" not in file.read_bytes()
    assert "SYNTHETIC" not in result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def exact(count: dict[str, Any] | None) -> int | None:
    return None if count is None or count["kind"] != "exact" else count["value"]


def test_one_archive_behind_three_doors_is_one_archive(inside: Namespace, tmp_path: Path) -> None:
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True, Plugins=[PLUGIN], WebDavEnabled=False):
        load_orthanc(inside, http_port, FILES)
        report = audit(inside, tmp_path, {"dicom": [port], "http": [http_port]}, cleartext_census=True)
    services = {(each["protocol"], each["resource"]): each for each in report["services"]}
    assert set(services) == {("dicom", "ANY-SCP"), ("dicomweb", "/"), ("dicomweb", "/dicom-web")}
    for service in services.values():
        assert exact(service["counts"]["studies"]) == STUDIES
        assert exact(service["counts"]["images"]) == IMAGES
        assert service["access"]["list"] == "proven"
        assert service["census"]["present"]["PatientName"] == service["census"]["sampled"] == 25
        assert service["genuineness"]["verdict"] == "test"
    assert exact(services["dicomweb", "/"]["counts"]["patients"]) == STUDIES
    assert services["dicomweb", "/"]["product"]["name"] == "Orthanc"
    totals = report["totals"]
    assert (exact(totals["studies"]), exact(totals["images"])) == (3 * STUDIES, 3 * IMAGES)
    assert (exact(totals["unique_studies"]), exact(totals["unique_images"])) == (STUDIES, IMAGES)
    assert exact(totals["unique_genuine_images"]) == 0
    assert {"LA-02", "LA-11"} <= {finding["control"] for finding in report["findings"]}


def test_a_locked_one_is_refused_and_told_by_its_realm(inside: Namespace, tmp_path: Path) -> None:
    port, http_port = free_ports(2)
    users = {"made-up": "made-up"}
    with orthanc(
        inside, tmp_path, port, http_port, AuthenticationEnabled=True, RegisteredUsers=users, Plugins=[PLUGIN]
    ):
        report = audit(inside, tmp_path, {"http": [http_port]}, granted="blank_login = true")
    (service,) = report["services"]
    assert (service["protocol"], service["product"]["name"]) == ("http", "Orthanc")
    assert service["access"] == {
        "reach": "proven",
        "talk": "proven",
        "list": "refused",
        "read": "refused",
        "write": "not_asked",
    }
    assert "LA-02" not in {finding["control"] for finding in report["findings"]}
    assert "LA-23" not in {finding["control"] for finding in report["findings"]}
    assert "LA-18" in {finding["control"] for finding in report["findings"]}


@pytest.mark.parametrize("keep_alive", [True, False])
def test_inside_tls_it_is_counted_the_same(inside: Namespace, tmp_path: Path, pair: Pair, keep_alive: bool) -> None:
    """Also where each answer ends the connection: then each question is one of its own, with a handshake."""
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port, KeepAlive=keep_alive, Plugins=[PLUGIN], WebDavEnabled=False):
        load_orthanc(inside, http_port, FILES)
        backend = Endpoint(address=ip_address("127.0.0.1"), port=http_port)
        with nginx_tls(inside, tmp_path, backend, pair) as here:
            report = audit(inside, tmp_path, {"http": [here.port]})
    services = {each["resource"]: each for each in report["services"]}
    assert set(services) == {"/", "/dicom-web"}
    for service in services.values():
        assert (exact(service["counts"]["studies"]), exact(service["counts"]["images"])) == (STUDIES, IMAGES)
        assert service["tls"]["bcp195"] in (True, False)
        assert service["census"]["sampled"] == 25
    assert "LA-22" in {finding["control"] for finding in report["findings"]}


def test_without_the_plugin_its_own_routes_say_it(inside: Namespace, tmp_path: Path) -> None:
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port, WebDavEnabled=False):
        load_orthanc(inside, http_port, FILES)
        (service,) = audit(inside, tmp_path, {"http": [http_port]})["services"]
    assert (service["protocol"], service["resource"]) == ("dicomweb", "/")
    assert (exact(service["counts"]["studies"]), exact(service["counts"]["images"])) == (STUDIES, IMAGES)
    assert service["census"] is None
