"""One partner's part: all of what is theirs, nothing of anybody else in any format."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from ipaddress import ip_address

import jsonschema
import pytest
from report_estate import OWN, PARTNER, RUN, STARTED, UNKNOWNS, closed, decision, exposed, findings_of, seen
from rich.console import Console

from leadapron.assess.compare import compared
from leadapron.errors import InputError
from leadapron.model import (
    Count,
    Counts,
    Endpoint,
    Expected,
    Failed,
    Finding,
    FindingStatus,
    Genuineness,
    Moved,
    Owner,
    Pin,
    Reason,
    RunStatus,
    Stage,
    Summary,
    SweepFigures,
    Unique,
    Unknown,
    Verdict,
)
from leadapron.report.csv import ROWS, render_csv
from leadapron.report.html import render_html
from leadapron.report.json import document, render_json, schema
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.subset import for_party
from leadapron.report.terminal import show
from leadapron.report.view import View, build_view

RIVAL = Owner(
    grant="rival-2026", party="Other Imaging", country="AT", city="Linz", as_number=64501, as_name="Other Net"
)
KEY = "5a" * 32
ALIKE = Counts(studies=Count.exact(1234), images=Count.exact(98_765))
TLS = {"facts": {"associated": True}, "tls": {"spki_sha256": KEY}}

OURS = [exposed("198.18.0.1", name="pacs.hospital.example", counts=ALIKE), seen("198.18.0.2", 2762, owner=OWN, **TLS)]
THEIRS = [
    exposed(
        "198.18.7.1",
        owner=PARTNER,
        counts=ALIKE,
        unknowns=(Failed(stage=Stage.CENSUS, reason=Reason.RESET),),
        genuineness=Genuineness(verdict="test", score=0.6, signals=("one_name", "same_content")),
    ),
    seen("198.18.7.2", 2762, owner=PARTNER, **TLS),
    closed("198.18.7.3", Verdict.REFUSED, owner=PARTNER),
    closed("198.18.7.9", Verdict.REFUSED, owner=PARTNER),
]
RIVALS = [
    exposed("203.0.113.5", 11112, owner=RIVAL, name="pacs.other.example", counts=ALIKE),
    closed("198.18.7.9", Verdict.UNKNOWN, resource="OTHER", owner=RIVAL),
]
FOREIGN = (
    *("198.18.0.1", "198.18.0.2", "203.0.113", "198.18.0.64", "198.18.0.200", "198.18.9.9", "198.18.7.9:4242"),
    *("pacs.hospital", "pacs.other", "Other Imaging", "rival-2026", "Other Net", "Linz", "64501", "own-estate-2026"),
    *("Mainz", "64500", "secret reason", "4711", "1024", "1,024", "1.024", "7654", "7,654", "7.654", "OTHER"),
)


def past(*addresses: str) -> list[Finding]:
    """A finding of each that this run did not see again, with numbers of the run that saw it."""
    return [
        dataclasses.replace(
            finding,
            status=FindingStatus.NOT_OBSERVED,
            last_seen=STARTED,
            evidence={"tls.key_hosts": 4711, "queries": 2},
        )
        for address in addresses
        for finding in findings_of([exposed(address, 4242)])
        if finding.control == "LA-11"
    ]


def whole() -> View:
    observations = [
        dataclasses.replace(item, facts={**item.facts, "studies_elsewhere": 7654})
        for item in compared([*OURS, *THEIRS, *RIVALS])
    ]
    findings = findings_of(observations) + past("198.18.7.1", "198.18.7.9", "198.18.9.9", "203.0.113.5")
    count = Count.exact(7654)
    run = dataclasses.replace(
        RUN,
        status=RunStatus.STOPPED,
        why="secret reason at 203.0.113.5",
        pins=(Pin(name="pacs.other.example"),),
        inventory=(Expected(host="203.0.113.9", port=104, owner="Other Imaging"),),
        summary=Summary(servers=7654, exposed_servers=7654, studies=count, images=count, findings={"high": 7654}),
        sweep=SweepFigures(method="syn", sent=7654, sent_bytes=7654, late=7654),
        unique=Unique(studies=count, images=count, genuine_studies=count, genuine_images=count),
    )
    places = [
        "198.18.7.1:104",
        "198.18.7.9:104",
        "scope own-estate",
        "203.0.113.5:11112",
        "way out of vm-frankfurt-1",
        "inventory 203.0.113.9:104",
    ]
    unknowns = [Unknown(endpoint=place, stage=Stage.CONNECT, reason=Reason.STOPPED, count=4) for place in places]
    decisions = {finding.key: decision(finding.key, text="as with Other Imaging") for finding in findings}
    view = build_view(run, observations, findings, [*UNKNOWNS, *unknowns], decisions)
    earlier = dataclasses.replace(run, id="20261023-120000-4711", started_at=STARTED - dt.timedelta(days=31))
    return dataclasses.replace(view, trend=(earlier, run))


@pytest.fixture
def part() -> View:
    return for_party(whole(), "Example Teleradiology")


def renderings(view: View) -> dict[str, str]:
    stream, pipe = io.StringIO(), io.StringIO()
    show(view, Console(file=stream, force_terminal=True, width=200, color_system=None, _environ={}))
    show(view, Console(file=pipe, force_terminal=False, _environ={}))
    return {
        "json": render_json(view),
        **{f"html {language}": render_html(view, language) for language in LANGUAGES},
        **{f"csv {rows}": render_csv(view, rows) for rows in ROWS},
        "terminal": stream.getvalue(),
        "pipe": pipe.getvalue(),
    }


def test_nothing_of_others_stands_in_any_format(part: View) -> None:
    everything = "\n".join(renderings(whole()).values())
    assert [text for text in FOREIGN if text not in everything] == []
    assert [(name, text) for name, said in renderings(part).items() for text in FOREIGN if text in said] == []


def test_what_is_theirs_stands_in_each_format(part: View) -> None:
    for name, said in renderings(part).items():
        assert "198.18.7.1" in said, name
    assert len(part.services) == len(THEIRS)
    assert {item.observation.owner for item in part.services} == {PARTNER}
    assert part.totals.exposed_services == 1
    assert (part.totals.endpoints_tried, part.totals.endpoints_reached) == (4, 4)
    assert part.images == Count.exact(98_765)
    assert part.totals.unique is None
    assert {finding.service.endpoint.address.exploded for finding in part.findings} <= {
        f"198.18.7.{number}" for number in (1, 2, 3, 9)
    }
    assert sum(part.totals.findings.values()) == len(part.findings) - len(part.history)


def test_findings_of_earlier_runs_stay_where_the_address_is_theirs_alone(part: View) -> None:
    assert [str(finding.service.endpoint) for finding in part.history] == ["198.18.7.1:4242"]
    assert part.history[0].evidence == {"queries": 2}


@pytest.mark.parametrize(
    ("other", "status"),
    [("198.18.7.2", FindingStatus.MOVED), ("203.0.113.5", FindingStatus.NOT_OBSERVED)],
)
def test_a_place_of_somebody_else_is_not_told_where_a_service_moved(other: str, status: FindingStatus) -> None:
    """Neither from where it came, nor where it went."""
    moved = Moved(key="7" * 16, endpoint=Endpoint(address=ip_address(other), port=4711), because=("key",))
    view = whole()
    findings = [
        dataclasses.replace(finding, status=FindingStatus.MOVED, moved_to=moved)
        if finding.status is FindingStatus.NOT_OBSERVED
        else dataclasses.replace(finding, moved_from=moved)
        for finding in view.findings
    ]

    part = for_party(dataclasses.replace(view, findings=tuple(findings)), "Example Teleradiology")

    assert [finding.status for finding in part.history] == [status]
    told = status is FindingStatus.MOVED
    assert {finding.moved_from is not None for finding in part.findings if finding not in part.history} == {told}
    assert [finding.moved_to is not None for finding in part.history] == [told]
    assert all(("4711" in said) is told for name, said in renderings(part).items() if name == "json")


def test_a_number_of_an_earlier_run_may_speak_of_others() -> None:
    """Of a service that was seen, too."""
    view = whole()
    findings = [
        dataclasses.replace(
            each,
            status=FindingStatus.NOT_OBSERVED,
            last_seen=STARTED - dt.timedelta(days=1),
            evidence={**each.evidence, "tls.key_hosts": 4711},
        )
        if each.control == "LA-22"
        else each
        for each in view.findings
    ]

    part = for_party(dataclasses.replace(view, findings=tuple(findings)), "Example Teleradiology")

    assert "LA-22" in {each.control for each in part.history}
    assert "4711" not in render_json(part)


def test_what_could_not_be_seen_at_their_services_stays(part: View) -> None:
    assert [(each.endpoint, each.stage, each.count) for each in part.unknowns] == [
        ("198.18.7.1:104", Stage.CONNECT, 4),
        ("198.18.7.1:104", Stage.CENSUS, 1),
    ]


def test_numbers_that_speak_of_others_are_left_out_and_those_that_do_not_stay() -> None:
    part = for_party(whole(), "Example Teleradiology")
    assert [
        name for item in part.services for name in ("twins", "studies_elsewhere") if name in item.observation.facts
    ] == []
    first = next(item.observation for item in part.services if item.observation.exposed)
    assert first.genuineness is not None
    assert first.genuineness.signals == ("one_name",)
    shared = [finding.evidence for finding in part.findings if finding.control == "LA-22"]
    assert len(shared) == 1
    assert "tls.key_hosts" not in shared[0]

    pair = compared([*THEIRS, seen("198.18.7.4", 2762, owner=PARTNER, **TLS), RIVALS[0]])
    alone = for_party(build_view(RUN, pair, findings_of(pair), []), PARTNER.party)
    assert [finding.evidence["tls.key_hosts"] for finding in alone.findings if finding.control == "LA-22"] == [2, 2]


def test_a_part_is_never_called_clear() -> None:
    refused = [closed("198.18.7.3", Verdict.REFUSED, owner=PARTNER), exposed("198.18.0.1")]
    page = render_html(for_party(build_view(RUN, refused, [], []), PARTNER.party))
    for text in ("nothing_exposed", "no_findings", "no_unknowns"):
        assert messages("en")(f"report.{text}") not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_names_the_party_and_says_what_is_left_out(part: View, language: str) -> None:
    page, t = render_html(part, language), messages(language)
    heading = t("report.title_party", party="Example Teleradiology")
    assert f"<title>{heading} · " in page
    assert f"<span>{heading}</span>" in page
    assert t("report.party_note", party="Example Teleradiology").replace("'", "&#39;") in page
    assert "Example Teleradiology: " in page


def test_the_json_names_the_party_and_fits_the_schema(part: View) -> None:
    said = json.loads(render_json(part))
    jsonschema.Draft202012Validator(schema()).validate(said)
    assert said["party"] == "Example Teleradiology"
    assert said["trend"] == []
    assert document(whole())["party"] is None


@pytest.mark.parametrize("name", ["example teleradiology", "EXAMPLE TELERADIOLOGY"])
def test_case_makes_no_difference_where_one_is_meant(name: str) -> None:
    assert for_party(whole(), name).party == "Example Teleradiology"


def test_of_names_that_differ_in_case_the_exact_one_is_meant() -> None:
    owners = [dataclasses.replace(PARTNER, party=party) for party in ("North", "NORTH")]
    view = build_view(RUN, [exposed(f"198.18.0.{number}", owner=owner) for number, owner in enumerate(owners)], [], [])
    assert for_party(view, "NORTH").party == "NORTH"
    with pytest.raises(InputError, match="choose one of: NORTH, North"):
        for_party(view, "north")


@pytest.mark.parametrize("name", ["", "Example", "Nobody\x1b[2J"])
def test_an_unknown_party_is_told_which_there_are(name: str) -> None:
    with pytest.raises(InputError, match="choose one of: Example Teleradiology, Other Imaging") as caught:
        for_party(whole(), name)
    assert str(caught.value).isprintable()


def test_without_parties_the_error_says_so() -> None:
    with pytest.raises(InputError, match="no service of this run belongs to a party"):
        for_party(build_view(RUN, OURS, [], []), "North")
