"""Names whose addresses change between look-ups, and names of what is excluded: a run stays with what it was granted at$
its beginning. Measured from outside, by counters and by what the name server was asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from changing_names import ADDRESS, Names, changing_names
from real_servers import Namespace, free_ports, namespace, require
from watched import watch

from scope_file import write_scope

pytestmark = pytest.mark.peer

GRANTED, ELSEWHERE = "198.18.0.1", "198.18.0.9"
GRANTED6, ELSEWHERE6 = "2001:db8:18::1", "2001:db8:18::9"
WATCHED = {"granted": [GRANTED, GRANTED6], "elsewhere": [ELSEWHERE, ELSEWHERE6], "names": [ADDRESS]}

ANSWERS = {
    "a.example": [[GRANTED], [ELSEWHERE]],
    "aaaa.example": [[GRANTED6], [ELSEWHERE6]],
    "later.example": [[GRANTED], [GRANTED, ELSEWHERE6]],
    "cname.example": [["here.example"], ["away.example"]],
    "here.example": [[GRANTED]],
    "away.example": [[ELSEWHERE, ELSEWHERE6]],
    "folder.example": [[GRANTED], ["away.example"]],
    "store.example": [["here.example"], [ELSEWHERE]],
    "shut.example": [[ELSEWHERE, ELSEWHERE6]],
    "half.example": [[GRANTED, ELSEWHERE]],
}

SERVER = f"""
import asyncio, sys

PAGE = (b"<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre>"
        b'<a href="a.dcm">a.dcm</a></pre></body></html>')
KEYS = (b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a.dcm</Key><Size>132</Size></Contents>"
        b"</ListBucketResult>")
slow = float(sys.argv[2])

async def serve(reader, writer):
    while request := await reader.readline():
        host = b"a.example"
        while line := (await reader.readline()).strip():
            if line.lower().startswith(b"host:"):
                host = line[5:].strip().partition(b":")[0]
        path = request.split(b" ")[1]
        await asyncio.sleep(slow)
        if path == b"/moved":
            more, body = b"Location: http://%b:{{port}}/\\r\\n".replace(b"{{port}}", sys.argv[1].encode()) % host, b""
        elif path.endswith(b".dcm"):
            more, body = b"", bytes(128) + b"DICM"
        elif b"list-type" in path:
            more, body = b"", KEYS
        elif path.endswith(b"/"):
            more, body = b"", PAGE
        else:
            more, body = b"", b""
        status = b"302 Found" if more else b"200 OK" if body else b"404 Not Found"
        writer.write(b"HTTP/1.1 %b\\r\\n%bContent-Length: %d\\r\\n\\r\\n" % (status, more, len(body)) + body)
        await writer.drain()
    writer.close()

async def main():
    for address in ("{GRANTED}", "{ELSEWHERE}", "{GRANTED6}", "{ELSEWHERE6}"):
        await asyncio.start_server(serve, address, int(sys.argv[1]))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nft", "unshare")
    with namespace() as made:
        for address in (GRANTED6, ELSEWHERE6):
            made.run("ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad")
        yield made


class Run:
    """The program at a server at the granted place and elsewhere, with names that are looked up in `names` alone."""

    def __init__(self, inside: Namespace, folder: Path, names: Names, port: int) -> None:
        self._inside, self._folder, self.names, self.port = inside, folder, names, port
        own = {"LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": f"sqlite:///{folder}/s.db"}
        self.environment = {**os.environ, **own}

    def scope(self, *names: str, granted: str = "", exclude: tuple[str, ...] = ()) -> Path:
        path = self._folder / "scope.toml"
        lines = f"names = {list(names)}\n{granted}"
        return write_scope(path, networks=[], ports={"http": [self.port]}, granted=lines, exclude=exclude)

    def command(self, *arguments: object) -> list[str]:
        return self._inside.command(*self.names.command(sys.executable, "-m", "leadapron", *arguments))

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True, timeout=120, env=self.environment
        )


