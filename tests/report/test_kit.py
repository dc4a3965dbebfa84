from __future__ import annotations

import dataclasses
import datetime as dt
import re
import string
from importlib import resources
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from test_html import Page
from test_layout import CHROMIUM, measured

from leadapron.errors import InputError
from leadapron.model import Address, Depth, Vantage, VantageKind
from leadapron.report import kit as module
from leadapron.report.announcement import WIDTH
from leadapron.report.announcement import texts as known_texts
from leadapron.report.kit import FILES, Kit, kit_files, texts
from leadapron.report.messages import LANGUAGES
from leadapron.scope.grant import (
    Budget,
    Contact,
    Exclusion,
    Grant,
    Pace,
    Ports,
    Scope,
    Snapshot,
    Survey,
    SweepTerms,
)
from leadapron.settings import IMPLEMENTATION_CLASS_UID

DAY = dt.date(2026, 11, 28)
WIDE = Grant(
    id="country-2026",
    owner="everybody",
    basis="statutory",
    granted_by="CERT Example",
    reference="BSIG § 7b",
    valid_from=dt.date(2026, 11, 1),
    valid_until=dt.date(2027, 1, 31),
    depth=Depth.COUNT,
    networks=(ip_network("11.0.0.0/8"),),
    exclude=(ip_network("11.0.7.0/24"),),
    wide=True,
)
OWN = dataclasses.replace(
    WIDE,
    id="secret-clinic",
    owner="Secret Clinic",
    granted_by="Secret CISO",
    reference="SECRET-1",
    networks=(ip_network("11.9.8.0/24"),),
    exclude=(ip_network("11.9.8.7/32"),),
    depth=Depth.CENSUS,
    valid_until=dt.date(2027, 6, 30),
    wide=False,
)
ASKED = Exclusion(
    network=ip_network("11.0.9.9/32"),
    since=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
    because="SECRET reason",
    asked_by="secret-complainant@hospital.example",
)
SCOPE = Scope(
    version=1,
    id="country",
    contact=Contact(name="CERT Éxample", email="scan@cert.example"),
    vantage=Vantage(kind=VantageKind.INTERNET, name="vm-1"),
    grants=(WIDE, OWN),
    ports=Ports.of(dicom=(104, 11112), http=(80,)),
    pace=Pace(connections_per_second=250, per_network=20),
    budget=Budget(),
    sweep=SweepTerms(packets_per_second=100_000.0, bits_per_second=5e7, source_address=None),
    survey=Survey(
        opt_out="optout@cert.example",
        page=Path("page.txt"),
        text="We are a CERT.\nWe look <b>each winter</b>.\n\n\nSecond paragraph & its end.\n",
        url="https://cert.example/survey",
        exclusions=Path("exclusions.txt"),
    ),
    exclusions=(ASKED,),
    sha256="ab" * 32,
    path=Path("scope.toml"),
)
SOURCES: tuple[Address, ...] = (ip_address("198.18.0.1"), ip_address("2001:db8::7"))


def files(scope: Scope = SCOPE, language: str = "en", sources: tuple[Address, ...] = SOURCES) -> dict[str, str]:
    return kit_files(Kit.of(scope, sources, DAY), language)


def said(scope: Scope = SCOPE, language: str = "en") -> str:
    """The page as text, in one line."""
    return " ".join(files(scope, language)["index.txt"].split())


