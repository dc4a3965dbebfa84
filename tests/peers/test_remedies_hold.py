"""The remedies that ship, applied to real servers: an open one breaks the control, the same one with the steps does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from test_real_peers import audit, store
from tls_servers import Maker

from leadapron.assess.remedies import Step, remedies

pytestmark = pytest.mark.peer

ORTHANC = remedies()["Orthanc"].steps
ALLOWED = [step for step in ORTHANC if step.setting.startswith("DicomAlwaysAllow")]
OPEN: dict[str, Any] = {step.setting: True for step in ALLOWED}
DCMQRSCP = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
known = (KNOWN, 192.0.2.1, 104)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
OPENA {folder} {access} (200, 1024mb) {peers}
AETable END
"""


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


def broken(report: dict[str, Any]) -> set[str]:
    return {finding["control"] for finding in report["findings"] if finding["status"] in ("new", "open")}


def steps_of(control: str) -> list[Step]:
    """What the steps of `control` say; those of the options that have to be closed together, together."""
    named = [step for step in ORTHANC if control in step.controls and step.setting != "AllowFind"]
    return named + (ALLOWED if any(step.setting == "DicomAlwaysAllowEcho" for step in named) else [])


@pytest.mark.parametrize("control", ["LA-07", "LA-08", "LA-10", "LA-11", "LA-13", "LA-14", "LA-15"])
def test_an_orthanc_that_is_set_as_the_remedy_says_no_longer_breaks_the_control(
    control: str, inside: Namespace, tmp_path: Path
) -> None:
    require("Orthanc")
    settings = {step.setting: json.loads(step.value) for step in steps_of(control)}
    files = [as_file(instance(study)) for study in range(520 if control == "LA-15" else 3)]
    reports = []
    for name, changes in (("before", {}), ("after", settings)):
        port, http_port = free_ports(2)
        folder = tmp_path / name
        folder.mkdir()
        with orthanc(inside, folder, port, http_port, **(OPEN | changes)):
            load_orthanc(inside, http_port, files)
            reports.append(audit(inside, folder, port))
    before, after = map(broken, reports)
    assert settings
    assert control in before
    assert control not in after


def test_an_orthanc_that_binds_its_peers_to_addresses_is_not_opened_by_a_title_alone(
    inside: Namespace, tmp_path: Path
) -> None:
    require("Orthanc")
    (step,) = [step for step in ORTHANC if "LA-09" in step.controls]
    settings: dict[str, Any] = {
        "DicomAlwaysAllowFind": False,
        "DicomModalities": {"ct": ["CT1", "192.0.2.7", 104]},
    }
    reports = []
    for name, changes in (("before", {}), ("after", {step.setting: json.loads(step.value)})):
        port, http_port = free_ports(2)
        folder = tmp_path / name
        folder.mkdir()
        with orthanc(inside, folder, port, http_port, **settings, **changes):
            load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(3)])
            reports.append(audit(inside, folder, port, granted='calling_aets = ["CT1"]'))
    before, after = reports
    assert "LA-09" in broken(before)
    assert "LA-09" not in broken(after)
    assert [service["access"]["list"] for service in (*before["services"], *after["services"])] == ["refused"] * 2


@pytest.mark.parametrize(("control", "before"), [("LA-19", {}), ("LA-21", {"DicomTlsEnabled": True})])
def test_an_orthanc_whose_tls_is_set_as_the_remedy_says_no_longer_breaks_the_control(
    control: str, before: dict[str, Any], inside: Namespace, tmp_path: Path
) -> None:
    require("Orthanc", "openssl")
    pair = Maker(folder=tmp_path).make("pacs")
    files = {
        "DicomTlsCertificate": str(pair.certificate),
        "DicomTlsPrivateKey": str(pair.key),
        "DicomTlsTrustedCertificates": str(pair.certificate),
        "DicomTlsRemoteCertificateRequired": False,
    }
    settings = {step.setting: json.loads(step.value) for step in ORTHANC if control in step.controls}
    reports = []
    for name, changes in (("before", before), ("after", before | settings)):
        port, http_port = free_ports(2)
        folder = tmp_path / name
        folder.mkdir()
        with orthanc(inside, folder, port, http_port, **(files | changes)):
            reports.append(audit(inside, folder, port))
    assert settings
    assert control in broken(reports[0])
    assert control not in broken(reports[1])
    assert reports[1]["services"]


@pytest.mark.parametrize(
    ("control", "row", "option"),
    [
        ("LA-08", {"peers": "known"}, ()),
        ("LA-11", {"peers": "known"}, ()),
        ("LA-13", {}, ("--disable-get",)),
        ("LA-14", {"access": "R"}, ()),
    ],
)
def test_a_dcmqrscp_that_is_set_as_the_remedy_says_no_longer_breaks_the_control(
    control: str, row: dict[str, str], option: tuple[str, ...], inside: Namespace, tmp_path: Path
) -> None:
    require("dcmqrscp", "storescu")
    reports = []
    for name, changes, options in (("before", {}, ()), ("after", row, option)):
        (port,) = free_ports(1)
        folder = tmp_path / name
        (folder / "area").mkdir(parents=True)
        configuration = folder / "dcmqrscp.cfg"
        parts = {"access": "RW", "peers": "ANY"} | changes
        configuration.write_text(DCMQRSCP.format(port=port, folder=folder / "area", **parts))
        with inside.serving(port, "dcmqrscp", *options, "-c", configuration, log=folder / "dcmqrscp.log"):
            if not changes:
                store(inside, folder, port, "OPENA", range(2))
            reports.append(audit(inside, folder, port, titles=("OPENA",)))
    before, after = map(broken, reports)
    assert control in before
    assert control not in after
