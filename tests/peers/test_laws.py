"""The first two laws, measured from outside: packets by nftables counters, patient values by searching every byte."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from canary_files import PLACES_IN_A_FILE, image
from real_servers import Namespace, free_ports, load_orthanc, namespace, orthanc, require
from tls_servers import Maker
from watched import load, packets

from canaries import OF_OTHERS, Canaries, files_below
from scope_file import write_scope

pytestmark = pytest.mark.peer


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
    ip daddr 198.18.0.4/31 counter comment "shut"
    ip daddr 198.18.0.0/25 counter comment "lower half"
    ip daddr 198.18.0.128/25 counter comment "upper half"
    ip daddr 198.18.0.0/25 tcp flags & (syn | rst) == syn counter comment "lower targets"
    ip daddr 198.18.0.128/25 tcp flags & (syn | rst) == syn counter comment "upper targets"
    ip daddr 198.18.0.1 counter comment "only 198.18.0.1"
    ip daddr 198.18.0.0/15 ip daddr != @permitted counter comment "outside"
    ip daddr @permitted tcp dport != { 104, 11112 } tcp flags & (syn | ack) == syn counter comment "port"
    ip daddr @permitted ip daddr != @excluded tcp dport { 104, 11112 } counter comment "permitted"
  }
}
"""


def watch(inside: Namespace, folder: Path) -> None:
    load(inside, folder, COUNTERS)


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


def window(hours: float) -> str:
    """A window of an hour that begins in this many hours."""
    begin = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    return f"{begin:%H:%M}-{begin + dt.timedelta(hours=1):%H:%M} UTC"


def zone(network: str, hours: float) -> str:
    return f'[[zone]]\nname = "z"\nnetworks = ["{network}"]\nwindow = "{window(hours)}"\n'


def test_no_packet_goes_out_of_the_window(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    extra = zone("198.18.0.4/31", 2)
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/28"], ports=[104, 11112], extra=extra)

    result = leadapron(inside, tmp_path, "audit", scope, "--quiet")

    assert result.returncode == 3, result.stdout + result.stderr
    counted = packets(inside)
    assert counted["permitted"] >= 2 * 13
    assert (inside.run("nft", "list", "table", "inet", "watch").returncode, counted["shut"]) == (0, 0)


def test_no_packet_goes_out_for_a_grant_that_has_expired(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/28"], ports=[104])
    today = dt.datetime.now(dt.UTC).date()
    scope.write_text(scope.read_text().replace(f"{today + dt.timedelta(days=1)}", f"{today - dt.timedelta(days=1)}"))

    result = leadapron(inside, tmp_path, "audit", scope, "--quiet")

    assert result.returncode == 2
    assert "expired" in result.stderr
    assert set(packets(inside).values()) == {0}


SLOW = "connections_per_second = 40"
"""256 targets take six seconds; a law is broken, or the world changed, in the first of them."""


@contextlib.contextmanager
def slow_audit(inside: Namespace, folder: Path, scope: Path, *prefix: object) -> Iterator[subprocess.Popen[str]]:
    """An audit that goes on while the test changes the world; at the end it has ended."""
    scope.write_text(scope.read_text().replace("connections_per_second = 5000", SLOW))
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": f"sqlite:///{folder}/s.db"}
    command = inside.command(sys.executable, *(prefix or ("-m", "leadapron")), "audit", scope, "--json", "--quiet")
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as run:
        try:
            yield run
        finally:
            run.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to pass")


def test_no_packet_goes_to_what_is_excluded_while_the_run_goes_on(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104])

    with slow_audit(inside, tmp_path, scope) as run:
        wait_for(lambda: packets(inside)["upper half"] > 0)
        narrower = tmp_path / "narrower.toml"
        narrower.write_text(scope.read_text().replace("exclude = []", 'exclude = ["198.18.0.128/25"]'))
        narrower.rename(scope)
        wait_for(lambda: "scope_narrowed" in "".join(log.read_text() for log in tmp_path.rglob("audit.jsonl")))
        then = packets(inside)
        out, err = run.communicate(timeout=60)

    now = packets(inside)
    assert run.returncode == 3, err
    assert now["upper half"] == then["upper half"]
    assert now["lower targets"] == 128 > then["lower targets"]
    report = json.loads(out)
    assert report["run"]["status"] == "incomplete"
    left = [(each["stage"], each["reason"], each["count"]) for each in report["unknowns"]]
    assert left == [("connect", "out_of_scope", 128 - now["upper targets"])]


def test_who_asks_to_be_left_alone_is_left_alone_within_seconds_and_when_the_run_goes_on(
    inside: Namespace, tmp_path: Path
) -> None:
    watch(inside, tmp_path)
    (tmp_path / "page.txt").write_text("What this is.")
    (tmp_path / "exclusions.txt").touch()
    survey = '[survey]\nopt_out = "no@cert.example"\npage = "page.txt"\nexclusions = "exclusions.txt"\n'
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104], extra=survey)

    with slow_audit(inside, tmp_path, scope) as run:
        wait_for(lambda: packets(inside)["upper half"] > 0)
        asked = ("198.18.0.128/25", "--because", "asked by mail")
        assert leadapron(inside, tmp_path, "survey", "exclude", scope, *asked).returncode == 0
        begun = time.monotonic()
        wait_for(lambda: "scope_narrowed" in "".join(log.read_text() for log in tmp_path.rglob("audit.jsonl")))
        assert time.monotonic() - begun < 5
        then = packets(inside)
        assert leadapron(inside, tmp_path, "stop").returncode == 0
        out, err = run.communicate(timeout=60)

    assert run.returncode == 3, err
    assert json.loads(out)["run"]["status"] == "stopped"
    stopped = packets(inside)
    assert stopped["upper half"] == then["upper half"]

    again = leadapron(inside, tmp_path, "audit", scope, "--resume", "--json", "--quiet")

    now, report = packets(inside), json.loads(again.stdout)
    assert report["run"]["id"] == json.loads(out)["run"]["id"]
    assert now["upper half"] == then["upper half"]
    assert now["lower targets"] == 128 > stopped["lower targets"]
    left = [(each["stage"], each["reason"], each["count"]) for each in report["unknowns"]]
    assert left == [("connect", "out_of_scope", 128 - now["upper targets"])]

    fresh = leadapron(inside, tmp_path, "audit", scope, "--json", "--quiet")
    report = json.loads(fresh.stdout)
    assert (report["run"]["status"], report["unknowns"]) == ("complete", [])
    assert packets(inside)["upper half"] == then["upper half"]


