"""Portals and FHIR servers that are real, each audited as a whole: logins, viewers' data, and totals."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from portal_servers import fhirsnake, form_login, hapi, viewer
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require

from leadapron.store.store import Store
from scope_file import write_scope

pytestmark = pytest.mark.peer

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
STUDIES = 23
FILES = [as_file(instance(study, 0, number)) for study in range(STUDIES) for number in range(2)]
BLANK = '<user username="" password="" roles="WebUser"/>'
SOMEBODY = '<user username="made-up" password="made-up" roles="WebUser"/>'


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


def audit(inside: Namespace, folder: Path, port: int, **more: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The services at a port of 127.0.0.1, by protocol and resource, as the JSON report has them; and under "findings" the
    controls that they break. Nothing that was written, and nothing that was said, has a word of a made-up patient."""
    place = folder / "audit"
    place.mkdir()
    scope = write_scope(place / "scope.toml", networks=["127.0.0.1/32"], ports={"http": [port]}, **more)
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{place}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(place / "data")})
    assert result.returncode in (0, 1), result.stderr
    for file in place.rglob("*"):
        assert not file.is_file() or b"SYNTHETIC" not in file.read_bytes()
    assert "SYNTHETIC" not in result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    services = {(each["protocol"], each["resource"]): each for each in report["services"]}
    for service in services.values():
        service["findings"] = set()
    with Store.open(f"sqlite:///{place}/s.db") as store:
        (run,) = store.runs()
        for seen in store.observations(run.id):  # the report shows the facts that are evidence; here are all
            kept = services[seen.service.protocol, seen.service.resource]
            kept["facts"], kept["unknowns"] = dict(seen.facts), [(why.stage, why.reason) for why in seen.unknowns]
    for finding in report["findings"]:
        service = services.get((finding["service"]["protocol"], finding["service"]["resource"]))
        if service is not None:
            service["findings"].add(finding["control"])
    return services


def value(service: dict[str, Any], name: str) -> tuple[int, str, str] | None:
    count = service["counts"][name]
    return count and (count["value"], count["kind"], count["source"])


# -- logins --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "granted", "accepted"),
    [
        (BLANK, "blank_login = true", True),
        (SOMEBODY, "blank_login = true", False),
        (BLANK, "", None),
    ],
)
def test_a_form_login_is_told_and_the_blank_one_is_what_the_container_says(
    inside: Namespace, tmp_path: Path, users: str, granted: str, accepted: bool | None
) -> None:
    with form_login(inside, tmp_path, users) as port:
        services = audit(inside, tmp_path, port, granted=granted)
    service = services["portal", "/oviyam2/"]

    assert service["product"]["name"] == "Oviyam"
    assert (service["access"]["list"], service["access"]["read"]) == ("refused", "refused")
    assert service["facts"].get("blank_login_accepted") is accepted
    assert ("LA-23" in service["findings"]) is (accepted is True)
    assert set(services) == {("portal", "/oviyam2/")}


# -- viewers -------------------------------------------------------------------------------------------------------------

CONFIG = "window.config = {{ dataSources: [{{ configuration: {{ qidoRoot: '{root}', wadoRoot: '{root}' }} }}] }};"


@pytest.mark.parametrize("root", ["/pacs/dicom-web", "http://127.0.0.1:{port}/pacs/dicom-web"])
def test_what_a_viewer_shows_is_counted_where_its_data_lie(inside: Namespace, tmp_path: Path, root: str) -> None:
    require("Orthanc")
    port, backend = free_ports(2)
    with orthanc(inside, tmp_path, port, backend, Plugins=[PLUGIN]):
        load_orthanc(inside, backend, FILES)
        with viewer(inside, tmp_path, backend, "") as here:
            config = CONFIG.format(root=root.format(port=here))
            (tmp_path / "pages" / "ohif" / "app-config.js").write_text(config)
            services = audit(inside, tmp_path, here)
    service = services["portal", "/ohif/"]

    assert set(services) == {("portal", "/ohif/")}
    assert (service["access"]["list"], service["access"]["read"]) == ("proven", "offered")
    assert value(service, "studies") == (STUDIES, "exact", "enumerated")
    assert value(service, "images") == (2 * STUDIES, "exact", "claimed")
    assert "LA-02" in service["findings"]


