from __future__ import annotations

import csv
import io

import pytest
from report_estate import RUN, exposed, findings_of

from leadapron.errors import InputError
from leadapron.report.feeds import feeds
from leadapron.report.feeds_csv import COLUMNS, render_feed_csv
from leadapron.report.owners import By
from leadapron.report.view import View, build_view


def rows(view: View, group: str = "DE", tlp: str = "amber") -> list[dict[str, str]]:
    (feed,) = (each for each in feeds(view, By.COUNTRY).feeds if each.group.name == group)
    text = "".join(render_feed_csv(feed, view.run, tlp))
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_row_has_what_a_provider_needs(view: View) -> None:
    first, *_ = rows(view)
    assert tuple(first) == COLUMNS
    assert {name: first[name] for name in COLUMNS if name not in ("remedy", "key", "title")} == {
        "time": "2026-11-23T17:52:00Z",
        "address": "198.18.0.12",
        "port": "4242",
        "transport": "tcp",
        "protocol": "dicom",
        "name": "pacs.hospital.example",
        "resource": "ANY-SCP",
        "control": "LA-11",
        "severity": "critical",
        "status": "new",
        "exposed": "true",
        "studies_low": "3890",
        "images_low": "412730",
        "genuineness": "",
        "product": "Orthanc",
        "country": "DE",
        "as_number": "64500",
        "as_name": "Example Net",
        "first_seen": "2026-11-23T17:52:00Z",
        "last_seen": "2026-11-23T17:52:00Z",
        "vantage": "internet",
        "run": RUN.id,
        "tlp": "TLP:AMBER",
    }
    assert len(first["key"]) == 16
    assert first["title"]
    assert first["remedy"]


def test_a_row_for_each_finding(view: View) -> None:
    made = {group: rows(view, group) for group in ("DE", "IT")}
    assert sum(map(len, made.values())) == len(view.findings)
    assert {row["country"] for row in made["IT"]} == {"IT"}
    assert {row["key"] for some in made.values() for row in some} == {finding.key for finding in view.findings}


def test_no_cell_is_a_formula() -> None:
    seen = [exposed("198.18.0.1", resource="=HYPERLINK(1)", name="+x")]
    for row in rows(build_view(RUN, seen, findings_of(seen), [])):
        assert row["name"] == "'+x"
        assert row["resource"] in ("'=HYPERLINK(1)", "")


def test_a_marking_that_is_none_is_a_mistake(view: View) -> None:
    with pytest.raises(InputError, match="no marking"):
        rows(view, tlp="pink")
