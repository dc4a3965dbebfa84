from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from report_estate import RUN, closed, decision, exposed, findings_of, history, moved_here, seen

from leadapron.assess.catalogue import catalogue
from leadapron.model import Count, Counts, RunStatus, Verdict
from leadapron.report import words
from leadapron.report.html import render_html
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.tlp import DEFAULT_TLP, TLP
from leadapron.report.view import View, build_view

VOID = {"meta", "link", "br", "rect"}


class Page(HTMLParser):
    """The elements of a page, in order, and its text; fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, view: View) -> Page:
    return Page(render_html(view, request.param))


def test_nothing_is_fetched_and_nothing_runs(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "embed", "form", "base", "video", "audio", "source"})
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
        href = attributes.get("href")
        assert href is None or href.startswith("#") or href == "data:,"


def test_the_style_sheet_fetches_nothing(view: View) -> None:
    style = re.search(r"<style>(.*?)</style>", render_html(view), re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import|https?:|//", style[1])


def test_the_policy_allows_the_style_sheet_and_nothing_else(view: View) -> None:
    text = render_html(view)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(meta for meta in Page(text).all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_the_page_can_be_read_aloud(page: Page) -> None:
    assert next(page.all("html"))["lang"] in LANGUAGES
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    assert len(list(page.all("caption"))) == len(list(page.all("table")))
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg.get("role") == "img" and svg.get("aria-labelledby"))


def test_links_lead_to_places_of_the_page(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {link["href"] for link in page.all("a")}
    assert {link for link in links if link and link.removeprefix("#") not in ids} == set()
    labels = {name for _, attributes in page.elements for name in (attributes.get("aria-labelledby") or "").split()}
    assert labels <= set(ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_closed_or_gone_stands_on_the_page_and_no_link_leads_nowhere(language: str) -> None:
    past = history()
    page = Page(render_html(build_view(RUN, [closed("198.18.0.20", Verdict.REFUSED)], past, []), language))
    test_links_lead_to_places_of_the_page(page)
    assert "history" in [attributes.get("id") for _, attributes in page.elements]
    t, text = messages(language), " ".join(page.texts)
    for status in ("closed", "not_observed", "not_looked_at"):
        assert t(f"finding_status.{status}") in text
    assert t("moved.to", place="198.18.0.20:11112", because=f"{t('moved.content')}, {t('moved.key')}") in text
    for expected in ("198.18.0.90:104", "203.0.113.7:104", "LA-11", words.date(t, past[0].last_seen or RUN.started_at)):
        assert expected in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_finding_whose_service_moved_says_from_where(language: str) -> None:
    t, finding = messages(language), moved_here()
    text = " ".join(Page(render_html(build_view(RUN, [exposed("198.18.0.20")], [finding], []), language)).texts)
    assert t("moved.from", place="198.18.0.91:104", because=t("moved.name")) in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_steps_of_a_product_come_before_the_general_ones(view: View, language: str) -> None:
    text = " ".join(Page(render_html(view, language)).texts)
    (step,) = words.product_steps(messages(language), view, "LA-15")
    general = catalogue()["LA-15"].text(language).remedy.splitlines()[0]
    assert step.startswith("Orthanc: ")
    assert 0 <= text.index(step) < text.index(general)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("is_expired", [False, True])
def test_what_was_decided_marks_the_finding_and_hides_nothing(language: str, is_expired: bool) -> None:
    observations = [exposed("198.18.0.1")]
    findings = findings_of(observations)
    key = findings[0].key
    decided = decision(key, text="CISO of Example Hospital", is_expired=is_expired)
    page, plain_page = (
        Page(render_html(build_view(RUN, observations, findings, [], decisions), language))
        for decisions in ({key: decided}, {})
    )
    test_links_lead_to_places_of_the_page(page)
    t, text = messages(language), " ".join(page.texts)
    said = words.decision(t, decided)
    assert text.count(said) == 3  # beside the place, with the exposure, and in the section
    assert ("30 December 2026: expired" in said) == (is_expired and language == "en")
    assert "CISO of Example Hospital" in text
    assert "decisions" in [attributes.get("id") for _, attributes in page.elements]
    assert "decisions" not in [attributes.get("id") for _, attributes in plain_page.elements]
    assert {finding.key for finding in findings} <= set(text.split())
    for finding in findings:
        assert text.count(words.control_text(t, finding).title) >= " ".join(plain_page.texts).count(
            words.control_text(t, finding).title
        )


def test_the_page_says_what_was_seen(view: View) -> None:
    text = " ".join(" ".join(Page(render_html(view)).texts).split())
    for expected in (
        "4 of 9 imaging servers let anyone on the internet list at least 4,210 studies",
        "[2001:db8:18::4f0:1]:104",
        "about 61,000",
        "an estimate, nominal 95 % interval 54,000 to 68,000; projected from a sample",
        "the server's own number",
        "Modality Worklist FIND",
        "dcm4chee-arc or Karnak",
        "25 records were drawn and asked for.",
        "Names and numbers of the patient in all 25 PatientName 25, PatientID 24",
        "Address and telephone in at least 11 of 25",
        "the answer would cross the internet in clear",
        "Everything answers alike here; a middlebox, not servers.",
        "198.18.0.200-198.18.0.219 port 104",
        "198.18.0.64/28 port 104",
        "4 of 65,535: 104, 2762, 4242, 11112",
        "At most 20,000 answers read from one service.",
        "Country: DE City: Mainz Network: AS64500 Example Net",
        "Countries from Test-Country, 2026-11-20",
        "Cities from Test-City, 2026-11-21",
        "Networks from Test-ASN, 2026-11-22",
        view.run.scope_sha256,
        view.run.audit_head,
        DEFAULT_TLP,
    ):
        assert expected in text


@pytest.mark.parametrize("data", [{}, {"moon": "Test-Moon, 2026-11-20"}])
def test_sources_that_are_not_known_leave_no_row(viewed: Callable[..., View], data: dict[str, str]) -> None:
    text = render_html(viewed(data=data))
    assert "Countries from" not in text
    assert "Test-Moon" not in text


def test_a_run_that_saw_nothing_does_not_look_like_a_clean_one(viewed: Callable[..., View]) -> None:
    text = render_html(viewed([], status=RunStatus.BLIND, why="egress blocked"))
    assert "That is not the same as nothing exposed." in text
    assert "Reason: egress blocked." in text


CLEAR = ("nothing_exposed", "no_findings", "no_unknowns")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.NOT_ASKED, Verdict.REFUSED])
def test_all_is_clear_only_where_each_server_refused(verdict: Verdict, language: str) -> None:
    page, t = render_html(build_view(RUN, [closed("198.18.0.1", verdict)], [], []), language), messages(language)
    clear = [t(f"report.{text}") in page for text in CLEAR]
    assert clear == [verdict is Verdict.REFUSED] * 3
    assert (t("report.exposed_servers_of", servers="1") + "<" in page) is (verdict is Verdict.REFUSED)


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.COMPLETE}))
def test_nothing_is_clear_in_a_run_that_is_not_complete(status: RunStatus) -> None:
    page = render_html(build_view(dataclasses.replace(RUN, status=status), [], [], []))
    assert [text for text in CLEAR if messages("en")(f"report.{text}") in page] == []
    assert "no server was judged" in page


@pytest.mark.parametrize("marking", TLP)
def test_the_marking_stands_on_the_page(view: View, marking: str) -> None:
    text = render_html(view, tlp=marking.removeprefix("TLP:").lower())
    assert f">{marking}</p>" in text
    assert f'content: "{marking}"' in text


def test_five_hundred_exposures_and_more_fit_one_page(viewed: Callable[..., View]) -> None:
    many = [
        exposed(f"198.18.{number // 250}.{number % 250 + 1}", counts=Counts(images=Count.exact(number)))
        for number in range(510)
    ] + [seen(f"198.19.{number // 250}.{number % 250 + 1}") for number in range(1010)]
    text = render_html(viewed(many))
    page = Page(text)
    assert len([item for item in page.all("article") if "exposure" in (item.get("class") or "")]) == 500
    assert "10 more exposed services" in text
    assert "10 more services are in the CSV" in text
    assert len(text) < 5_000_000


def test_the_same_view_gives_the_same_page(view: View) -> None:
    assert render_html(view) == render_html(view)