def test_a_viewer_whose_data_ask_for_a_login_lists_nothing(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, backend = free_ports(2)
    with (
        orthanc(inside, tmp_path, port, backend, Plugins=[PLUGIN]),
        viewer(inside, tmp_path, backend, CONFIG.format(root="/pacs/dicom-web"), password=True) as here,
    ):
        service = audit(inside, tmp_path, here)["portal", "/ohif/"]
    assert (service["access"]["talk"], service["access"]["list"]) == ("proven", "refused")
    assert "LA-02" not in service["findings"]


def test_a_viewer_of_another_servers_data_is_not_followed_there(inside: Namespace, tmp_path: Path) -> None:
    """The other server is real and open, in the same namespace and outside the scope; it is not asked."""
    require("Orthanc")
    port, backend = free_ports(2)
    with orthanc(inside, tmp_path, port, backend, Plugins=[PLUGIN]):
        load_orthanc(inside, backend, FILES)
        config = CONFIG.format(root=f"http://127.0.0.1:{backend}/dicom-web")
        with viewer(inside, tmp_path, backend, config) as here:
            service = audit(inside, tmp_path, here)["portal", "/ohif/"]
    assert service["access"]["list"] == "not_asked"
    assert (service["facts"]["portal.sources_here"], service["facts"]["portal.sources_elsewhere"]) == (0, 1)
    assert value(service, "studies") is None


# -- Orthanc, whose pages the door leaves to that of DICOMweb ------------------------------------------------------------


def test_an_open_orthanc_is_told_by_its_page_and_is_no_portal(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port):
        load_orthanc(inside, http_port, FILES)
        services = audit(inside, tmp_path, http_port)
    assert "portal" not in {protocol for protocol, _ in services}
    assert services["dicomweb", "/"]["product"]["name"] == "Orthanc"


def test_a_locked_orthanc_is_refused_and_told_by_its_realm(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    users = {"made-up": "made-up"}
    with orthanc(inside, tmp_path, port, http_port, AuthenticationEnabled=True, RegisteredUsers=users):
        services = audit(inside, tmp_path, http_port, granted="blank_login = true")
    ((where, service),) = services.items()
    assert (where, service["product"]["name"]) == (("http", ""), "Orthanc")
    assert (service["access"]["list"], service["facts"]["blank_login_accepted"]) == ("refused", False)


# -- FHIR ----------------------------------------------------------------------------------------------------------------


def test_hapi_counts_what_was_put_there(inside: Namespace, tmp_path: Path) -> None:
    with hapi(inside, tmp_path, studies=37, patients=12) as port:
        services = audit(inside, tmp_path, port)
    assert set(services) == {("fhir", "/fhir")}
    service = services["fhir", "/fhir"]

    assert (service["product"]["name"], service["product"]["version"]) == ("HAPI FHIR", "8.8.0")
    assert (service["access"]["list"], service["access"]["read"]) == ("proven", "offered")
    assert value(service, "studies") == (37, "exact", "claimed")
    assert value(service, "patients") == (12, "exact", "claimed")
    assert service["facts"]["fhir.release"] == 4
    assert "LA-02" in service["findings"]


def test_a_hapi_that_shows_its_statement_only_is_refused(inside: Namespace, tmp_path: Path) -> None:
    with hapi(inside, tmp_path, studies=37, patients=12, locked=True) as port:
        service = audit(inside, tmp_path, port)["fhir", "/fhir"]
    assert service["product"]["name"] == "HAPI FHIR"
    assert (service["access"]["talk"], service["access"]["list"]) == ("proven", "refused")
    assert service["facts"]["fhir.studies_status"] == 403
    assert (value(service, "studies"), "LA-02" in service["findings"]) == (None, False)


def test_an_empty_hapi_is_unknown(inside: Namespace, tmp_path: Path) -> None:
    with hapi(inside, tmp_path, studies=0, patients=0) as port:
        service = audit(inside, tmp_path, port)["fhir", "/fhir"]
    assert service["access"]["list"] == "unknown"
    assert service["unknowns"] == [("list", "empty")]


def test_a_server_that_sends_entries_with_its_total_is_counted(inside: Namespace, tmp_path: Path) -> None:
    with fhirsnake(inside, tmp_path, studies=5, patients=3) as port:
        services = audit(inside, tmp_path, port)
    assert value(services["fhir", "/"], "studies") == (5, "exact", "claimed")
    assert value(services["fhir", "/"], "patients") == (3, "exact", "claimed")
