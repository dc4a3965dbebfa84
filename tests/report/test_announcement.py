from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import string
from importlib import resources
from ipaddress import ip_network
from pathlib import Path

import pytest

from leadapron.model import Depth, Vantage, VantageKind
from leadapron.report import announcement as module
from leadapron.report.announcement import WIDTH, Sender, announcement, as_json, texts
from leadapron.report.messages import LANGUAGES, messages
from leadapron.scope.grant import Budget, Contact, Exclusion, Grant, Pace, Ports, Scope, Snapshot, Zone
from leadapron.scope.our_listener import OurListener
from leadapron.scope.parse import bucket, url
from leadapron.scope.window import Window
from leadapron.settings import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

OWN = Grant(
    id="own-2026",
    owner="Example Hospital",
    basis="owner",
    granted_by="CISO",
    reference="AUD-2026-014",
    valid_from=dt.date(2026, 11, 1),
    valid_until=dt.date(2026, 12, 1),
    depth=Depth.COUNT,
    networks=(ip_network("198.18.0.0/24"), ip_network("2001:db8::/112")),
    exclude=(ip_network("198.18.0.7/32"),),
)
PARTNER = dataclasses.replace(
    OWN,
    id="partner-2026",
    party="Teleradiology Ltd",
    reference="",
    networks=(),
    names=("pacs.partner.example",),
    exclude=(),
    valid_from=dt.date(2026, 10, 15),
    depth=Depth.TALK,
)
MODALITIES = Zone(
    name="modalities",
    networks=(ip_network("198.18.0.128/25"),),
    max_depth=Depth.CONNECT,
    window=Window.parse("22:00-05:00 Europe/Berlin"),
    gap_seconds=2.5,
)
SENDER = Sender(addresses=("192.0.2.10", "192.0.2.11"), phone="+49 30 5550100")
SCOPE = Scope(
    version=1,
    id="own-estate",
    contact=Contact(name="Security team", email="security@hospital.example", calling_aet="AUDITOR"),
    vantage=Vantage(kind=VantageKind.INTERNET, name="vm-frankfurt-1"),
    grants=(OWN, PARTNER),
    zones=(MODALITIES,),
    ports=Ports.of(dicom=(104, 11112)),
    pace=Pace(connections_per_second=250, per_network=20),
    budget=Budget(associations=7, queries=31, answers=12_345, seconds=45),
    sha256="ab" * 32,
    path=Path("scope.toml"),
)


def changed(**values: object) -> Scope:
    return dataclasses.replace(SCOPE, grants=(dataclasses.replace(OWN, **values),))  # type: ignore[arg-type]


def note(scope: Scope = SCOPE, sender: Sender = SENDER, language: str = "en") -> str:
    """In one line, whatever the width."""
    return " ".join(announcement(scope, sender, language).split())


@pytest.mark.parametrize(
    "part",
    [
        "15 October 2026 to 1 December 2026",
        "Contact: Security team, security@hospital.example",
        "+49 30 5550100",
        "vm-frankfurt-1 (the internet)",
        "Our addresses: 192.0.2.10, 192.0.2.11",
        "always: AUDITOR",
        IMPLEMENTATION_CLASS_UID,
        IMPLEMENTATION_VERSION_NAME,
        "own-2026: Example Hospital Authorised by CISO (AUD-2026-014)",
        "Valid from 1 November 2026 to 1 December 2026, both days included (UTC)",
        "Networks: 198.18.0.0/24, 2001:db8::/112 How far: count",
        "partner-2026: Example Hospital, systems of Teleradiology Ltd Authorised by CISO Valid",
        "lead to: pacs.partner.example How far: talk",
        "TCP ports: DICOM 104, 11112.",
        "said here: 198.18.0.7/32",
        "7 associations, 31 queries, 12,345 answers, 45 seconds",
        "At most 250 connections a second in all, and 20 to one network",
        "Zone modalities (198.18.0.128/25): at most depth connect; only 22:00-05:00 Europe/Berlin; 2.5 seconds between",
        "ab" * 32,
    ],
)
def test_it_says_who_where_what_how_and_when(part: str) -> None:
    assert part in note()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_scope_does_not_say_is_to_be_filled_in(language: str) -> None:
    assert note(sender=Sender(), language=language).count(texts(language)("fill_in")) == 2
    assert texts(language)("fill_in") not in note(language=language)


@pytest.mark.parametrize("deepest", Depth)
def test_what_no_grant_allows_is_not_announced(deepest: Depth) -> None:
    said = note(changed(depth=deepest))
    for depth in Depth:
        assert (f"Depth {depth.name.lower()}:" in said) is (depth <= deepest)
    assert ("associations" in said) is (deepest >= Depth.TALK)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"well_known_titles": True}, "Documented default titles of products"),
        ({"blank_login": True}, "a blank name and a blank password"),
        ({"cleartext_census": True, "depth": Depth.CENSUS}, "census queries go without TLS too"),
    ],
)
def test_what_a_grant_allows_beyond_the_usual_is_announced(values: dict[str, object], part: str) -> None:
    assert part not in note()
    assert f"{part}" in note(changed(**values))


