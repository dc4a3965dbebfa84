"""How many requests a web server gets from a whole audit, by its own log."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dicomweb_servers import orthanc_web
from real_servers import Namespace, as_file, instance, load_orthanc, namespace, require
from web_servers import nginx_logged

from leadapron.model import Endpoint
from scope_file import write_scope

pytestmark = pytest.mark.peer

QUERIES = 40
"""Of the budget, unless the scope says otherwise."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nginx")
    with namespace() as made:
        yield made


def audit(inside: Namespace, folder: Path, here: Endpoint) -> dict[str, Any]:
    scope = write_scope(folder / "scope.toml", networks=["127.0.0.1/32"], ports={"http": [here.port]}, depth="count")
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    result = inside.run(*command, "--quiet", env={**os.environ, "LEADAPRON_DATA": str(folder / "data")})
    assert result.returncode in (0, 1), result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def requests(log: Path) -> list[str]:
    return log.read_text().splitlines()


@pytest.mark.parametrize(
    "directives",
    [
        "return 404;",
        "location = / { default_type text/html; return 200 'a practice'; } location / { return 404; }",
        "return 403;",
        "location = / { return 302 /login; } location / { return 302 /login; } location = /login { return 200 'x'; }",
    ],
    ids=["nothing", "a front page", "refused", "all to a login"],
)
def test_a_web_server_without_imaging_gets_no_more_than_the_budget(
    inside: Namespace, tmp_path: Path, directives: str
) -> None:
    with nginx_logged(inside, tmp_path, directives) as (here, log):
        report = audit(inside, tmp_path, here)
    asked = requests(log)
    assert report["services"] == []
    assert {each["reason"] for each in report["unknowns"]} == {"empty"}, "it was looked at to the end"
    *asked, afterwards = asked
    assert len(asked) <= QUERIES, asked
    assert afterwards.startswith("GET / "), "whether it still answers"


def test_an_orthanc_with_all_its_doors(inside: Namespace, tmp_path: Path) -> None:
    """Looking is within the budget; what is found is counted once for each door."""
    require("Orthanc")
    files = [as_file(instance(study)) for study in range(30)]
    with orthanc_web(inside, tmp_path, WebDavEnabled=True) as behind:
        load_orthanc(inside, behind.port, files)
        with nginx_logged(inside, tmp_path, f"location / {{ proxy_pass http://{behind}; }}") as (here, log):
            report = audit(inside, tmp_path, here)
    asked = requests(log)
    resources = {(each["protocol"], each["resource"]) for each in report["services"]}
    assert resources >= {("dicomweb", "/"), ("dicomweb", "/dicom-web"), ("webdav", "/webdav/")}
    assert report["unknowns"] == [], "every door looked to the end"
    walked = [line for line in asked if " /webdav/" in line]
    counted = [line for line in asked if "statistics" in line or "limit=500" in line or "/count" in line]
    assert len(asked) - len(walked) - len(counted) <= QUERIES, asked
    assert len(counted) < 10
    assert len(walked) < 4 * len(files), "a folder and a piece of each file"