def with_survey(**values: object) -> Scope:
    assert SCOPE.survey is not None
    return dataclasses.replace(SCOPE, survey=dataclasses.replace(SCOPE.survey, **values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "part",
    [
        "CERT Éxample looks for imaging servers",
        "We are a CERT. We look <b>each winter</b>. Second paragraph & its end.",
        "Write to optout@cert.example and name your addresses",
        "Left alone so far: 2 networks.",
        "198.18.0.1, survey-1.cert.example - 2001:db8::7, survey-2.cert.example",
        "from TCP ports 61000 to 65535",
        IMPLEMENTATION_CLASS_UID,
        "these TCP ports: DICOM 104, 11112; HTTP 80. No other port",
        "One TCP SYN, and a RST to what answers. Or, in place of that, a TCP connection",
        "the greeting of the protocol that belongs to it (DICOM, HTTP)",
        "to count studies, series and images",
        "At most 100,000 packets a second in all.",
        "At most 50,000,000 bits a second in all.",
        "At most 250 connections a second in all.",
        "At most 20 a second to one network",
        "CERT Example, by law: BSIG § 7b; from 1 November 2026 to 31 January 2027, both days included (UTC)",
        "Networks: 11.0.0.0/8",
        "CERT Éxample, scan@cert.example",
        "As of 28 November 2026 https://cert.example/survey",
    ],
)
def test_the_page_says_who_why_what_how_fast_and_how_to_leave(part: str) -> None:
    assert part in said()


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_text_say_the_same(language: str) -> None:
    written = files(language=language)
    page = " ".join("".join(Page(written["index.html"]).texts).split())
    for block in re.split(r"\n\n|\n- ", written["index.txt"]):
        line = " ".join(block.split()).removeprefix("- ")
        if line and not line.isupper() and "https://cert.example/survey" not in line:
            assert line in page


def test_owners_and_complainants_are_in_no_file() -> None:
    for language in LANGUAGES:
        for name, text in files(language=language).items():
            assert "secret" not in text.lower(), name
            assert "11.9.8." not in text, name
            assert "2027-06-30" not in text
            assert "census" not in text


def test_what_is_left_alone_is_listed_in_order() -> None:
    more = dataclasses.replace(ASKED, network=ip_network("2001:db8::/48"))
    again = dataclasses.replace(ASKED, network=ip_network("11.0.7.0/24"))
    scope = dataclasses.replace(SCOPE, exclusions=(more, ASKED, again))
    head, *listed = files(scope)["exclusions.txt"].splitlines()
    assert head.startswith("# ")
    assert listed == ["11.0.7.0/24", "11.0.9.9/32", "2001:db8::/48"]
    none = dataclasses.replace(SCOPE, exclusions=(), grants=(dataclasses.replace(WIDE, exclude=()),))
    assert files(none)["exclusions.txt"].count("\n") == 1
    assert "Left alone so far: none." in said(none)
    one = dataclasses.replace(none, exclusions=(ASKED,))
    assert "Left alone so far: 1 network." in said(one)


@pytest.mark.parametrize(
    ("method", "sent", "not_sent"),
    [
        ("syn", "One TCP SYN, and a RST to what answers.", "ends without a byte"),
        ("connect", "A TCP connection, which ends without a byte.", "SYN"),
    ],
)
def test_what_is_not_sent_is_not_said(method: str, sent: str, not_sent: str) -> None:
    text = said(dataclasses.replace(SCOPE, sweep=dataclasses.replace(SCOPE.sweep, method=method)))
    assert sent in text
    assert not_sent not in text
    assert ("packets a second" in text) is (method == "syn")


@pytest.mark.parametrize("depth", [Depth.CONNECT, Depth.TALK, Depth.COUNT])
def test_no_deeper_than_the_wide_grants_go(depth: Depth) -> None:
    text = said(dataclasses.replace(SCOPE, grants=(dataclasses.replace(WIDE, depth=depth), OWN)))
    assert ("the greeting of the protocol" in text) is (depth >= Depth.TALK)
    assert ("User-Agent" in text) is (depth >= Depth.TALK)
    assert ("to count studies" in text) is (depth >= Depth.COUNT)


def test_a_country_is_named_with_its_file_and_many_networks_are_shortened() -> None:
    snapshot = Snapshot(
        file="delegated",
        kind="delegated",
        title="ripencc",
        date=DAY,
        sha256="cd" * 32,
        networks=9,
        addresses4=4096,
    )
    country = dataclasses.replace(WIDE, countries=("DE",), snapshot=snapshot)
    assert "Networks of DE, as delegated has them (ripencc, 28 November 2026): 9 networks" in said(
        dataclasses.replace(SCOPE, grants=(country,))
    )
    many = tuple(ip_network(f"11.{number}.0.0/16") for number in range(100))
    text = said(dataclasses.replace(SCOPE, grants=(dataclasses.replace(WIDE, networks=many),)))
    assert "11.11.0.0/16 and 88 more" in text
    assert "11.12.0.0/16" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_fetched_nothing_runs_and_no_text_is_markup(language: str) -> None:
    hostile = with_survey(text='</style><script>alert(1)</script> "x" onload=y \u202e\x1b[2J')
    hostile = dataclasses.replace(hostile, contact=Contact(name="<i>CERT</i>", email="a'b@cert.example"))
    text = files(hostile, language)["index.html"]
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "embed", "form", "base", "i", "b"})
    assert {attributes["href"] for attributes in page.all("a")} == {
        f"mailto:optout@cert.example?subject={module.quote(texts(language)('leave_subject'))}",
        "index.txt",
        "exclusions.txt",
    }
    assert "\u202e" not in text
    assert "\x1b" not in text
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")


def test_an_address_in_a_link_is_only_an_address() -> None:
    odd = with_survey(opt_out='opt?cc=x&"out@cert.example')
    links = [str(link["href"]) for link in Page(files(odd)["index.html"]).all("a")]
    assert links[0].startswith("mailto:opt%3Fcc%3Dx%26%22out@cert.example?subject=")
    assert 'TXT "internet survey; opt out: opt?cc=x&\\"out@cert.example; ' in files(odd)["reverse-dns.txt"]