SHIFTED = """
import functools, sys, time
from pathlib import Path
import leadapron.pipeline_run as pipeline_run
from leadapron.scope.gate import Gate
marker, seconds = Path(sys.argv[1]), float(sys.argv[2])
pipeline_run.Gate = functools.partial(Gate, clock=lambda: time.time() + seconds * marker.exists())
sys.argv = ["leadapron", *sys.argv[3:]]
from leadapron.cli.main import run
run()
"""


@pytest.mark.parametrize(
    ("hours", "extra"), [(72, ""), (2, zone("198.18.0.0/24", -0.5))], ids=["the grant expires", "the window closes"]
)
def test_no_further_packet_goes_out_when_the_time_is_over(
    inside: Namespace, tmp_path: Path, hours: float, extra: str
) -> None:
    watch(inside, tmp_path)
    scope = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104], extra=extra)
    marker = tmp_path / "later"

    with slow_audit(inside, tmp_path, scope, "-c", SHIFTED, marker, hours * 3600) as run:
        wait_for(lambda: packets(inside)["lower half"] > 0)
        marker.touch()
        then = packets(inside)
        out, err = run.communicate(timeout=60)

    now = packets(inside)
    assert run.returncode == 3, err
    sent, before = (counted["lower targets"] + counted["upper targets"] for counted in (now, then))
    assert sent <= before + 1, "more than may have passed the gate when the time was over"
    report = json.loads(out)
    assert report["run"]["status"] == "incomplete"
    assert [(each["reason"], each["count"]) for each in report["unknowns"]] == [("out_of_scope", 256 - sent)]