@pytest.fixture
def run(inside: Namespace, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    (port,) = free_ports(1)
    slow = getattr(request, "param", 0)
    with (
        changing_names(inside, tmp_path, ANSWERS) as names,
        inside.serving(port, sys.executable, "-c", SERVER, port, slow, log=tmp_path / "server.log"),
    ):
        yield Run(inside, tmp_path, names, port)


def listed(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    """By name, or address, and resource: the verdict on the list."""
    return {
        (each["endpoint"]["name"] or each["endpoint"]["address"], each["resource"]): each["access"]["list"]
        for each in report["services"]
    }


def test_a_name_is_looked_up_once_and_stays_where_it_was(inside: Namespace, tmp_path: Path, run: Run) -> None:
    counted = watch(inside, tmp_path, WATCHED)
    folder, store = f"http://folder.example:{run.port}/images/", f"s3://scans@http://store.example:{run.port}"
    granted = f'urls = ["{folder}"]\nbuckets = ["{store}"]'
    scope = run.scope("a.example", "aaaa.example", "later.example", "cname.example", granted=granted)

    audited = run("audit", scope, "--json")

    assert audited.returncode in (0, 1), audited.stderr
    after = counted()
    assert after["elsewhere"] == 0
    assert min(after["granted"], after["names"]) > 0
    asked = Counter((name, kind) for name, kind, _ in run.names.asked)
    assert asked == {(name, kind): 1 for name in scope_names(scope) for kind in ("A", "AAAA")}
    report = json.loads(audited.stdout)
    assert set(listed(report).values()) == {"proven"}
    assert {each["endpoint"]["address"] for each in report["services"]} == {GRANTED, GRANTED6}
    assert {each["resource"] for each in report["services"]} == {"/", folder, "s3://scans"}
    assert ELSEWHERE not in audit_logs(tmp_path) + audited.stdout
    assert ELSEWHERE6 not in audit_logs(tmp_path) + audited.stdout


def scope_names(scope: Path) -> list[str]:
    from leadapron.scope.grant import load_scope

    return sorted(load_scope(scope).names)


def audit_logs(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.rglob("audit.jsonl"))


def test_a_finding_of_a_name_that_has_moved_away_is_not_verified_there(
    inside: Namespace, tmp_path: Path, run: Run
) -> None:
    """The look-up of the new run leads elsewhere: what the finding is about is not granted any more."""
    scope = run.scope("a.example", "cname.example")
    report = json.loads(run("audit", scope, "--json").stdout)
    (key,) = {each["key"] for each in report["findings"] if each["control"] == "LA-03"}
    counted = watch(inside, tmp_path, WATCHED)

    verified = run("verify", key, scope)

    assert verified.returncode == 2
    assert f"{GRANTED}:{run.port} may not be asked" in verified.stderr
    after = counted()
    assert (after["granted"], after["elsewhere"]) == (0, 0)
    assert after["names"] > 0, "it was looked up"


@pytest.mark.parametrize("run", [0.4], indirect=True)
def test_a_run_that_goes_on_looks_nothing_up(inside: Namespace, tmp_path: Path, run: Run) -> None:
    scope = run.scope("a.example", "aaaa.example", "cname.example")
    counted = watch(inside, tmp_path, WATCHED)
    with subprocess.Popen(run.command("audit", scope), env=run.environment, stderr=subprocess.DEVNULL) as first:
        deadline = time.monotonic() + 30
        while '"dial"' not in audit_logs(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=30) == 3
    before = counted()

    resumed = run("audit", "--resume", scope, "--json")

    assert resumed.returncode in (0, 1), resumed.stderr
    after = counted()
    assert after["elsewhere"] == 0
    assert after["granted"] > before["granted"] > 0
    assert after["names"] == before["names"]
    assert set(listed(json.loads(resumed.stdout)).values()) == {"proven"}


def test_a_name_of_what_is_excluded_sends_nothing_there_and_is_told(
    inside: Namespace, tmp_path: Path, run: Run
) -> None:
    counted = watch(inside, tmp_path, WATCHED)
    scope = run.scope("a.example", "shut.example", "half.example", exclude=(ELSEWHERE, f"{ELSEWHERE6}"))

    audited = run("audit", scope, "--json")

    assert audited.returncode in (0, 1), audited.stderr
    after = counted()
    assert after["elsewhere"] == 0
    assert after["granted"] > 0
    report = json.loads(audited.stdout)
    told = [(each["endpoint"], each["stage"], each["reason"]) for each in report["unknowns"]]
    assert told == [("shut.example", "connect", "out_of_scope")]
    assert set(listed(report).values()) == {"proven"}
    checked = run("scope", "check", scope, "--resolve")
    assert "shut.example leads to excluded addresses only" in checked.stdout
    assert counted()["elsewhere"] == 0


def test_the_counters_see_who_does_go_there(inside: Namespace, tmp_path: Path, run: Run) -> None:
    """So that the tests above can fail: a client that looks a name up twice is led away."""
    counted = watch(inside, tmp_path, WATCHED)
    twice = f"""
import contextlib, socket, urllib.request
for name in ("a.example", "cname.example", "aaaa.example"):
    socket.getaddrinfo(name, 80)
    urllib.request.urlopen("http://" + name + ":{run.port}/", timeout=5).read()
"""
    done = inside.run(*run.names.command(sys.executable, "-c", twice))
    assert done.returncode == 0, done.stderr
    assert counted()["elsewhere"] > 0
