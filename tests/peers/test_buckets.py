"""Buckets of real stores through the whole tool: what is open is counted, what is closed is refused, and nothing else is
asked of their hosts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from object_stores import LIST, READ, fake_gcs, seaweedfs
from real_servers import Namespace, as_file, instance, namespace, require
from tls_servers import Pair
from web_servers import nginx_https, nginx_listing

from leadapron.model import Endpoint
from scope_file import write_scope

pytestmark = pytest.mark.peer

CANARY = "CANARYPATIENT"
DICOM = {
    f"dicom/{CANARY}^{study}/image {number}.dcm": as_file(instance(study, 0, number))
    for study in range(3)
    for number in range(1 + study)
}
"""Six images of three studies, in folders whose names must never be seen again."""
OBJECTS = {**DICOM, f"{CANARY} letter.txt": b"a made-up letter", "dicom/readme": b"nothing"}


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss")
    with namespace() as made:
        yield made


def audit(inside: Namespace, folder: Path, *named: str, key: str = "buckets", depth: str = "count") -> dict[str, Any]:
    """One audit of a scope that names buckets (or `urls`), and nothing else."""
    granted = f"{key} = {list(named)}"
    scope = write_scope(folder / "scope.toml", networks=[], ports=[104], depth=depth, granted=granted)
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(folder / "data")})
    assert result.returncode in (0, 1), result.stderr + result.stdout
    for file in [*folder.glob("s.db*"), *(folder / "data").rglob("*")]:
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file.name
    assert CANARY not in result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def by_bucket(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {service["resource"]: service for service in report["services"]}


def at(endpoint: Endpoint) -> str:
    return f"http://{endpoint}"


def verdicts(service: dict[str, Any]) -> tuple[str, str]:
    return service["access"]["list"], service["access"]["read"]


def test_buckets_of_s3(inside: Namespace, tmp_path: Path) -> None:
    anyone = {"scans": (LIST, READ), "listed": (LIST,), "readable": (READ,)}
    buckets = dict.fromkeys(("scans", "listed", "readable", "closed"), OBJECTS)
    with seaweedfs(inside, tmp_path, buckets, anyone) as endpoint:
        names = [f"s3://{name}@{at(endpoint)}" for name in (*buckets, "no-such-bucket")]
        found = by_bucket(audit(inside, tmp_path, *names))
    assert {name: verdicts(service) for name, service in found.items()} == {
        "s3://scans": ("proven", "proven"),
        "s3://listed": ("proven", "refused"),
        "s3://readable": ("refused", "not_asked"),
        "s3://closed": ("refused", "not_asked"),
        "s3://no-such-bucket": ("refused", "not_asked"),  # SeaweedFS tells a stranger no more than that
    }
    images = found["s3://scans"]["counts"]["images"]
    assert (images["value"], images["kind"]) == (len(DICOM), "exact")


def test_buckets_of_google(inside: Namespace, tmp_path: Path) -> None:
    with fake_gcs(inside, tmp_path, {"scans": OBJECTS}) as endpoint:
        found = by_bucket(audit(inside, tmp_path, f"gs://scans@{at(endpoint)}", f"gs://not-there@{at(endpoint)}"))
    assert verdicts(found["gs://scans"]) == ("proven", "proven")
    assert found["gs://scans"]["counts"]["images"]["value"] == len(DICOM)
    assert verdicts(found["gs://not-there"]) == ("unknown", "not_asked")


def test_a_grant_that_ends_at_talk_lists_nothing(inside: Namespace, tmp_path: Path) -> None:
    with seaweedfs(inside, tmp_path, {"scans": OBJECTS}, {"scans": (LIST, READ)}) as endpoint:
        (service,) = audit(inside, tmp_path, f"s3://scans@{at(endpoint)}", depth="talk")["services"]
    assert service["access"]["talk"] == "proven"
    assert verdicts(service) == ("not_asked", "not_asked")


def test_a_bucket_inside_tls_by_its_name_to_its_census(inside: Namespace, tmp_path: Path, pair: Pair) -> None:
    """TLS keeps the census from crossing in clear. The name is resolved for the run, and goes with each request."""
    with (
        seaweedfs(inside, tmp_path, {"scans": OBJECTS}, {"scans": (LIST, READ)}) as store,
        nginx_https(inside, tmp_path, store, pair) as endpoint,
    ):
        report = audit(inside, tmp_path, f"s3://scans@https://localhost:{endpoint.port}", depth="census")
    (service,) = report["services"]
    assert verdicts(service) == ("proven", "proven")
    assert service["endpoint"]["name"] == "localhost"
    assert service["census"]["sampled"] == len(DICOM)
    assert service["census"]["present"]["PatientName"] == len(DICOM)
    assert service["tls"]["name_matches"] is False
    assert (service["counts"]["studies"]["value"], service["counts"]["studies"]["kind"]) == (3, "exact")


def test_a_web_folder_is_counted_and_nothing_beside_it(inside: Namespace, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(4):
        file = tree / ("shared" if number else "private") / CANARY / f"{number}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(as_file(instance(number)))
    with nginx_listing(inside, tmp_path, tree) as endpoint:
        report = audit(inside, tmp_path, f"{at(endpoint)}/shared", f"{at(endpoint)}/not-there/", key="urls")
    found = by_bucket(report)
    shared, missing = found[f"{at(endpoint)}/shared/"], found[f"{at(endpoint)}/not-there/"]
    assert verdicts(shared) == ("proven", "proven")
    assert shared["counts"]["images"]["value"] == 3
    assert verdicts(missing) == ("unknown", "not_asked")
    assert len(found) == 2