def test_names_lead_to_addresses_and_back() -> None:
    records = [line.split(None, 4) for line in files()["reverse-dns.txt"].splitlines() if line and line[0] != ";"]
    found = {(name, kind): value for name, _, _, kind, value in records}
    assert all((ttl, klass) == ("3600", "IN") for _, ttl, klass, _, _ in records)
    for number, (address, kind) in enumerate(zip(SOURCES, ("A", "AAAA"), strict=True), 1):
        name = f"survey-{number}.cert.example."
        assert found[f"{address.reverse_pointer}.", "PTR"] == name
        assert ip_address(found[name, kind]) == address
        assert found[name, "TXT"] == '"internet survey; opt out: optout@cert.example; https://cert.example/survey"'
    long = files(with_survey(url="https://cert.example/" + "x" * 170, opt_out="o" * 60 + "@cert.example"))
    texts_of = re.findall(r"TXT (.*)", long["reverse-dns.txt"])
    assert all(len(part) <= 255 for text in texts_of for part in re.findall(r'"([^"]*)"', text))


def test_whois_lines_are_attributes_in_ascii() -> None:
    text = files()["whois.txt"]
    assert text.isascii()
    assert all(re.fullmatch(r"(descr: {10}|remarks: {8})\S.*", line) for line in text.splitlines())
    assert "CERT Example" in text
    assert "Authorised until: 2027-01-31 (UTC)" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_the_description_of_probes_has_the_fields_of_rfc_9511() -> None:
    lines = [line.split(": ", 1) for line in files(language="it")["probing.txt"].splitlines()]
    assert [name for name, _ in lines] == [
        "Canonical",
        "Canonical",
        "Contact",
        "Expires",
        "Preferred-Languages",
        "Description",
    ]
    values = dict(lines)
    assert values["Canonical"] == "https://survey-2.cert.example/.well-known/probing.txt"
    assert (values["Contact"], values["Preferred-Languages"]) == ("mailto:optout@cert.example", "it, en")
    assert dt.datetime.fromisoformat(values["Expires"]) == dt.datetime(2027, 2, 1, tzinfo=dt.UTC)


def test_the_source_of_the_sweep_is_taken_where_none_is_named() -> None:
    swept = dataclasses.replace(SCOPE, sweep=SweepTerms(source_address=ip_address("198.18.0.9")))  # type: ignore[arg-type]
    assert Kit.of(swept, (), DAY).sources == (ip_address("198.18.0.9"),)
    assert Kit.of(swept, SOURCES, DAY).sources == SOURCES


@pytest.mark.parametrize(
    ("scope", "sources", "problem"),
    [
        (dataclasses.replace(SCOPE, survey=None), SOURCES, r"scope\.toml: has no table \[survey\]"),
        (dataclasses.replace(SCOPE, grants=(OWN,)), SOURCES, "no grant is wide"),
        (SCOPE, (), "no address that the survey comes from; name it with --source"),
        (with_survey(opt_out="optout@cert example"), SOURCES, "has no domain"),
        (with_survey(opt_out="optout@[198.18.0.1]"), SOURCES, "has no domain"),
    ],
)
def test_what_cannot_be_published_is_said(scope: Scope, sources: tuple[Address, ...], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        Kit.of(scope, sources, DAY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_of_the_text_is_too_long_for_a_mail(language: str) -> None:
    written = files(language=language)
    assert max(map(len, written["index.txt"].splitlines())) <= WIDTH
    assert tuple(written) == FILES


def test_each_language_has_the_same_texts_with_the_same_placeholders_and_none_is_left_over() -> None:
    def placeholders(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    own = []
    for language in LANGUAGES:
        file = resources.files("leadapron.report") / "messages" / "survey" / f"{language}.toml"
        own.append(module.tomllib.loads(file.read_text("utf-8")))
        assert not [key for key in own[-1] if key in known_texts(language)]
    assert {key: placeholders(text) for key, text in own[0].items()} == {
        key: placeholders(text) for key, text in own[1].items()
    }
    package = resources.files("leadapron.report")
    code = (package / "kit.py").read_text() + (package / "templates" / "survey.html").read_text()
    named = set(re.findall(r"""["']([a-z_]+)["']""", code))
    assert {key.partition(".")[0] for key in own[0]} - named == set()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_sticks_out_of_the_page(tmp_path: Path, width: int) -> None:
    window, content = measured(files(language="it")["index.html"], tmp_path, width)
    assert content <= window
