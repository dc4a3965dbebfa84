"""Feeds of a real audit, as its users write them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from pathlib import Path

import jsonschema
import pytest
from command_line import leadapron, store_run
from two_audits import Audited, audited

from leadapron.model import RunStatus
from leadapron.report.feeds_index import feeds_schema

__all__ = ["audited"]

VALIDATOR = jsonschema.Draft202012Validator(feeds_schema())


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_a_file_for_each_country(audited: Audited, tmp_path: Path) -> None:
    out = tmp_path / "feeds" / "2026-W48"
    done = leadapron(tmp_path, "feeds", "--out", out, "--store", audited.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out / 'DE.csv'}: DE, ")
    assert sorted(path.name for path in out.iterdir()) == ["DE.csv", "index.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700

    found = rows(out / "DE.csv")
    assert {(row["address"], row["country"], row["tlp"]) for row in found} == {
        ("127.88.3.1", "DE", "TLP:AMBER+STRICT"),
        ("127.88.3.3", "DE", "TLP:AMBER+STRICT"),
    }
    assert {row["status"] for row in found if row["address"] == "127.88.3.1"} == {"open"}
    assert {row["status"] for row in found if row["address"] == "127.88.3.3"} == {"new"}
    index = json.loads((out / "index.json").read_text())
    VALIDATOR.validate(index)
    (feed,) = index["feeds"]
    assert (feed["group"], feed["findings"], feed["endpoints"]) == ("DE", len(found), 2)
    assert feed["sha256"] == hashlib.sha256((out / "DE.csv").read_bytes()).hexdigest()


def test_for_intelmq_by_party_of_an_earlier_run(audited: Audited, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    options = ("--by", "party", "--format", "intelmq", "--provider", "CERT Example", "--tlp", "clear", "--json")
    done = leadapron(tmp_path, "feeds", audited.runs[0], "--out", out, "--store", audited.url, *options)
    assert done.returncode == 0, done.stderr
    index = json.loads(done.stdout)
    assert done.stdout == (out / "index.json").read_text()
    assert (index["run"]["id"], index["by"], index["feeds"][0]["group"]) == (audited.runs[0], "party", "Example & Sons")
    events = [json.loads(line) for line in (out / index["feeds"][0]["file"]).read_text().splitlines()]
    assert {event["source.ip"] for event in events} == {"127.88.3.1", "127.88.3.2"}
    assert {(event["feed.provider"], event["tlp"]) for event in events} == {("CERT Example", "WHITE")}


def test_only_groups_that_are_named(audited: Audited, tmp_path: Path) -> None:
    here = ("--store", audited.url)
    done = leadapron(tmp_path, "feeds", "--out", tmp_path / "de", "--only", "de", *here)
    assert (done.returncode, (tmp_path / "de" / "DE.csv").exists()) == (0, True)
    done = leadapron(tmp_path, "feeds", "--out", tmp_path / "fr", "--only", "FR", *here)
    assert (done.returncode, done.stderr) == (
        2,
        "--only 'FR': nothing stands there in this run; there is: DE\n",
    )
    assert not (tmp_path / "fr").exists()


def test_last_weeks_files_are_not_handed_over_again(audited: Audited, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "AT.csv").write_text("old")
    done = leadapron(tmp_path, "feeds", "--out", tmp_path / "old", "--store", audited.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not empty; name a new folder" in done.stderr
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["AT.csv"]
    done = leadapron(tmp_path, "feeds", "--out", tmp_path / "old" / "AT.csv", "--store", audited.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "options",
    [
        ("--provider", "x"),
        ("--tlp", "pink"),
        ("--format", "intelmq", "--provider", " "),
        ("--format", "intelmq", "--provider", "x" * 201),
        ("--format", "intelmq", "--provider", "x\ny"),
        ("--by", "planet"),
        ("--format", "xml"),
        ("no-such-run",),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(options: tuple[str, ...], tmp_path: Path) -> None:
    store_run(tmp_path)
    done = leadapron(tmp_path, "feeds", *options, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_without_findings_says_so_and_what_it_did_not_see(tmp_path: Path) -> None:
    store_run(tmp_path, status=RunStatus.STOPPED)
    done = leadapron(tmp_path, "feeds", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert done.stdout == "No finding stands in this run.\n"
    assert done.stderr == "The run is stopped: what it did not see is in no feed.\n"
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    VALIDATOR.validate(index)
    assert (index["feeds"], index["run"]["status"]) == ([], "stopped")
    assert os.listdir(tmp_path / "out") == ["index.json"]  # noqa: PTH208 - names, as a user sees them
