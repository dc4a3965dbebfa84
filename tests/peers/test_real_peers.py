"""The whole tool against real servers: verdicts as the table says, counts equal to what was loaded."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require

from leadapron.protocols.dicom.attributes import attributes
from scope_file import write_scope

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


def audit(inside: Namespace, folder: Path, *ports: int, titles: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """One audit of these ports of 127.0.0.1, as its JSON report."""
    scope = write_scope(folder / "scope.toml", networks=["127.0.0.1/32"], ports=list(ports), called_aets=titles, **more)
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(folder / "data")})
    assert result.returncode in (0, 1), result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def values(service: dict[str, Any]) -> dict[str, tuple[int, str] | None]:
    return {name: count and (count["value"], count["kind"]) for name, count in service["counts"].items()}


def test_an_open_orthanc_with_2000_studies_is_counted_exactly(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    files = [
        as_file(instance(study, 0, number, is_dated=True)) for study in range(2000) for number in range(1 + study % 2)
    ]

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, files)
        report = audit(inside, tmp_path, port)
        load_orthanc(inside, http_port, [as_file(instance(study, is_dated=False)) for study in range(2000, 2003)])
        (with_undated,) = audit(inside, tmp_path, port)["services"]

    (service,) = report["services"]
    assert service["access"] == {
        "reach": "proven",
        "talk": "proven",
        "list": "proven",
        "read": "offered",
        "write": "offered",
    }
    assert values(service) == {
        "patients": None,
        "studies": (2000, "exact"),
        "series": (2000, "exact"),
        "images": (3000, "exact"),
        "worklist": None,
    }
    assert values(with_undated)["studies"] == (2003, "exact")
    assert service["toolkit"].startswith("OFFIS DCMTK 3.")
    assert {finding["control"] for finding in report["findings"]} >= {"LA-01", "LA-07", "LA-08", "LA-11", "LA-15"}


FILLED = {
    "PatientAddress": 2,
    "PatientTelephoneNumbers": 3,
    "ReferringPhysicianName": 1,
    "InstitutionName": 4,
    "StudyDescription": 5,
    "PatientComments": 20,
    "OperatorsName": 6,
    "DeviceSerialNumber": 7,
}
"""Every how many studies have the attribute."""


def test_the_census_of_an_orthanc_equals_what_was_loaded_for_every_attribute(inside: Namespace, tmp_path: Path) -> None:
    """Of 23 studies every one is in the sample, so that there is one truth."""
    require("Orthanc")
    port, http_port = free_ports(2)
    datasets = [instance(study) for study in range(23)]
    for number, dataset in enumerate(datasets):
        for keyword, every in FILLED.items():
            setattr(dataset, keyword, "" if number % every else "SYNTHETIC")
    wanted = {attribute.keyword for attribute in attributes().values()}
    truth = Counter(
        element.keyword
        for dataset in datasets
        for element in dataset
        if element.keyword in wanted and str(element.value or "").strip()
    )

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, list(map(as_file, datasets)))
        withheld = audit(inside, tmp_path, port, depth="census")
        report = audit(inside, tmp_path, port, depth="census", cleartext_census=True)

    assert withheld["services"][0]["census"] is None
    (service,) = report["services"]
    assert service["census"] == {"sampled": 23, "present": dict(sorted(truth.items()))}
    assert set(FILLED) <= set(truth)
    assert values(service)["studies"] == (23, "exact")


def test_a_default_orthanc_accepts_everything_and_refuses_the_query(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)

    with orthanc(inside, tmp_path, port, http_port):
        report = audit(inside, tmp_path, port)

    (service,) = report["services"]
    assert service["access"]["talk"] == "proven"
    assert service["access"]["list"] == "refused"
    assert report["totals"]["exposed_services"] == 0
    assert "LA-11" not in {finding["control"] for finding in report["findings"]}


def test_an_orthanc_that_checks_called_titles_is_opened_by_the_title_of_its_owner(
    inside: Namespace, tmp_path: Path
) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True, DicomCheckCalledAet=True):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(31)])
        closed = audit(inside, tmp_path, port)
        opened = audit(inside, tmp_path, port, titles=("WRONG", "ORTHANC"))

    assert [service["access"]["list"] for service in closed["services"]] == ["refused"]
    (service,) = opened["services"]
    assert service["resource"] == "ORTHANC"
    assert service["product"]["name"] == "Orthanc"
    assert values(service)["studies"] == (31, "exact")
    assert "LA-07" not in {finding["control"] for finding in opened["findings"]}


def test_a_number_at_which_products_stop_is_a_bound_where_studies_have_no_date(
    inside: Namespace, tmp_path: Path
) -> None:
    """Ranges of dates do not find such studies again: nobody can tell 250 of 250 from 250 of 300."""
    require("Orthanc")
    port, http_port = free_ports(2)

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(250)])
        report = audit(inside, tmp_path, port)

    (service,) = report["services"]
    assert values(service)["studies"] == (250, "bound")
    assert {"stage": "count", "reason": "limit"}.items() <= report["unknowns"][0].items()


def test_a_capped_orthanc_gives_a_bound_and_never_a_wrong_exact(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True, LimitFindResults=100):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(250)])
        report = audit(inside, tmp_path, port)

    (service,) = report["services"]
    studies = service["counts"]["studies"]
    assert studies["kind"] == "bound"
    assert 100 < studies["low"] <= 250
    assert {"stage": "count", "reason": "limit"}.items() <= report["unknowns"][0].items()


DCMQRSCP = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
known = (OTHERAET, 127.0.0.1, 5000)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
OPENA {folder}/A RW (500, 1024mb) ANY
OPENB {folder}/B RW (500, 1024mb) ANY
CLOSED {folder}/C RW (500, 1024mb) known
AETable END
"""


