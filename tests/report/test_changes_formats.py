from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest
from report_estate import PARTNER, exposed
from test_changes import CLOSED, MOVED, NEW, NOW, OPEN, THEN, compared, finding

from leadapron.errors import InputError
from leadapron.model import Count, Moved, RunStatus, Summary
from leadapron.report.changes import Change, Changes
from leadapron.report.changes_formats import (
    changes_document,
    changes_lines,
    changes_schema,
    render_changes_json,
)

VALIDATOR = jsonschema.Draft202012Validator(changes_schema())


def made() -> Changes:
    one, two, three = (exposed(f"198.18.0.{last}", owner=PARTNER) for last in (1, 2, 3))
    to = Moved(key="5" * 16, endpoint=three.service.endpoint, because=("key",))
    before = [finding(OPEN, THEN, each) for each in (one, two, three)]
    after = [
        finding(CLOSED, THEN, one),
        finding(MOVED, THEN, two, moved_to=to),
        finding(OPEN, NOW, three),
        finding(NEW, NOW, exposed("198.18.0.4", resource="\x1b[31m")),
    ]
    return compared(before, after, [one, two, three, exposed("198.18.0.4")])


def test_the_json_keeps_to_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(changes_schema())
    document = json.loads(render_changes_json(made(), "green"))
    VALIDATOR.validate(document)
    VALIDATOR.validate(changes_document(compared([], [])))
    assert document["tlp"] == "TLP:GREEN"
    assert {name: total["findings"] for name, total in document["totals"].items() if total["findings"]} == {
        "opened": 1,
        "standing": 1,
        "closed": 1,
        "moved": 1,
    }
    assert document["groups"][1] == dict.fromkeys(Change, 0) | {"group": "IT", "standing": 1, "closed": 1, "moved": 1}
    assert [each["change"] for each in document["findings"]] == ["opened", "closed", "moved"]
    assert document["findings"][2]["moved_to"] == "198.18.0.3:104"
    with pytest.raises(InputError, match="no marking"):
        render_changes_json(made(), "pink")


def test_the_runs_say_what_they_saw() -> None:
    numbers = Summary(servers=9, exposed_servers=4, studies=None, images=Count.exact(7), findings={})
    run = dataclasses.replace(made().run, summary=numbers)
    document = changes_document(dataclasses.replace(made(), run=run))
    VALIDATOR.validate(document)
    said = document["run"]
    assert (said["servers"], said["exposed_servers"], said["images"]["value"]) == (9, 4, 7)  # type: ignore[index]


def test_the_lines_say_the_same() -> None:
    lines = list(changes_lines(made()))
    assert lines[0].startswith("Scope own-estate from the internet: run last (2026-11-23T17:52:00Z) since run first (")
    assert "opened                               1  (1 high)" in lines
    assert "not observed                         0" in lines
    assert [line.split(":")[0] for line in lines[-3:]] == ["opened", "closed", "moved"]
    assert "198.18.0.2:104 dicom ANY-SCP, now at 198.18.0.3:104 [IT] " in lines[-1]
    assert all(line.isprintable() for line in lines)
    (italian,) = (line for line in lines if line.startswith("IT "))
    assert max(map(len, lines[1 : lines.index(italian)])) <= 80
    assert italian.split() == ["IT", "0", "0", "1", "1", "0", "1"]


def test_a_run_that_did_not_come_to_its_end_is_told() -> None:
    stopped = dataclasses.replace(made(), run=dataclasses.replace(made().run, status=RunStatus.STOPPED))
    assert ", stopped)" in next(iter(changes_lines(stopped)))


def test_what_the_two_did_otherwise_is_told() -> None:
    alike = made()
    assert changes_document(alike)["differs"] == []
    assert not any(line.startswith("They differ") for line in changes_lines(alike))
    assert alike.run.method is not None
    for name, value in (
        ("catalogue", {"catalogue": "0f" * 32}),
        ("doors", {"method": dataclasses.replace(alike.run.method, doors=("dicom",))}),
        ("ports", {"ports": (104,)}),
        ("scope", {"scope_sha256": "00" * 32}),
    ):
        other = dataclasses.replace(alike, run=dataclasses.replace(alike.run, **value))  # type: ignore[arg-type]
        document = changes_document(other)
        VALIDATOR.validate(document)
        assert document["differs"] == [name]
        assert f"They differ in {name}: what opened may have been there before." in changes_lines(other)
