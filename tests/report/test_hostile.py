"""Whatever stands in a text field, it does nothing in any format."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import unicodedata
from html.parser import HTMLParser

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_estate import RUN, UNKNOWNS, decision, exposed, findings_of, seen
from rich.console import Console

from leadapron.assess.catalogue import catalogue
from leadapron.assess.remedies import remedies
from leadapron.model import FindingStatus, Genuineness, Moved, Owner, Product, Unknown, Vantage, VantageKind
from leadapron.report.csv import ROWS, render_csv
from leadapron.report.html import render_html
from leadapron.report.json import render_json, schema
from leadapron.report.messages import messages
from leadapron.report.terminal import show
from leadapron.report.view import View, build_view

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=//evil.example/x onerror=alert(1)>',
    "</style><style>body{display:none}",
    "'-alert(1)-'",
    "{{ 7*7 }}{% raw %}",
    "{0.__class__}{t}",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r\nInjected: line",
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",
    "\x9b31m",
    "[red]not red[/red] [link=file:///etc/passwd]x[/link] :warning:",
    "[/]",
    "\u202egnp.exe",
    "\ud800",
    "\x00",
]
TEXTS = st.sampled_from(ATTACKS) | st.text(max_size=40)


def hostile_view(text: str) -> View:
    """`text` in every field that holds one, and as keys of evidence and facts."""
    parts: dict[str, object] = {
        "resource": text,
        "name": text,
        "product": Product(name=text, version=text, confidence=text, toolkit=text),
        "owner": Owner(grant=text, party=text, country=text, city=text, as_number=64500, as_name=text),
        "tls": {text: text},
        "genuineness": Genuineness(verdict=text, score=0.5, signals=(text,)),
    }
    tie = {"product": Product(candidates=(text, text), toolkit=text)}
    observations = [
        exposed("198.18.0.1", **parts),
        exposed("198.18.0.2", **parts | tie),
        seen("198.18.0.3", **parts),
        seen("198.18.0.4", middlebox=True, **parts),
    ]
    observations[0] = dataclasses.replace(
        observations[0], facts={**observations[0].facts, f"context.{text}": True, "called_title_enforced": True}
    )
    findings = [
        dataclasses.replace(finding, title=text, remedy=text, evidence={**finding.evidence, text: text})
        for finding in findings_of(observations)
    ]
    findings.append(dataclasses.replace(findings[0], status=FindingStatus.CLOSED, key="1" * 16))
    there = dataclasses.replace(findings[0].service.endpoint, name=text)
    moved = Moved(key="4" * 16, endpoint=there, because=("name",))
    findings.append(dataclasses.replace(findings[0], control="LA-99", key="0" * 16, moved_from=moved))
    findings.append(dataclasses.replace(findings[0], status=FindingStatus.MOVED, key="2" * 16, moved_to=moved))
    run = dataclasses.replace(
        RUN,
        id=text,
        kind=text,
        scope_id=text,
        scope_sha256=text,
        vantage=Vantage(kind=VantageKind.INTERNET, name=text),
        version=text,
        why=text,
        audit_head=text,
        data={"country": text, text: text},
    )
    unknowns = [*UNKNOWNS, dataclasses.replace(UNKNOWNS[0], endpoint=text)]
    assert all(isinstance(unknown, Unknown) for unknown in unknowns)
    decisions = {finding.key: decision(finding.key, text=text) for finding in findings}
    return build_view(run, observations, findings, unknowns, decisions)


def shape(page: str) -> list[object]:
    """Elements and attribute names of a page: what a browser would act on."""
    found: list[object] = []

    class Shape(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, [name for name, _ in attrs]))

        def handle_endtag(self, tag: str) -> None:
            found.append(tag)

        def handle_comment(self, _data: str) -> None:
            found.append("comment")

    Shape().feed(page)
    return found


def acts(text: str, allowed: str) -> bool:
    return any(unicodedata.category(character)[0] == "C" and character not in allowed for character in text)


OURS = {key.rpartition(".")[2] for key in messages("en").texts} | set(remedies()) | set(catalogue())
"""Names of verdicts, products and controls: with one of them in its place a page does say something else."""
HARMLESS = shape(render_html(hostile_view("harmless")))


@settings(max_examples=30, deadline=None)
@given(text=TEXTS.filter(lambda text: bool(text.splitlines()) and text not in OURS))
def test_hostile_text_does_not_change_the_page(text: str) -> None:
    page = render_html(hostile_view(text))
    # A text of several lines is several steps of a remedy, which is the one list that grows with a text.
    steps = len(text.splitlines()) - 1
    got = shape(page)
    assert got.count("li") - HARMLESS.count("li") == steps
    if not steps:
        assert got == HARMLESS
    assert not acts(page, "\n")
    page.encode("utf-8")


@settings(max_examples=30, deadline=None)
@given(text=TEXTS)
def test_hostile_text_stays_a_string_in_json(text: str) -> None:
    rendered = render_json(hostile_view(text))
    assert rendered.isascii()
    assert not acts(rendered, "\n")
    document = json.loads(rendered)
    assert document["run"]["id"] == text
    jsonschema.Draft202012Validator(schema()).validate(document)


@settings(max_examples=30, deadline=None)
@given(text=TEXTS, rows=st.sampled_from(sorted(ROWS)))
def test_hostile_text_is_no_formula_and_no_row(text: str, rows: str) -> None:
    view = hostile_view(text)
    rendered = render_csv(view, rows)
    assert not acts(rendered, "\r\n")
    cells = list(csv.reader(io.StringIO(rendered, newline=""), strict=True))
    assert len(cells) == 1 + len(view.services if rows == "services" else view.findings)
    assert {len(row) for row in cells} == {len(ROWS[rows][0])}
    assert not [cell for row in cells for cell in row if cell.lstrip(" \ufffd")[:1] in ("=", "+", "-", "@")]


@settings(max_examples=30, deadline=None)
@given(text=TEXTS, terminal=st.booleans())
def test_hostile_text_does_nothing_in_a_terminal(text: str, terminal: bool) -> None:
    stream = io.StringIO()
    show(hostile_view(text), Console(file=stream, force_terminal=terminal, color_system=None, width=80, _environ={}))
    printed = stream.getvalue()
    assert not acts(printed, "\n")
    printed.encode("utf-8")


@pytest.mark.parametrize("text", ["[red]not red[/red]", "[/]", ":warning:"])
def test_markup_is_shown_and_not_obeyed(text: str) -> None:
    stream = io.StringIO()
    show(hostile_view(text), Console(file=stream, force_terminal=False, _environ={}))
    assert text in stream.getvalue()
