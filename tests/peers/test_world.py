"""The world of "Full Body Exposure" at 1:100, played in a pair of namespaces, audited, and held against its truth."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from net_pairs import must, pair
from real_servers import Namespace, require

from leadapron.lab.world.generate import world
from leadapron.lab.world.rules import swept
from leadapron.lab.world.truth import truth

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("world")]

SEED, SCALE, AROUND = 2020, 100, 25
OPTIONS = ("--seed", SEED, "--scale", SCALE)

AUDIT = """
import sys
from pathlib import Path
from leadapron.pipeline_control import Options
from leadapron.pipeline_run import audit_scope

class Silent:
    def begin(self, phase, total, done): pass
    def more(self, phase, amount): pass
    def advance(self, phase, amount, **figures): pass
    def end(self, phase): pass

options = Options(sweep_timeout=1.0, hello_timeout=3.0, concurrency=16_000)
run, _ = audit_scope(Path("scope.toml"), url="sqlite:///s.db", resume=False, options=options, progress=Silent())
print(run.status.value, run.why, file=sys.stderr)
"""
"""As `leadapron audit`, with a sweep that waits for one second: there is no distance here."""


# -- the world ---------------------------------------------------------------------------------------------------------


def command(*arguments: object) -> list[object]:
    return [sys.executable, "-m", "leadapron.lab", "world", *arguments]


@contextlib.contextmanager
def played(inside: Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Firewall first, then the servers. Yields a dict that has what was asked at the end."""
    (folder / "world.nft").write_text(must(inside, *command("nft", *OPTIONS)))
    must(inside, "nft", "-f", folder / "world.nft")
    pipe = subprocess.PIPE
    with subprocess.Popen(inside.command(*command("serve", *OPTIONS)), stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            asked: dict[str, Any] = {"ready": json.loads(line)}
            yield asked
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
    asked |= json.loads(out)
    assert (process.returncode, err) == (0, "")


@dataclass(frozen=True)
class Audited:
    comparison: dict[str, Any]
    exit_code: int
    report: dict[str, Any]
    seconds: float
    asked: dict[str, Any]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Audit and comparison are processes of their own; the truth comes to the folder when the audit is over."""
    folder = tmp_path_factory.mktemp("world")
    made = world(SEED, SCALE)
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data"), "LEADAPRON_STORE": "sqlite:///s.db"}
    with pair([str(each.network) for each in made.ranges]) as both, played(both.answerer, folder) as asked:
        written = both.sweeper.run(
            *command(
                "scope", *OPTIONS, "--around", AROUND, "--depth", "census", "--rate", 20_000, "--out", "scope.toml"
            ),
            cwd=folder,
        )
        assert written.returncode == 0, written.stderr
        began = time.monotonic()
        audit = both.sweeper.run(sys.executable, "-c", AUDIT, cwd=folder, env=environment)
        seconds = time.monotonic() - began
        assert audit.returncode == 0, audit.stderr
        assert audit.stderr.splitlines()[-1].strip() == "complete"
    (folder / "truth.json").write_text(json.dumps(truth(made)))
    outputs = [
        subprocess.run(
            [sys.executable, "-m", "leadapron", *words, "--json"],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=60,
        )
        for words in (("survey", "compare", "truth.json"), ("show",))
    ]
    compared, shown = outputs
    assert compared.stderr == shown.stderr == ""
    return Audited(json.loads(compared.stdout), compared.returncode, json.loads(shown.stdout), seconds, asked)


def test_every_exposed_server_is_found_and_nothing_else_is_claimed(audited: Audited) -> None:
    found = audited.comparison
    assert found["found"] == found["exposed"] == 31
    for wrong in ("missed", "false_alarms", "genuineness", "countries_wrong", "counts_wrong"):
        assert found[wrong] == [], wrong


def test_each_total_holds_the_truth_and_images_are_within_two_percent(audited: Audited) -> None:
    """Within one at 1:1, where those that die or tell no numbers weigh less: here one of 21 servers tells none, and the
    sample of it, which another key draws in each run, may be worth a bound only."""
    totals = audited.comparison["totals"]
    assert all(total["holds_the_truth"] for total in totals.values())
    assert abs(totals["images"]["error"]) < 0.02
    assert abs(totals["unique_images"]["error"]) < 0.02
    assert totals["genuine_images"]["truth"] > totals["unique_genuine_images"]["truth"] == 450_000


def test_those_that_died_are_what_is_missing_of_patients(audited: Audited) -> None:
    """Nobody could judge whose records they show, so that their images are left out; and the studies without a date of
    those that cap."""
    totals = audited.comparison["totals"]
    assert audited.comparison["not_judged"] == 2
    assert -0.03 < totals["genuine_images"]["error"] < 0
    assert audited.exit_code == (0 if audited.comparison["found_the_truth"] else 1)


def test_boxes_are_middleboxes(audited: Audited) -> None:
    made = world(SEED, SCALE)
    boxes = {each["endpoint"] for each in audited.report["unknowns"] if each["reason"] == "middlebox"}
    assert boxes == {
        f"{box.network[0]}-{box.network[-1]} port {port}" for box in made.boxes for port in (104, 2761, 4242, 11112)
    }


def test_the_sweep_asked_all_of_its_part_and_reached_what_stands_there(audited: Audited) -> None:
    made = world(SEED, SCALE)
    targets = 4 * sum(part.num_addresses for part in swept(made, AROUND))
    standing = len(made.servers) + 4 * sum(box.network.num_addresses for box in made.boxes)
    resetting = sum(server.kind.name == "RESETS" for server in made.servers)
    totals = audited.report["totals"]
    assert totals["endpoints_tried"] == targets
    assert standing - resetting <= totals["endpoints_reached"] <= standing, "a reset may come before the sweep looks"
    assert audited.asked["asked"]["connections to nobody"] == 0


def test_it_is_quick_enough_to_be_a_test(audited: Audited) -> None:
    assert audited.seconds < 100


# -- where it is not played --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ([("link", "add", "outside", "type", "bridge")], "here is outside"),
        (
            [
                ("link", "set", "lo", "up"),
                ("link", "add", "one", "type", "veth", "peer", "name", "two"),
                ("address", "add", "10.9.9.1/30", "dev", "one"),
                ("link", "set", "one", "up"),
                ("link", "set", "two", "up"),
                ("route", "add", "default", "via", "10.9.9.2"),
            ],
            "here is a route to default",
        ),
    ],
)
def test_a_namespace_with_a_way_out_is_refused(links: list[tuple[str, ...]], says: str) -> None:
    require("ip")
    inside = Namespace(f"law{os.getpid()}y{time.monotonic_ns() % 10**6}")
    subprocess.run(["ip", "netns", "add", inside.name], check=True)
    try:
        for link in links:
            must(inside, "ip", *link)
        for name in ("serve", "nft"):
            refused = inside.run(*command(name, *OPTIONS))
            assert (refused.returncode, refused.stdout) == (2, "")
            assert refused.stderr == f"the world is played in a network namespace without a way out only: {says}\n"
    finally:
        subprocess.run(["ip", "netns", "delete", inside.name], check=True)