LIBRARIES = """
import asyncio, ftplib, http.client, json, logging, socket, sys, time, urllib.error, urllib.request
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
import pynetdicom
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm

shift, reported = [0.0], []
gate = Gate(load_scope(Path(sys.argv[1])), clock=lambda: time.time() + shift[0])
arm(gate, on_denied=lambda host, port, denied: reported.append(denied.value))

def of_urllib(host, port):
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{host}:{port}/", timeout=2)
    except urllib.error.URLError as error:
        raise error.reason

def of_pynetdicom(host, port):
    entity = pynetdicom.AE("LEADAPRON")
    entity.connection_timeout = 2
    entity.add_requested_context("1.2.840.10008.1.1")
    if not entity.associate(host, port).is_established:
        raise OSError

LIBRARIES = {
    "http.client": lambda host, port: http.client.HTTPConnection(host, port, timeout=2).request("GET", "/"),
    "urllib": of_urllib,
    "pynetdicom": of_pynetdicom,
    "ftplib": lambda host, port: ftplib.FTP(timeout=2).connect(host, port),
    "asyncio": lambda host, port: asyncio.run(asyncio.open_connection(host, port)),
    "datagram": lambda host, port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (host, port)),
    "sendmsg": lambda host, port: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, (host, port)),
}

def attempt(host, port=104):
    seen = {}
    for name, dial in LIBRARIES.items():
        reported.clear()
        try:
            dial(host, port)
        except OSError:
            pass
        seen[name] = sorted(set(reported))
    return seen

result = {"permitted": attempt("198.18.0.1"), "excluded": attempt("198.18.0.4"), "no_grant": attempt("198.18.1.1")}
result |= {"port": attempt("198.18.0.1", 105), "window": attempt("198.18.0.12"), "name": attempt("hospital.example")}
scope = gate.scope
(grant,) = scope.grants
late = replace(grant, exclude=(*grant.exclude, IPv4Network("198.18.0.10/32")))
gate.narrow(replace(scope, grants=(late,), sha256="1" * 64))
result["narrowed"] = attempt("198.18.0.10")
shift[0] = 72 * 3600.0
result["expired"] = attempt("198.18.0.2")
print(json.dumps(result))
"""


def test_a_library_that_dials_by_itself_is_held_too(inside: Namespace, tmp_path: Path) -> None:
    watch(inside, tmp_path)
    scope = write_scope(
        tmp_path / "scope.toml",
        networks=["198.18.0.0/28"],
        ports=[104],
        exclude=("198.18.0.4/31",),
        extra=zone("198.18.0.12/30", 2),
    )

    result = inside.run(sys.executable, "-c", LIBRARIES, scope)

    assert result.returncode == 0, result.stderr
    by_reason = json.loads(result.stdout)
    for library in ("datagram", "sendmsg"):  # the C library looks a name up before the hook hears of it
        del by_reason["name"][library]
    for reason, by_library in by_reason.items():
        for library, reported in by_library.items():
            assert reported == ([] if reason == "permitted" else [reason]), (reason, library)
    counted = packets(inside)
    assert counted.pop("permitted") == 5
    assert counted.pop("lower half") == counted.pop("only 198.18.0.1")
    assert counted.pop("lower targets") == 5
    assert set(counted.values()) == {0}


@pytest.mark.parametrize("in_tls", [False, True], ids=["in clear", "inside TLS"])
def test_no_canary_of_a_patient_is_kept_logged_or_shown(in_tls: bool, inside: Namespace, tmp_path: Path) -> None:
    """In forty studies over DICOM; those of the other doors: test_canaries.py."""
    require("Orthanc", "openssl")
    port, http_port = free_ports(2)
    canaries = Canaries(*OF_OTHERS)
    words = {place: canaries.word(place) for place in PLACES_IN_A_FILE}
    own = tmp_path / "own"
    own.mkdir()
    scope = write_scope(
        own / "scope.toml", networks=["127.0.0.1/32"], ports=[port], depth="census", cleartext_census=not in_tls
    )
    settings: dict[str, object] = {}
    if in_tls:
        pair = Maker(folder=tmp_path).make(canaries.word("certificate"))  # names in certificates are no less a canary
        settings = {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(pair.certificate),
            "DicomTlsPrivateKey": str(pair.key),
            "DicomTlsTrustedCertificates": str(pair.certificate),
            "DicomTlsRemoteCertificateRequired": False,
        }

    with orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True, **settings):
        load_orthanc(inside, http_port, [image(study, words) for study in range(40)])
        results = [leadapron(inside, own, "audit", scope, debug=True)]
        results += [
            leadapron(inside, own, "report", "--format", kind, "--output", own / f"report.{kind}", debug=True)
            for kind in ("html", "json", "csv")
        ]
        results.append(leadapron(inside, own, "show", debug=True))

    assert [result.returncode for result in results] == [1, 0, 0, 0, 0], [result.stderr for result in results]
    report = json.loads((own / "report.json").read_text())
    assert report["totals"]["exposed_services"] == 1
    assert (report["services"][0]["tls"] is not None) == in_tls
    assert report["services"][0]["census"]["present"].items() >= {"PatientName": 25, "PatientComments": 25}.items()
    written = {**files_below(own), **{f"output {place}": said(each) for place, each in enumerate(results)}}
    assert len(written) > 8
    assert canaries.leaks(written) == []


def said(result: subprocess.CompletedProcess[str]) -> bytes:
    return (result.stdout + result.stderr).encode()
