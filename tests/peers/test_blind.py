"""Our own firewall against a run: however it shuts the way out, and whenever, the run is blind and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_servers import Namespace, namespace, require

from leadapron.store.store import Store
from scope_file import write_scope

pytestmark = pytest.mark.peer

PORTS, LISTENER = [104, 11112], 443
SHUT = "table inet shut {\n chain out {\n type filter hook output priority 0\n ip daddr 198.18.0.0/15 %s\n }\n}\n"
SYN = "tcp flags & (syn | ack) == syn"
RULES = {
    "dropped": SHUT % f"{SYN} counter drop",
    "rejected": SHUT % f"{SYN} counter reject with tcp reset",
    "unreachable": SHUT % f"{SYN} counter reject with icmpx type admin-prohibited",
    "one port dropped": SHUT % f"tcp dport {PORTS[0]} {SYN} counter drop",
}


@pytest.fixture
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "nft")
    with namespace() as made:
        yield made


@pytest.fixture
def listener(inside: Namespace, tmp_path: Path) -> Iterator[None]:
    """Beyond the firewall, as far as a namespace without a way out has a beyond."""
    (tmp_path / "token").write_text("a token of a test\n")
    ports = [argument for port in (LISTENER, *PORTS) for argument in ("--port", port)]
    command = (sys.executable, "-m", "leadapron", "listen", "--address", "198.18.9.9", *ports)
    with inside.serving(LISTENER, *command, "--token-file", tmp_path / "token", log=tmp_path / "listener.log"):
        yield


def write(folder: Path, *keys: str) -> Path:
    """512 targets, all closed, 100 a second, which is also a part of the sweep."""
    path = write_scope(folder / "scope.toml", networks=["198.18.0.0/24"], ports=PORTS)
    text = (
        path.read_text().replace("5000", "100").replace('name = "test"\n', "\n".join(('name = "test"', *keys, "")), 1)
    )
    path.write_text(text)
    return path


def listened_to(folder: Path, *keys: str) -> Path:
    return write(folder, f'listener = "198.18.9.9:{LISTENER}"', 'token_file = "token"', *keys)


def shut(inside: Namespace, folder: Path, how: str) -> None:
    (folder / "shut.nft").write_text(RULES[how])
    loaded = inside.run("nft", "-f", folder / "shut.nft")
    assert loaded.returncode == 0, loaded.stderr


def audit(inside: Namespace, folder: Path, scope: Path, midway: str = "") -> tuple[int, dict[str, object]]:
    """Exit code, and the run as reported. `midway` is how the way out is shut about halfway through the sweep."""
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": f"sqlite:///{folder}/s.db"}
    command = inside.command(sys.executable, "-m", "leadapron", "audit", scope, "--json", "--quiet")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            if midway:
                wait_for_sweep(folder, 220)
                shut(inside, folder, midway)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert out, err
    report = json.loads(out)
    with Store.open(f"sqlite:///{folder}/s.db", create=False) as store:
        (run,) = store.runs()
    told = {"unknowns": report["unknowns"], "tried": report["totals"]["endpoints_tried"], "why": run.why}
    return process.returncode, {**report["run"], **told}


def wait_for_sweep(folder: Path, targets: int) -> None:
    """Until the outcome of so many targets is stored."""
    deadline = time.monotonic() + 30
    while not list(folder.glob("data/runs/*/audit.jsonl")):
        assert time.monotonic() < deadline, "no run"
        time.sleep(0.05)
    with Store.open(f"sqlite:///{folder}/s.db", create=False) as store:
        while sum(sum(store.outcomes(run.id).values()) for run in store.runs()) < targets:
            assert time.monotonic() < deadline, "no sweep"
            time.sleep(0.05)


@pytest.mark.usefixtures("listener")
def test_with_the_way_open_a_run_is_complete(inside: Namespace, tmp_path: Path) -> None:
    code, run = audit(inside, tmp_path, listened_to(tmp_path, f"listener_ports = {PORTS}"))

    assert (code, run["status"], run["why"], run["tried"], run["unknowns"]) == (0, "complete", "", 512, [])
    (log,) = tmp_path.glob("data/runs/*/audit.jsonl")
    looks = [entry["facts"] for entry in map(json.loads, log.read_text().splitlines()) if entry["event"] == "way_out"]
    assert looks == [{"ports": {"443": "proven", "104": "proven", "11112": "proven"}}] * 2


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("how", RULES)
def test_a_way_that_is_shut_from_the_start_is_noticed_before_a_target_is_asked(
    inside: Namespace, tmp_path: Path, how: str
) -> None:
    shut(inside, tmp_path, how)

    code, run = audit(inside, tmp_path, listened_to(tmp_path, f"listener_ports = {PORTS}"))

    ports = "104" if how == "one port dropped" else "443, 104, 11112"
    assert (code, run["status"], run["tried"]) == (3, "blind", 0)
    assert run["why"] == (
        f"our listener could not be reached on port {ports}, so that no target was asked: is our own way out blocked?"
    )
    assert "way out of test" in json.dumps(run["unknowns"])


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("how", ["dropped", "rejected", "unreachable"])
def test_a_way_that_is_shut_midway_is_noticed_at_the_end(inside: Namespace, tmp_path: Path, how: str) -> None:
    code, run = audit(inside, tmp_path, listened_to(tmp_path), midway=how)

    assert (code, run["status"], run["tried"]) == (3, "blind", 512)
    assert str(run["why"]).startswith("our listener answered at ")
    assert str(run["why"]).endswith(f" on port {LISTENER}")
    assert "way out of test" in json.dumps(run["unknowns"])


@pytest.mark.parametrize("how", ["dropped", "unreachable"])
def test_an_end_without_answers_is_no_accident_also_without_a_listener(
    inside: Namespace, tmp_path: Path, how: str
) -> None:
    code, run = audit(inside, tmp_path, write(tmp_path), midway=how)

    assert (code, run["status"], run["tried"]) == (3, "blind", 512)
    assert "targets answered, and none of the last " in str(run["why"])
    assert "way out of test" in json.dumps(run["unknowns"])


def test_dropped_from_the_start_without_a_listener_is_blind_too(inside: Namespace, tmp_path: Path) -> None:
    shut(inside, tmp_path, "dropped")

    code, run = audit(inside, tmp_path, write(tmp_path))

    assert (code, run["status"]) == (3, "blind")
    assert str(run["why"]).startswith("not one target answered")
