"""The whole program at an open FTP server and an open rsync daemon: what it finds, where it dials, what it does not keep."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_doors import CANARY, made_up_folder, open_to_all, rsyncd, vsftpd
from real_servers import Namespace, namespace, require

from scope_file import write_scope

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "vsftpd", "rsync")
    with namespace() as made:
        yield made


def test_anyone_lists_images_over_ftp_and_rsync(inside: Namespace, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    root = made_up_folder(tmp_path)
    modules = f"[public]\npath = {root}\n[{CANARY}]\ncomment = {CANARY}\npath = {root}\n"
    with vsftpd(inside, tmp_path, root) as ftp, rsyncd(inside, tmp_path, modules) as rsync:
        ports = {"ftp": [ftp], "rsync": [rsync]}
        own = tmp_path / "own"
        own.mkdir()
        scope = write_scope(own / "scope.toml", networks=["127.0.0.1/32"], ports=ports, granted="blank_login = true")
        command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{own}/s.db", "--json"]
        result = inside.run(*command, env={**os.environ, "LEADAPRON_DATA": str(own / "data")})
    assert result.returncode == 1, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    broken = {(each["control"], each["service"]["protocol"]) for each in report["findings"]}
    assert broken >= {("LA-03", "ftp"), ("LA-23", "ftp"), ("LA-03", "rsync")}
    (images,) = (each["counts"]["images"] for each in report["services"] if each["resource"] == "/")
    assert (images["value"], images["kind"]) == (7, "exact")

    dials = [line for log in own.rglob("audit.jsonl") for line in log.read_text().splitlines() if '"dial"' in line]
    assert any(f"tree:root beside {ftp}" in line for line in dials)
    assert {json.loads(line)["facts"]["address"] for line in dials} == {"127.0.0.1"}

    kept = [file.read_bytes() for file in own.rglob("*") if file.is_file()]
    assert kept
    for each in (*kept, result.stdout.encode(), result.stderr.encode()):
        assert b"BIRGIT" not in each
        assert b"IM00000" not in each
