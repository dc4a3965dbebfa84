"""What changed between two real audits, as their users ask for it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from command_line import leadapron, store_run
from two_audits import Audited, audited

from leadapron.report.changes_formats import changes_schema

__all__ = ["audited"]

VALIDATOR = jsonschema.Draft202012Validator(changes_schema())


def test_what_opened_and_what_closed_since_the_audit_before(audited: Audited, tmp_path: Path) -> None:
    done = leadapron(tmp_path, "changes", "--json", "--store", audited.url)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    VALIDATOR.validate(document)
    assert (document["run"]["id"], document["since"]["id"]) == audited.runs[::-1]
    totals = {name: total["findings"] for name, total in document["totals"].items()}
    assert (
        totals["opened"]
        == totals["standing"]
        == len([each for each in document["findings"] if each["change"] == "opened"])
    )
    assert totals["opened"] > 3
    assert totals["closed"] >= 1
    by_place = {(each["address"], each["change"]) for each in document["findings"]}
    assert by_place == {
        ("127.88.3.3", "opened"),
        ("127.88.3.2", "closed"),
        ("127.88.3.2", "not_observed"),
    }
    assert {each["control"] for each in document["findings"] if each["change"] == "closed"} == {"LA-01", "LA-19"}
    assert document["groups"] == [{"group": "DE", **totals}]
    assert document["run"]["exposed_servers"] == 2


def test_the_lines_and_what_divides_them(audited: Audited, tmp_path: Path) -> None:
    first, second = audited.runs
    done = leadapron(
        tmp_path, "changes", second, "--since", first, "--by", "party", "--tlp", "green", "--store", audited.url
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "TLP:GREEN"
    assert lines[1].startswith(f"Scope test from the internet: run {second} (")
    assert any(line.startswith("Example & Sons ") for line in lines)
    assert sum(line.startswith("closed: ") for line in lines) == 2
    assert all("127.88.3.2:" in line for line in lines if line.startswith(("closed: ", "not observed: ")))


def test_what_cannot_be_compared_is_one_line(audited: Audited, tmp_path: Path) -> None:
    first, second = audited.runs
    for options, says in (
        ((first,), "no complete audit of scope test before run"),
        ((first, "--since", second), "did not begin before"),
        ((second, "--since", second), "did not begin before"),
        ((second, "--since", "lost"), "no run 'lost'"),
        ((second, "--tlp", "pink"), "no marking"),
    ):
        done = leadapron(tmp_path, "changes", *options, "--store", audited.url)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert says in done.stderr


def test_two_runs_without_findings_have_not_changed(tmp_path: Path) -> None:
    store_run(tmp_path, 1, days_old=7)
    store_run(tmp_path, 2)
    document = json.loads(leadapron(tmp_path, "changes", "--json").stdout)
    VALIDATOR.validate(document)
    assert (document["run"]["id"], document["since"]["id"], document["findings"]) == ("run-2", "run-1", [])
