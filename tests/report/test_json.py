from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema
import pytest
from report_estate import RUN, decision, exposed, findings_of

from leadapron.model import (
    Census,
    Delta,
    DispositionKind,
    Genuineness,
    Reason,
    RunStatus,
    SeedFile,
    Severity,
    Stage,
    SweepFigures,
    VantageKind,
    Verdict,
)
from leadapron.report.json import SCHEMA, render_json, schema
from leadapron.report.tlp import DEFAULT_TLP, TLP
from leadapron.report.view import View, build_view

VALIDATOR = jsonschema.Draft202012Validator(schema())


def read(view: View) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_json(view))
    VALIDATOR.validate(document)
    return document


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_leaves_no_object_open() -> None:
    def closed(node: object) -> bool:
        if isinstance(node, list):
            return all(map(closed, node))
        if not isinstance(node, dict):
            return True
        fixed = node.get("additionalProperties") is False and node["required"] == list(node["properties"])
        mapping = isinstance(node.get("additionalProperties"), dict)
        return (node.get("type") != "object" or fixed or mapping) and all(map(closed, node.values()))

    assert closed(schema())


@pytest.mark.parametrize(
    ("path", "members"),
    [
        (("verdict",), Verdict),
        (("finding", "properties", "severity"), Severity),
        (("unknown", "properties", "stage"), Stage),
        (("unknown", "properties", "reason"), Reason),
        (("run", "properties", "vantage", "properties", "kind"), VantageKind),
        (("run", "properties", "tlp"), TLP),
        (("disposition", "properties", "kind"), DispositionKind),
    ],
)
def test_the_schema_has_the_closed_sets_of_the_model(path: tuple[str, ...], members: Iterable[str]) -> None:
    node = schema()["$defs"]
    for step in path:
        node = node[step]
    assert node["enum"] == [str(member) for member in members]


def test_the_report_has_the_shape_of_the_schema(view: View) -> None:
    document = read(view)
    assert document["schema"] == SCHEMA == "leadapron/report/1"
    assert document["run"]["status"] == "complete"
    assert document["run"]["started_at"] == "2026-11-23T17:52:00Z"
    assert document["totals"]["exposed_services"] == 4
    assert document["totals"]["images"] == {
        "value": 482_142,
        "low": 475_142,
        "high": None,
        "kind": "bound",
        "source": "sampled",
    }
    assert document["totals"]["unique_images"] is None
    assert document["run"]["data"]["country"] == "Test-Country, 2026-11-20"
    first = document["services"][0]
    assert first["endpoint"] == {"address": "198.18.0.12", "port": 4242, "name": "pacs.hospital.example"}
    assert first["counts"]["studies"]["value"] == 3890
    assert first["owner"] == {
        "grant": "own-estate-2026",
        "party": "",
        "country": "DE",
        "city": "Mainz",
        "as_number": 64500,
        "as_name": "Example Net",
    }
    assert first["counts"]["worklist"] is None
    assert first["access"]["list"] == "proven"
    assert document["findings"][0]["control"] == "LA-11"
    assert document["unknowns"][0] == {
        "endpoint": "198.18.0.64/28 port 104",
        "stage": "connect",
        "reason": "timeout",
        "count": 16,
    }


def test_every_optional_part_fits_the_schema(viewed: Callable[..., View]) -> None:
    full = exposed(
        "198.18.0.1",
        tls={"version": "1.3", "client_certificate": False, "days_left": 12},
        census=Census(sampled=25, present={"PatientName": 25, "PatientBirthDate": 3}),
        genuineness=Genuineness(verdict="patients", score=0.9, signals=("names",)),
    )
    service = read(viewed([full]))["services"][0]
    assert list(service["census"]["present"]) == ["PatientBirthDate", "PatientName"]
    assert service["tls"]["version"] == "1.3"


@pytest.mark.parametrize("kind", DispositionKind)
def test_a_finding_has_what_was_decided_about_it_or_null(kind: DispositionKind) -> None:
    observations = [exposed("198.18.0.1")]
    findings = findings_of(observations)
    key = findings[-1].key
    view = build_view(RUN, observations, findings, [], {key: decision(key, kind, is_expired=True)})

    assert {finding["key"]: finding["disposition"] for finding in read(view)["findings"]} == {
        **dict.fromkeys((finding.key for finding in findings), None),
        key: {"kind": kind.value, "until": "2026-12-30", "expired": True, "owner": "CISO", "why": "CISO"},
    }


@pytest.mark.parametrize("status", list(RunStatus))
def test_each_status_fits_the_schema(viewed: Callable[..., View], status: RunStatus) -> None:
    document = read(viewed([], status=status, finished_at=None))
    assert document["run"]["status"] == ("incomplete" if status is RunStatus.RUNNING else status.value)
    assert document["run"]["finished_at"] is None


@pytest.mark.parametrize("marking", TLP)
def test_the_marking_stands_with_the_run(view: View, marking: str) -> None:
    document = json.loads(render_json(view, marking.removeprefix("TLP:").lower()))
    VALIDATOR.validate(document)
    assert document["run"]["tlp"] == marking
    assert read(view)["run"]["tlp"] == DEFAULT_TLP


def test_the_same_view_gives_the_same_bytes(viewed: Callable[..., View]) -> None:
    assert render_json(viewed()) == render_json(viewed())


def test_the_order_of_facts_makes_no_difference(viewed: Callable[..., View]) -> None:
    one = exposed("198.18.0.1")
    other = dataclasses.replace(one, facts=dict(reversed(one.facts.items())))
    assert render_json(viewed([one])) == render_json(viewed([other]))


def test_a_run_that_swept_by_itself_and_one_that_stopped_have_the_shape_of_the_schema(view: View) -> None:
    figures = SweepFigures(method="syn", sent=4096, sent_bytes=245_760, not_sent={"denied": 3}, cpu=0.25, untold=1)
    run = dataclasses.replace(view.run, sweep=figures, status=RunStatus.STOPPED, why="stopped by SIGINT")
    read_run = read(dataclasses.replace(view, run=run))["run"]
    assert (read_run["status"], read_run["why"]) == ("stopped", "stopped by SIGINT")
    assert (read_run["sweep"]["sent"], read_run["sweep"]["untold"]) == (4096, 1)


def test_a_run_of_a_part_of_its_scope_says_which(view: View) -> None:
    file = SeedFile(kind="shodan", sha256="0" * 64, pairs=3, skipped={"no_port": 2})
    run = dataclasses.replace(
        view.run, seeds=(file,), delta=Delta(since="r", part=1, parts=7), cpu={"identify": 0.1234}
    )
    found = read(dataclasses.replace(view, run=run))["run"]
    assert found["seeds"] == [{"kind": "shodan", "sha256": "0" * 64, "pairs": 3, "skipped": {"no_port": 2}}]
    assert found["delta"] == {"since": "r", "part": 1, "parts": 7}
    assert found["cpu_seconds"] == {"identify": 0.123}


def test_it_is_ascii_and_ends_with_one_line_feed(viewed: Callable[..., View]) -> None:
    text = render_json(viewed([exposed("198.18.0.1", resource="\x1b[31m\u202eÅ")]))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert text.endswith("}\n")
