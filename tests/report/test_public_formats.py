"""The publication as page, JSON and CSV: they say the same, and no name or address of anybody."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from report_estate import RUN, UNKNOWNS, closed, findings_of
from test_hostile import TEXTS, acts, hostile_view, shape
from test_html import Page
from test_public import IN_CLEAR, TEST, many, of

from leadapron.errors import InputError
from leadapron.model import Counts, Observation, Owner, Product, Reason, RunStatus, Severity, VantageKind, Verdict
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.public import Public, published
from leadapron.report.public_csv import COLUMNS, render_public_csv
from leadapron.report.public_html import render_public_html
from leadapron.report.public_json import SCHEMA, public_schema, render_public_json
from leadapron.report.tlp import TLP

VALIDATOR = jsonschema.Draft202012Validator(public_schema())
OWNER = Owner(grant="grant-x", party="Party X", country="IT", city="Mainz", as_number=64500, as_name="Example Net")
NAMED = many(1, 6, owner=OWNER, name="pacs.hospital.example", resource="SECRETAE") + many(0, 14) + many(2, 2, "MT")
ESTATE = of(NAMED + many(3, 5, genuineness=TEST, product=Product(name="Horos", version="9.8.7")), UNKNOWNS)
SILENT = (
    *("198.18.", "2001:db8", "hospital", "SECRETAE", "grant-x", "Party X", "Mainz", "64500", "Example Net", "9.8.7"),
    *(RUN.id, RUN.scope_id, RUN.scope_sha256, RUN.vantage.name, RUN.audit_head, "17:52", "T17"),
)


def renderings(public: Public) -> dict[str, str]:
    pages = {language: render_public_html(public, language) for language in LANGUAGES}
    return {"json": render_public_json(public), "csv": render_public_csv(public), **pages}


def read(public: Public) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render_public_json(public))
    VALIDATOR.validate(document)
    return document


def rows(public: Public) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_public_csv(public), newline=""), strict=True))


def test_no_name_and_no_address_in_any_format() -> None:
    assert [(name, text) for name, said in renderings(ESTATE).items() for text in SILENT if text in said] == []
    keys = {finding.key for finding in findings_of(NAMED)}
    assert [key for key in keys for said in renderings(ESTATE).values() if key in said] == []


def test_the_same_in_all_formats() -> None:
    document, table = read(ESTATE), rows(ESTATE)
    assert document["schema"] == SCHEMA == "leadapron/public/1"
    assert document["run"]["day"] == "2026-11-23"
    for name in ("country", "product", "encryption", "control", "severity"):
        said = [(cell["cell"] or "", str(cell["services"])) for cell in document[name]]
        assert said == [(row["cell"], row["services"]) for row in table if row["table"] == name]
    assert document["country"][0] == {
        "cell": "DE",
        "services": 19,
        "images": {"value": 1900, "low": 1900, "high": 1900, "kind": "exact", "source": "enumerated"},
    }
    assert document["country"][1] == {"cell": "IT", "services": "withheld", "images": "withheld"}
    first = next(row for row in table if row["cell"] == "DE")
    assert first == dict.fromkeys(COLUMNS, "") | {"table": "country", "cell": "DE", "services": "19", "images": "1900"}
    assert {"reason": "middlebox", "endpoints": 20} in document["unknowns"]
    assert {"reason": "reset", "endpoints": "<5"} in document["unknowns"]


def test_what_is_withheld_whole_has_its_mark() -> None:
    few = of(many(0, 3))
    document = read(few)
    assert [document[name] for name in ("country", "product", "encryption", "control", "severity", "unknowns")] == [
        None
    ] * 6
    assert document["totals"]["exposed_services"] == "<5"
    withheld = [row for row in rows(few) if row["table"] != "total"]
    assert [row["services"] or row["endpoints"] for row in withheld] == ["withheld"] * 6
    page = render_public_html(few)
    assert page.count(messages("en")("public.table_withheld")) == 6
    assert "Fewer than 5 imaging servers let anyone on the internet list what they hold." in page
    assert "<table" not in page


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        (many(0, 6), "6 of 6 imaging servers let anyone on the internet list 60 studies with 600 images."),
        (many(0, 6, counts=Counts()), "6 of 6 imaging servers let anyone on the internet list what they hold."),
        (
            [closed(f"198.18.0.{one}", Verdict.REFUSED) for one in range(1, 8)],
            "7 imaging servers answered; none was seen to let anyone on the internet list what it holds.",
        ),
        (
            [closed("198.18.0.1", Verdict.UNKNOWN)],
            "Fewer than 5 imaging servers answered; none was seen to let anyone on the internet list what it holds.",
        ),
        ([], "No imaging server answered."),
    ],
)
def test_the_first_sentence(observations: list[Observation], expected: str) -> None:
    assert f">{expected}</h1>" in render_public_html(of(observations))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_that_could_not_see_says_so(language: str) -> None:
    page, t = render_public_html(of(many(0, 6), status=RunStatus.BLIND), language), messages(language)
    assert t("status.blind") in page
    assert t("sentence.blind_midway", said="").strip() in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_nothing_and_can_be_read_aloud(language: str) -> None:
    page = Page(render_public_html(ESTATE, language))
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "embed", "form", "base", "svg", "source"})
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in page.all("a")} <= set(ids)
    assert {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes} <= set(
        ids
    )
    assert [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)] == [1] + [2] * 7
    assert len(list(page.all("caption"))) == len(list(page.all("table"))) == 6
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize("marking", TLP)
def test_the_marking(marking: str) -> None:
    assert f">{marking}</p>" in render_public_html(ESTATE, tlp=marking)
    assert json.loads(render_public_json(ESTATE, marking))["run"]["tlp"] == marking


def test_it_is_clear_unless_told_otherwise() -> None:
    assert ">TLP:CLEAR</p>" in render_public_html(ESTATE)
    assert read(ESTATE)["run"]["tlp"] == "TLP:CLEAR"
    with pytest.raises(InputError):
        render_public_html(ESTATE, tlp="pink")


def test_the_published_schema_is_a_closed_schema() -> None:
    def closed(node: object) -> bool:
        if isinstance(node, list):
            return all(map(closed, node))
        if not isinstance(node, dict):
            return True
        fixed = node.get("additionalProperties") is False and node["required"] == list(node["properties"])
        return (node.get("type") != "object" or fixed) and all(map(closed, node.values()))

    jsonschema.Draft202012Validator.check_schema(public_schema())
    assert closed(public_schema())


def test_the_schema_allows_no_small_number() -> None:
    document = read(ESTATE)
    for number in (1, 4, "few"):
        document["totals"]["servers"] = number
        assert not VALIDATOR.is_valid(document)


def test_the_schema_has_the_closed_sets_of_the_model() -> None:
    said, run = public_schema(), public_schema()["$defs"]["run"]["properties"]
    assert said["properties"]["unknowns"]["items"]["properties"]["reason"]["enum"] == list(Reason)
    assert said["properties"]["severity"]["items"]["properties"]["cell"]["enum"] == list(Severity)
    assert run["vantage"]["enum"] == list(VantageKind)
    assert run["status"]["enum"] == [status for status in RunStatus if status is not RunStatus.RUNNING]
    assert run["tlp"]["enum"] == list(TLP)


@pytest.mark.parametrize("status", RunStatus)
def test_each_status_fits_the_schema(status: RunStatus) -> None:
    assert read(of([], status=status))["run"]["status"] == ("incomplete" if status is RunStatus.RUNNING else status)


def test_the_same_run_gives_the_same_bytes() -> None:
    again = of(list(reversed(NAMED)) + many(3, 5, genuineness=TEST, product=Product(name="Horos")), UNKNOWNS)
    assert renderings(again) == renderings(ESTATE)


@settings(max_examples=20, deadline=None)
@given(text=TEXTS)
def test_hostile_text_does_nothing(text: str) -> None:
    """Names of products and countries, the version and the source of countries are the texts that are published."""
    parts: dict[str, object] = {
        "product": Product(name=text),
        "owner": Owner(grant="", country=text),
        "facts": IN_CLEAR,
    }
    public = of(many(0, 6, **parts), version=text, data={"country": text})
    page = render_public_html(public)
    assert shape(page) == shape(render_public_html(of(many(0, 6, **parts), version="x", data={"country": text})))
    assert not acts(page, "\n")
    assert not acts(render_public_json(public), "\n")
    rendered = render_public_csv(public)
    assert not acts(rendered, "\r\n")
    cells = [cell for row in csv.reader(io.StringIO(rendered, newline=""), strict=True) for cell in row]
    assert not [cell for cell in cells if cell.lstrip(" \ufffd")[:1] in ("=", "+", "-", "@")]


@settings(max_examples=20, deadline=None)
@given(text=TEXTS)
def test_hostile_text_in_every_field_of_a_run(text: str) -> None:
    public = published(hostile_view(text))
    VALIDATOR.validate(json.loads(render_public_json(public)))
    assert not acts(render_public_html(public), "\n")
