"""The truth says what enumerating everything gives."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from small_worlds import holding, server, world_of

from leadapron.errors import InputError
from leadapron.lab import archive
from leadapron.lab.archive import read_identifier
from leadapron.lab.world.generate import world
from leadapron.lab.world.model import Kind
from leadapron.lab.world.studies import Whose
from leadapron.lab.world.truth import SCHEMA, read, truth
from leadapron.protocols.dicom import identifiers

COUNT = read_identifier(identifiers.studies(), explicit=False)


def test_totals_and_countries_are_those_of_an_enumeration() -> None:
    made = world(5, 100)
    known = truth(made)
    studies: dict[bytes, int] = {}
    patients: dict[bytes, int] = {}
    raw, by_country = Counter[str](), Counter[str]()
    for each in made.exposed:
        answers = {a[archive.STUDY_UID]: int(a[archive.STUDY_IMAGES] or 0) for a in each.holdings.find(COUNT)}
        if not each.holdings.claims:
            answers = {uid: images_below(each, uid) for uid in answers}
        studies |= answers
        raw.update(studies=len(answers), images=sum(answers.values()))
        by_country[each.country] += sum(answers.values())
        if each.is_genuine:
            patients |= answers
            raw.update(genuine_studies=len(answers), genuine_images=sum(answers.values()))

    totals = known["totals"]
    assert totals["images"] == {
        "raw": raw["images"],
        "unique": sum(studies.values()),
        "genuine_raw": raw["genuine_images"],
        "genuine_unique": sum(patients.values()),
    }
    assert totals["studies"] == {
        "raw": raw["studies"],
        "unique": len(studies),
        "genuine_raw": raw["genuine_studies"],
        "genuine_unique": len(patients),
    }
    assert totals["images"]["genuine_unique"] == 450_000
    assert {code: part["images"] for code, part in known["countries"].items()} == dict(by_country)
    assert sum(part["servers"] for part in known["countries"].values()) == totals["exposed_servers"]


def images_below(of: object, uid: bytes) -> int:
    keys = {archive.LEVEL: b"IMAGE", archive.STUDY_UID: uid, archive.INSTANCE_UID: b""}
    return len(list(of.holdings.find(keys)))  # type: ignore[attr-defined]


def test_a_part_of_a_copy_counts_once_and_what_nobody_lists_not_at_all() -> None:
    made = world_of(
        [
            server("198.18.0.1", holding(10, 100, origin=1), country="DE"),
            server("198.18.0.2", holding(10, 100, origin=1, shown=4), kind=Kind.MIRROR, country="FR"),
            server("198.18.0.3", holding(5, 50, origin=2, whose=Whose.TEST), country="FR"),
            server("198.18.0.4", holding(7, 70, origin=3), kind=Kind.ABORTS, country="IT"),
        ]
    )
    known = truth(made)
    part = made.servers[1].holdings.images
    assert known["totals"]["images"] == {
        "raw": 150 + part,
        "unique": 150,
        "genuine_raw": 100 + part,
        "genuine_unique": 100,
    }
    assert known["countries"] == {
        "DE": {"servers": 1, "images": 100, "genuine_servers": 1, "genuine_images": 100},
        "FR": {"servers": 2, "images": 50 + part, "genuine_servers": 1, "genuine_images": part},
    }
    assert [(row["exposed"], row["genuine"], row["whose"]) for row in known["servers"]] == [
        (True, True, "patients"),
        (True, True, "patients"),
        (True, False, "test"),
        (False, True, "patients"),
    ]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = world_of([server("198.18.0.1", holding(10, 100, origin=1))])
    (tmp_path / "t.json").write_text(json.dumps(truth(made)))
    assert read(tmp_path / "t.json") == truth(made)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "leadapron/report/1"}', "\0"])
def test_what_is_no_truth_is_said_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=f"is no {SCHEMA}"):
        read(tmp_path / "t.json")
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "missing.json")
