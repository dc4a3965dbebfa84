"""Servers that send us elsewhere: redirects over HTTP, a data connection to another host over FTP. Measured from outside: no
packet goes there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Namespace, free_ports, namespace, require

from scope_file import write_scope

pytestmark = pytest.mark.peer

GRANTED, ELSEWHERE = "198.18.0.1", "198.18.0.9"

SERVER = f"""
import asyncio, sys

async def web(reader, writer):
    while (line := await reader.readline()).strip():
        pass
    port = writer.get_extra_info("sockname")[1]
    writer.write(b"HTTP/1.1 302 Found\\r\\nContent-Length: 0\\r\\n")
    writer.write(b"Location: http://{ELSEWHERE}:%d/dicom-web/\\r\\n\\r\\n" % port)
    await writer.drain()
    writer.close()

async def ftp(reader, writer):
    writer.write(b"220 (vsFTPd 3.0.3)\\r\\n")
    answers = {{b"USER": b"331 go on", b"PASS": b"230 in", b"TYPE": b"200 yes", b"CWD": b"250 there", b"EPSV": b"500 what",
               b"PASV": b"227 here ({ELSEWHERE.replace(".", ",")},%d,%d)"}}
    port = int(sys.argv[1])
    while line := await reader.readline():
        answer = answers.get(line[:4].upper().strip(), b"502 no")
        if b"%" in answer:
            answer %= (port >> 8, port & 255)
        writer.write(answer + b"\\r\\n")
        await writer.drain()
    writer.close()

async def main():
    for address in ("{GRANTED}", "{ELSEWHERE}"):
        await asyncio.start_server(web, address, int(sys.argv[1]))
        await asyncio.start_server(ftp, address, int(sys.argv[2]))
    await asyncio.sleep(120)

asyncio.run(main())
"""

COUNTERS = f"""
table inet watch {{
  chain out {{
    type filter hook output priority 0;
    ip daddr {ELSEWHERE} counter comment "elsewhere"
    ip daddr {GRANTED} counter comment "granted"
  }}
}}
"""


@pytest.fixture
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nft")
    with namespace() as made:
        yield made


def packets(inside: Namespace) -> dict[str, int]:
    listed = json.loads(inside.run("nft", "-j", "list", "table", "inet", "watch").stdout)
    rules = [entry["rule"] for entry in listed["nftables"] if "rule" in entry]
    return {
        rule["comment"]: next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)
        for rule in rules
    }


def test_no_packet_follows_a_redirect_or_a_foreign_data_port(inside: Namespace, tmp_path: Path) -> None:
    web, ftp = free_ports(2)
    rules = tmp_path / "watch.nft"
    rules.write_text(COUNTERS)
    assert inside.run("nft", "-f", rules).returncode == 0
    scope = write_scope(
        tmp_path / "scope.toml",
        networks=[f"{GRANTED}/32"],
        ports={"http": [web], "ftp": [ftp]},
        granted=f'blank_login = true\nurls = ["http://{GRANTED}:{web}/images/"]',
    )
    environment = {**os.environ, "LEADAPRON_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{tmp_path}/s.db", "--json"]
    with inside.serving(web, sys.executable, "-c", SERVER, web, ftp, log=tmp_path / "server.log"):
        before = packets(inside)
        result = inside.run(*command, "--quiet", env=environment)
        after = packets(inside)
    assert result.returncode in (0, 1), result.stderr
    assert after["elsewhere"] == before["elsewhere"] == 0
    assert after["granted"] > before["granted"]
    report: dict[str, Any] = json.loads(result.stdout)
    share = next(each for each in report["services"] if (each["protocol"], each["resource"]) == ("ftp", ""))
    assert share["product"]["name"] == "vsftpd"
    log = next(tmp_path.rglob("audit.jsonl")).read_text()
    assert ELSEWHERE not in log
    assert f"beside {ftp}" in log


def test_the_counter_sees_who_does_go_there(inside: Namespace, tmp_path: Path) -> None:
    """So that the test above can fail."""
    web, ftp = free_ports(2)
    rules = tmp_path / "watch.nft"
    rules.write_text(COUNTERS)
    assert inside.run("nft", "-f", rules).returncode == 0
    follow = f"import urllib.request; urllib.request.urlopen('http://{GRANTED}:{web}/', timeout=5)"
    with inside.serving(web, sys.executable, "-c", SERVER, web, ftp, log=tmp_path / "server.log"):
        inside.run(sys.executable, "-c", follow)
        assert packets(inside)["elsewhere"] > 0
