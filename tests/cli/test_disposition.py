"""`leadapron accept`, `false-positive` and `planned` as a script meets them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import leadapron

from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from listening import listening
from scope_file import write_scope

UNTIL = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=40)).isoformat()
TEXTS = ("--owner", "CISO, Example Hospital", "--why", "=replaced <b>soon</b>")
KINDS = ("accept", "false-positive", "planned")


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Path]:
    """A scope with one open archive of 23 studies in it, audited once."""
    with listening(Server(Behaviour(archives={"": made_up(1, 23)})).serve) as (endpoint,):
        path = write_scope(tmp_path / "scope.toml", networks=[f"{endpoint.address}/32"], ports=[endpoint.port])
        assert leadapron(tmp_path, "audit", path, "--quiet").returncode == 1
        yield path


def keys(folder: Path) -> dict[str, str]:
    """By severity of the findings: their keys."""
    rows = csv.DictReader(io.StringIO(leadapron(folder, "report", "-f", "csv", "--rows", "findings").stdout))
    return {row["key"]: row["severity"] for row in rows}


def test_what_is_accepted_fails_no_audit_and_is_shown_everywhere(scope: Path, tmp_path: Path) -> None:
    severe = [key for key, severity in keys(tmp_path).items() if severity in ("high", "critical")]
    for key in severe:
        done = leadapron(tmp_path, "accept", key, "--until", UNTIL, *TEXTS)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
        assert key in done.stdout

    again = leadapron(tmp_path, "audit", scope, "--json", "--quiet")

    findings = {finding["key"]: finding for finding in json.loads(again.stdout)["findings"]}
    assert again.returncode == 0
    assert findings.keys() >= set(severe)
    decided = {"kind": "accepted", "until": UNTIL, "expired": False, "owner": TEXTS[1], "why": TEXTS[3]}
    assert {key: findings[key]["disposition"] for key in severe} == dict.fromkeys(severe, decided)
    page, text = leadapron(tmp_path, "report").stdout, leadapron(tmp_path, "show").stdout
    assert "=replaced &lt;b&gt;soon&lt;/b&gt;" in page
    assert all(key in page and key in text for key in severe)

    assert leadapron(tmp_path, "accept", severe[0], "--withdraw").returncode == 0
    assert leadapron(tmp_path, "audit", scope, "--quiet").returncode == 1


def test_an_expired_one_counts_again(scope: Path, tmp_path: Path) -> None:
    import sqlite3

    for key in keys(tmp_path):
        assert leadapron(tmp_path, "planned", key, "--until", UNTIL, *TEXTS).returncode == 0
    assert leadapron(tmp_path, "audit", scope, "--quiet", "--fail-on", "info").returncode == 0
    with sqlite3.connect(tmp_path / "data" / "leadapron.db") as connection:
        connection.execute("UPDATE dispositions SET data = json_set(data, '$.until', '2026-01-31')")
    connection.close()

    ended = leadapron(tmp_path, "audit", scope, "--quiet", "--fail-on", "info")

    assert ended.returncode == 1
    assert "remedy planned until 31 January 2026: expired" in ended.stdout


def test_of_a_finding_that_moved_the_one_at_the_new_place_is_named(tmp_path: Path) -> None:
    server, places = Server(Behaviour(archives={"": made_up(1, 23)})), [("127.88.4.1", 0), ("127.88.4.2", 0)]
    with listening(server.serve, places=places[:1]) as (first,):
        scope = write_scope(tmp_path / "scope.toml", networks=["127.88.4.0/30"], ports=[first.port])
        assert leadapron(tmp_path, "audit", scope, "--quiet").returncode == 1
    earlier = set(keys(tmp_path))
    with listening(server.serve, places=[("127.88.4.2", first.port)]):
        assert leadapron(tmp_path, "audit", scope, "--quiet").returncode == 1
        (key, *_), there = sorted(earlier), set(keys(tmp_path)) - earlier

        decided = leadapron(tmp_path, "accept", key, "--until", UNTIL, *TEXTS)
        verified = leadapron(tmp_path, "verify", key, scope)

    for done in (decided, verified):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.strip().rpartition(" ")[2] in there


@pytest.mark.parametrize("command", KINDS)
def test_json_says_what_is_recorded(scope: Path, tmp_path: Path, command: str) -> None:
    key = next(iter(keys(tmp_path)))

    done = json.loads(leadapron(tmp_path, command, key, "--until", UNTIL, *TEXTS, "--json").stdout)
    taken_back = json.loads(leadapron(tmp_path, command, key, "--withdraw", "--json").stdout)

    kind = "accepted" if command == "accept" else command
    assert done["key"] == taken_back["key"] == key
    assert done["disposition"] == {
        "kind": kind,
        "until": UNTIL,
        "expired": False,
        "owner": TEXTS[1],
        "why": TEXTS[3],
    }
    assert taken_back["disposition"] is None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has findings."""
    folder = tmp_path_factory.mktemp("store")
    with listening(Server(Behaviour(archives={"": made_up(1, 3)})).serve) as (endpoint,):
        path = write_scope(folder / "scope.toml", networks=[f"{endpoint.address}/32"], ports=[endpoint.port])
        assert leadapron(folder, "audit", path, "--quiet", "--fail-on", "critical").returncode in (0, 1)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("accept", "KEY", *TEXTS), "--until is missing"),
        (("planned", "KEY", *TEXTS), "--until is missing"),
        (("accept", "KEY", "--until", "soon", *TEXTS), "'soon' is no date"),
        (("accept", "KEY", "--until", "2026-02-30", *TEXTS), "'2026-02-30' is no date"),
        (("accept", "KEY", "--until", "2026-01-31", *TEXTS), "--until 2026-01-31 has passed"),
        (("false-positive", "KEY", "--why", "x"), "--owner is missing"),
        (("false-positive", "KEY", "--owner", " ", "--why", "x"), "--owner is missing"),
        (("false-positive", "KEY", "--owner", "x"), "--why is missing"),
        (("false-positive", "KEY", "--owner", "x" * 201, "--why", "x"), "longer than 200 characters"),
        (("false-positive", "KEY", "--owner", "x", "--why", "a\nb"), "do not print"),
        (("false-positive", "KEY", "--owner", "x", "--why", "\x1b[2J"), "do not print"),
        (("false-positive", "KEY", "--owner", "x", "--why", b"\xff"), "do not print"),
        (("accept", "KEY", "--withdraw", "--why", "x"), "--why says nothing about what is withdrawn"),
        (("accept", "KEY", "--withdraw"), "nothing is decided"),
        (("false-positive", "LA-11", *TEXTS), "'LA-11' is no key"),
        (("false-positive", "f" * 16, *TEXTS), "no finding 'ffffffffffffffff' in this store"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_recorded(
    store: Path, arguments: tuple[str | bytes, ...], said: str
) -> None:
    key = next(iter(keys(store)))
    texts = [part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part for part in arguments]

    done = leadapron(store, *(key if part == "KEY" else part for part in texts))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr
    findings = json.loads(leadapron(store, "show", "--json").stdout)["findings"]
    assert not any(finding["disposition"] for finding in findings)


def test_what_is_recorded_as_another_kind_is_withdrawn_as_that(store: Path) -> None:
    key = next(iter(keys(store)))
    assert leadapron(store, "planned", key, "--until", UNTIL, *TEXTS).returncode == 0

    done = leadapron(store, "accept", key, "--withdraw")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is recorded as planned; withdraw that" in done.stderr
    assert leadapron(store, "planned", key, "--withdraw").returncode == 0
