from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from report_estate import RUN, decision, exposed, findings_of

from leadapron.report.csv import ROWS, render_csv
from leadapron.report.view import View, build_view


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_one_row_per_service(view: View) -> None:
    rows = read(render_csv(view))
    assert len(rows) == len(view.services)
    first = rows[0]
    assert (first["address"], first["port"], first["exposed"]) == ("198.18.0.12", "4242", "true")
    assert (first["studies_low"], first["studies_kind"], first["worklist_low"]) == ("3890", "exact", "")
    assert first["findings"].split()[0] == "LA-11"
    place = tuple(first[column] for column in ("country", "city", "as_number", "as_name"))
    assert place == ("DE", "Mainz", "64500", "Example Net")
    assert sum(int(row["studies_low"] or 0) for row in rows if row["exposed"] == "true") == 4210


def test_one_row_per_finding(view: View) -> None:
    rows = read(render_csv(view, "findings"))
    assert len(rows) == len(view.findings)
    assert rows[0]["control"] == "LA-11"
    assert rows[0]["evidence"].startswith("find_answers=3890; ")
    assert "\n" not in rows[0]["remedy"]


def test_what_was_decided_has_columns_of_its_own() -> None:
    observations = [exposed("198.18.0.1")]
    findings = findings_of(observations)
    first, second = findings[0].key, findings[1].key
    decisions = {first: decision(first, text="=1+1")}

    rows = {
        row["key"]: row for row in read(render_csv(build_view(RUN, observations, findings, [], decisions), "findings"))
    }

    parts = ("kind", "until", "expired", "owner", "why")
    assert [rows[first][f"disposition_{part}"] for part in parts] == [
        "accepted",
        "2026-12-30",
        "false",
        "'=1+1",
        "'=1+1",
    ]
    assert [rows[second][f"disposition_{part}"] for part in parts] == [""] * len(parts)


@pytest.mark.parametrize("kind", list(ROWS))
def test_lines_end_as_rfc_4180_says(view: View, kind: str) -> None:
    text = render_csv(view, kind)
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert render_csv(view, kind) == text


@pytest.mark.parametrize("resource", ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", 'say "hi", twice'])
def test_no_cell_is_a_formula(viewed: Callable[..., View], resource: str) -> None:
    (row,) = read(render_csv(viewed([exposed("198.18.0.1", resource=resource)])))
    assert row["resource"][0] not in "=+-@\t\r"
    assert row["resource"].strip("'\ufffd") == resource.strip("\t")


def test_an_empty_run_has_the_header(viewed: Callable[..., View]) -> None:
    assert read(render_csv(viewed([]))) == []
    assert render_csv(viewed([])).startswith("address,port,")