@contextlib.contextmanager
def dcmqrscp(inside: Namespace, folder: Path, port: int) -> Iterator[None]:
    """With two titles that are open to anyone, and one that is not."""
    for area in "ABC":
        (folder / area).mkdir()
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(DCMQRSCP.format(port=port, folder=folder))
    with inside.serving(port, "dcmqrscp", "-c", configuration, log=folder / "dcmqrscp.log"):
        yield


def store(inside: Namespace, folder: Path, port: int, title: str, studies: range) -> int:
    """Send studies of one to two series and one to three images with storescu; how many images."""
    files = [
        instance(study, series, number)
        for study in studies
        for series in range(1 + study % 2)
        for number in range(1 + study % 3)
    ]
    outbox = folder / title
    outbox.mkdir()
    for place, dataset in enumerate(files):
        (outbox / f"{place}.dcm").write_bytes(as_file(dataset))
    sent = inside.run("storescu", "-aec", title, "+sd", "127.0.0.1", port, outbox)
    assert sent.returncode == 0, sent.stderr
    return len(files)


def test_two_titles_of_a_dcmqrscp_are_two_services_and_a_host_table_closes_the_third(
    inside: Namespace, tmp_path: Path
) -> None:
    require("dcmqrscp", "storescu")
    (port,) = free_ports(1)

    with dcmqrscp(inside, tmp_path, port):
        images_a = store(inside, tmp_path, port, "OPENA", range(6))
        images_b = store(inside, tmp_path, port, "OPENB", range(10, 13))
        report = audit(inside, tmp_path, port, titles=("OPENA", "OPENB", "CLOSED"))

    by_title = {service["resource"]: service for service in report["services"]}
    assert set(by_title) == {"OPENA", "OPENB"}
    assert values(by_title["OPENA"])["studies"] == (6, "exact")
    assert values(by_title["OPENA"])["images"] == (images_a, "exact")
    assert values(by_title["OPENB"])["images"] == (images_b, "exact")
    assert by_title["OPENA"]["counts"]["images"]["source"] == "enumerated"


def test_a_dcmqrscp_larger_than_the_query_budget_is_estimated(inside: Namespace, tmp_path: Path) -> None:
    require("dcmqrscp", "storescu")
    (port,) = free_ports(1)

    with dcmqrscp(inside, tmp_path, port):
        images = store(inside, tmp_path, port, "OPENA", range(31))
        report = audit(inside, tmp_path, port, titles=("OPENA",))

    (service,) = report["services"]
    count = service["counts"]["images"]
    assert service["counts"]["studies"]["kind"] == "exact"
    assert (count["kind"], count["source"]) == ("estimate", "sampled")
    width = count["high"] - count["low"]  # of a 95 % interval: the truth is outside of it once in twenty runs
    assert count["low"] - width <= images <= count["high"] + width


def test_a_storescp_offers_storage_and_nothing_to_list(inside: Namespace, tmp_path: Path) -> None:
    require("storescp")
    (port,) = free_ports(1)

    with inside.serving(port, "storescp", port, "-od", tmp_path, log=tmp_path / "storescp.log"):
        report = audit(inside, tmp_path, port)

    (service,) = report["services"]
    assert (service["access"]["list"], service["access"]["write"]) == ("refused", "offered")


def test_a_worklist_server_shows_its_entries(inside: Namespace, tmp_path: Path) -> None:
    require("wlmscpfs")
    (port,) = free_ports(1)
    folder = tmp_path / "worklists" / "WORKLIST"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number in range(7):
        (folder / f"{number}.wl").write_bytes(as_file(worklist_entry(number)))

    with inside.serving(port, "wlmscpfs", "-dfr", "-dfp", folder.parent, port, log=tmp_path / "wlmscpfs.log"):
        report = audit(inside, tmp_path, port, titles=("WORKLIST",))

    (service,) = report["services"]
    assert service["access"]["list"] == "proven"
    assert values(service)["worklist"] == (7, "exact")


def worklist_entry(number: int) -> Any:
    from pydicom.dataset import Dataset

    entry = instance(number)
    step = Dataset()
    step.Modality, step.ScheduledStationAETitle, step.ScheduledProcedureStepID = "CT", "CT1", "1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20261123", "1000"
    step.ScheduledPerformingPhysicianName, step.ScheduledProcedureStepDescription = "", "SYNTHETIC"
    entry.ScheduledProcedureStepSequence = [step]
    entry.RequestedProcedureID, entry.RequestedProcedureDescription = "1", "SYNTHETIC"
    return entry


def test_the_server_of_pynetdicom_is_counted_below_its_studies(inside: Namespace, tmp_path: Path) -> None:
    require("storescu")
    (port,) = free_ports(1)
    (tmp_path / "instances").mkdir()
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", port, "--database-location", tmp_path / "q.db"]

    with inside.serving(port, *command, "--instance-location", tmp_path / "instances", log=tmp_path / "qrscp.log"):
        images = store(inside, tmp_path, port, "QRSCP", range(6))
        report = audit(inside, tmp_path, port)

    (service,) = report["services"]
    assert service["toolkit"].startswith("pynetdicom 3.")
    assert values(service)["studies"] == (6, "exact")
    assert values(service)["images"] == (images, "exact")
