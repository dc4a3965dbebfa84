"""The first two laws, measured from outside: packets by nftables counters, patient values by searching every byte."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require

from scope_file import write_scope

pytestmark = pytest.mark.peer

CANARY = "KANARIENVOGEL"
TEXT_ATTRIBUTES = (
    "PatientName",
    "PatientID",
    "OtherPatientNames",
    "PatientAddress",
    "PatientComments",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "StudyDescription",
    "SeriesDescription",
    "AccessionNumber",
    "StationName",
    "Manufacturer",
    "StudyID",
    "RequestedProcedureDescription",
    "AdditionalPatientHistory",
    "Occupation",
    "ImageComments",
)


@pytest.fixture
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nft")
    with namespace() as made:
        yield made


def leadapron(
    inside: Namespace, folder: Path, *arguments: object, debug: bool = False
) -> subprocess.CompletedProcess[str]:
    options = ("--debug",) if debug else ()
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": f"sqlite:///{folder}/s.db"}
    return inside.run(sys.executable, "-m", "leadapron", *options, *arguments, env=environment)


COUNTERS = """
table inet watch {
  set permitted { type ipv4_addr; flags interval; elements = { 198.18.0.0/28 } }
  set excluded { type ipv4_addr; flags interval; elements = { 198.18.0.4/31, 198.18.0.9 } }
  chain out {
    type filter hook output priority 0;
    ip daddr @excluded counter comment "excluded"
    ip daddr 198.18.0.0/15 ip daddr != @permitted counter comment "outside"
    ip daddr @permitted tcp dport != { 104, 11112 } tcp flags & (syn | ack) == syn counter comment "port"
    ip daddr @permitted ip daddr != @excluded tcp dport { 104, 11112 } counter comment "permitted"
  }
}
"""


def packets(inside: Namespace) -> dict[str, int]:
    listed = json.loads(inside.run("nft", "-j", "list", "table", "inet", "watch").stdout)
    rules = [entry["rule"] for entry in listed["nftables"] if "rule" in entry]
    return {
        rule["comment"]: next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
        for rule in rules
    }


def watch(inside: Namespace, folder: Path) -> None:
    rules = folder / "watch.nft"
    rules.write_text(COUNTERS)
    loaded = inside.run("nft", "-f", rules)
    assert loaded.returncode == 0, loaded.stderr


def test_no_packet_goes_to_what_is_excluded_out_of_range_or_another_port(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    scope = write_scope(
        tmp_path / "scope.toml",
        networks=["198.18.0.0/28"],
        ports=[104, 11112],
        exclude=("198.18.0.4/31", "198.18.0.9"),
    )

    result = leadapron(inside, tmp_path, "audit", scope, "--quiet")

    assert result.returncode == 0, result.stderr
    counted = packets(inside)
    assert counted["permitted"] >= 2 * 13
    assert (counted["excluded"], counted["outside"], counted["port"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("networks", "extra"),
    [
        (["198.18.0.4/31"], '[[zone]]\nname = "z"\nnetworks = ["198.18.0.4/31"]\nwindow = "{closed} UTC"\n'),
    ],
    ids=["out of its window"],
)
def test_no_packet_goes_out_of_the_window(inside: Namespace, tmp_path: Path, networks: list[str], extra: str) -> None:
    import datetime as dt

    now = dt.datetime.now(dt.UTC)
    closed = f"{(now + dt.timedelta(hours=2)):%H:%M}-{(now + dt.timedelta(hours=3)):%H:%M}"
    watch(inside, tmp_path)
    scope = write_scope(
        tmp_path / "scope.toml", networks=networks, ports=[104, 11112], extra=extra.format(closed=closed)
    )

    result = leadapron(inside, tmp_path, "audit", scope, "--quiet")

    assert result.returncode == 3, result.stdout + result.stderr
    assert packets(inside)["excluded"] == 0


LIBRARY = """
import socket, sys
from pathlib import Path
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm
import http.client
arm(Gate(load_scope(Path(sys.argv[1]))))
denied = 0
for host in ("198.18.0.4", "198.18.1.1", "hospital.example"):
    try:
        http.client.HTTPConnection(host, 104, timeout=2).request("GET", "/")
    except PermissionError:
        denied += 1
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("198.18.1.1", 53))
except PermissionError:
    denied += 1
print(denied)
"""


def test_a_library_that_dials_by_itself_is_held_too(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/28"], ports=[104], exclude=("198.18.0.4/31",))

    result = inside.run(sys.executable, "-c", LIBRARY, scope)

    assert result.stdout.strip() == "4", result.stderr
    counted = packets(inside)
    assert (counted["excluded"], counted["outside"]) == (0, 0)


def test_no_canary_of_a_patient_is_kept_logged_or_shown(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    files = []
    for study in range(40):
        dataset = instance(study)
        for place, attribute in enumerate(TEXT_ATTRIBUTES):
            setattr(dataset, attribute, f"{CANARY}{place}"[:16])
        files.append(as_file(dataset))
    own = tmp_path / "own"
    own.mkdir()
    scope = write_scope(own / "scope.toml", networks=["127.0.0.1/32"], ports=[port])

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, files)
        results = [leadapron(inside, own, "audit", scope, debug=True)]
        results += [
            leadapron(inside, own, "report", "--format", kind, "--output", own / f"report.{kind}", debug=True)
            for kind in ("html", "json", "csv")
        ]
        results.append(leadapron(inside, own, "show", debug=True))

    assert [result.returncode for result in results] == [1, 0, 0, 0, 0], [result.stderr for result in results]
    assert json.loads((own / "report.json").read_text())["totals"]["exposed_services"] == 1
    written = {str(path): path.read_bytes() for path in own.rglob("*") if path.is_file()}
    written |= {f"output {place}": (r.stdout + r.stderr).encode() for place, r in enumerate(results)}
    assert len(written) > 8
    for name, content in written.items():
        assert CANARY.encode() not in content, name
        assert b"2.25.11." not in content, f"a study UID in {name}"
        if content[:2] == b"\x1f\x8b":
            assert CANARY.encode() not in gzip.decompress(content), name


CRASH = """
import sys
import leadapron.protocols.dicom.answers as answers
def broken(self, unique, images, series, studies):
    raise RuntimeError(f"a bug that formats {unique!r}")
answers.Answers._count = broken
sys.argv = ["leadapron", *sys.argv[1:]]
from leadapron.cli.main import run
run()
"""


def test_a_crash_in_the_parser_is_a_result_without_the_value(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    own = tmp_path / "own"
    own.mkdir()
    scope = write_scope(own / "scope.toml", networks=["127.0.0.1/32"], ports=[port])
    environment = {**os.environ, "LEADAPRON_DATA": str(own / "data"), "LEADAPRON_STORE": f"sqlite:///{own}/s.db"}

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True):
        load_orthanc(inside, http_port, [as_file(instance(1))])
        result = inside.run(sys.executable, "-c", CRASH, "--debug", "audit", scope, "--json", env=environment)

    report = json.loads(result.stdout)
    assert {unknown["reason"] for unknown in report["unknowns"]} == {"bug"}
    assert report["services"][0]["access"]["list"] == "unknown"
    everything = (
        result.stdout
        + result.stderr
        + "".join(path.read_bytes().decode("latin-1") for path in own.rglob("*") if path.is_file())
    )
    assert "2.25.11." not in everything
    assert "RuntimeError at" in everything