def test_the_listener_is_announced_to_who_watches_our_way_out() -> None:
    ours = OurListener(host="203.0.113.7", ports=(443, 104), token_file=Path("secret.token"))
    said = note(dataclasses.replace(SCOPE, listener=ours))
    assert "our own listener at 203.0.113.7, TCP 443, 104." in said
    assert "secret.token" not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_is_too_long_to_be_quoted_in_a_mail(language: str) -> None:
    many = tuple(ip_network(f"198.18.{number}.0/24") for number in range(200))
    lines = announcement(changed(networks=many), SENDER, language).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(str(network) in " ".join(lines) for network in many)


def test_each_language_has_the_same_texts_with_the_same_placeholders_and_none_is_left_over() -> None:
    def placeholders(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    own = [{key: text for key, text in texts(each).texts.items() if key not in messages(each)} for each in LANGUAGES]
    assert {key: placeholders(text) for key, text in own[0].items()} == {
        key: placeholders(text) for key, text in own[1].items()
    }
    code = Path(str(resources.files("leadapron.report") / "announcement.py")).read_text()
    named = set(re.findall(r'"([a-z_]+)"', code)) | {f"depth_{depth.name.lower()}" for depth in Depth}
    assert set(own[0]) - named == set()


def test_the_note_covers_no_text_of_the_reports() -> None:
    for language in LANGUAGES:
        file = resources.files("leadapron.report") / "messages" / "announce" / f"{language}.toml"
        own = module.tomllib.loads(file.read_text("utf-8"))
        assert not [key for key in own if key in messages(language)]


def test_json_holds_the_same_facts() -> None:
    facts = json.loads(json.dumps(as_json(SCOPE, SENDER)))

    assert facts["contact"] == {
        "name": "Security team",
        "email": "security@hospital.example",
        "phone": "+49 30 5550100",
    }
    assert facts["vantage"]["addresses"] == ["192.0.2.10", "192.0.2.11"]
    assert facts["dicom"]["implementation_class_uid"] == IMPLEMENTATION_CLASS_UID
    assert facts["valid"] == {"first": "2026-10-15", "last": "2026-12-01"}
    assert [(grant["id"], grant["depth"], grant["networks"], grant["names"]) for grant in facts["grants"]] == [
        ("own-2026", "count", ["198.18.0.0/24", "2001:db8::/112"], []),
        ("partner-2026", "talk", [], ["pacs.partner.example"]),
    ]
    assert facts["zones"][0]["window"] == "22:00-05:00 Europe/Berlin"
    assert (facts["budget"]["associations"], facts["pace"]["per_network"], facts["ports"]) == (
        7,
        20,
        {"dicom": [104, 11112]},
    )
    assert facts["excluded"] == ["198.18.0.7/32"]


def test_buckets_are_told_with_the_place_where_they_are_asked() -> None:
    named = (bucket("s3://scans"), url("https://www.partner.example/images/"))
    subject = dataclasses.replace(SCOPE, grants=(dataclasses.replace(OWN, buckets=named),))
    shown = "s3://scans (https://scans.s3.amazonaws.com), https://www.partner.example/images/"
    for language in LANGUAGES:
        assert shown in " ".join(announcement(subject, SENDER, language).split())
    assert json.loads(json.dumps(as_json(subject, SENDER)))["grants"][0]["buckets"] == shown.split(", ")


def test_networks_by_country_are_told_by_their_file_and_not_one_by_one() -> None:
    snapshot = Snapshot(
        file="delegated-ripencc-extended",
        kind="delegated",
        title="ripencc",
        date=dt.date(2026, 11, 26),
        sha256="cd" * 32,
        networks=12_345,
        addresses4=118_000_000,
    )
    of_country = dataclasses.replace(OWN, countries=("DE", "FR"), snapshot=snapshot)
    subject = dataclasses.replace(SCOPE, grants=(of_country,))
    said = note(subject)
    assert (
        "Networks of DE, FR, as delegated-ripencc-extended has them (ripencc, 26 November 2026): 12,345 networks, "
        f"118,000,000 IPv4 addresses. SHA-256 of the file: {'cd' * 32}" in said
    )
    assert "Reti di DE, FR" in note(subject, language="it")
    assert "198.18.0.0/24" not in said
    (told,) = json.loads(json.dumps(as_json(subject, SENDER)))["grants"]
    assert (told["networks"], told["countries"], told["snapshot"]["date"]) == ([], ["DE", "FR"], "2026-11-26")


def test_who_asked_to_be_left_alone_is_counted_and_not_named() -> None:
    asked = Exclusion(
        network=ip_network("198.18.0.99/32"),
        since=dt.datetime(2026, 11, 28, tzinfo=dt.UTC),
        because="asked by mail",
        asked_by="noc@example.net",
    )
    subject = dataclasses.replace(SCOPE, grants=(dataclasses.replace(OWN, exclude=()),), exclusions=(asked,))
    for language in LANGUAGES:
        said = note(subject, language=language)
        assert texts(language)("excluded_asked", count="1") in said
        assert texts(language)("excluded_none") not in said
        assert "198.18.0.99" not in said
        assert "noc@" not in said
    assert as_json(subject, SENDER)["excluded_on_request"] == 1
