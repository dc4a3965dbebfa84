"""`python -m leadapron.lab`: its two lines, its ends, and its bounds."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from leadapron.lab import __main__ as lab
from leadapron.lab import estate

COMMAND = [sys.executable, "-W", "default", "-m", "leadapron.lab"]


@contextlib.contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The estate in a process of its own, and its first line."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *options], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def endpoints(line: dict[str, Any]) -> list[tuple[str, int]]:
    return [(row["address"], row["port"]) for row in line["truth"]]


def is_closed(endpoint: tuple[str, int]) -> bool:
    try:
        socket.create_connection(endpoint, timeout=20).close()
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        pass
    return False


def expect_closed(line: dict[str, Any], within: float = 20.0) -> None:
    """Each listener is gone, or goes within so many seconds."""
    deadline = time.monotonic() + within
    for endpoint in endpoints(line):
        while not is_closed(endpoint):
            assert time.monotonic() < deadline, f"{endpoint} still listens"
            time.sleep(0.05)


def end_input(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None


ENDS = {
    "its stdin closes": end_input,
    "ctrl-c": lambda process: process.send_signal(signal.SIGINT),
    "sigterm": lambda process: process.send_signal(signal.SIGTERM),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_at_once_and_says_what_it_was_asked(end: str) -> None:
    with started("--seed", "7") as (process, line):
        place = endpoints(line)[0]
        with socket.create_connection(place, timeout=20) as peer:
            peer.sendall(b"\x01\x00")
            ENDS[end](process)
            out, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "")
    asked = json.loads(out)
    assert asked[place[0]] == {"connections": 1}
    assert set(asked) == {row["address"] for row in line["truth"]}
    expect_closed(line)


def test_nobody_who_reads_is_no_error() -> None:
    with started() as (process, line):
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        end_input(process)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    expect_closed(line)


def test_it_does_not_outlive_who_started_it() -> None:
    code = (
        "import subprocess, sys, time\n"
        "lab = subprocess.Popen([sys.executable, '-m', 'leadapron.lab'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "sys.stdout.write(lab.stdout.readline().decode()); sys.stdout.flush()\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        line = json.loads(starter.stdout.readline())
        starter.kill()
        starter.wait(20)
    expect_closed(line)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_it_listens_on_loopback_only() -> None:
    with started() as (process, line):
        inodes = set()
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                inodes.add(match[1])
        rows = [row.split() for row in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]]
        local = [row[1] for row in rows if row[9] in inodes and row[3] == "0A"]
        wide = [row.split()[9] for row in Path(f"/proc/{process.pid}/net/tcp6").read_text().splitlines()[1:]]
        end_input(process)

    assert len(local) == len({row["address"] for row in line["truth"]})
    for place in local:
        address = ip_address(int.from_bytes(bytes.fromhex(place.split(":")[0]), sys.byteorder))
        assert address in estate.NETWORK
    assert not inodes.intersection(wide)


def test_the_scope_names_the_port_that_listens_and_one_that_does_not() -> None:
    with started() as (process, line):
        ports = json.loads(re.findall(r"^dicom = (.*)$", line["scope"], re.MULTILINE)[0])
        (address, port), *_ = endpoints(line)
        assert ports[0] == port
        assert ports[1] != port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, ports[1]), timeout=20)
        end_input(process)


@pytest.mark.parametrize("seed", ["-1", "x", "", "1.5", str(estate.MAX_SEED + 1), "9" * 5000, "٣"])
def test_a_seed_out_of_bounds_is_a_wrong_option(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        lab.main([f"--seed={seed}"])
    assert caught.value.code == 2
    assert f"a seed is a number from 0 to {estate.MAX_SEED}" in capsys.readouterr().err


def test_where_nothing_can_listen_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estate, "NETWORK", estate.IPv4Network("198.18.0.0/26"))
    monkeypatch.setattr(lab, "_end_of_input", lambda: None)

    assert lab.main([]) == 2

    assert capsys.readouterr().err == "the demo estate listens on addresses of loopback only\n"
