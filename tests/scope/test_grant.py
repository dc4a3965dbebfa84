from __future__ import annotations

import datetime as dt
import hashlib
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from scope_samples import FILE, MINIMAL, TODAY

from leadapron.errors import InputError, ScopeErrors
from leadapron.lab import tls
from leadapron.model import Depth, VantageKind
from leadapron.scope.grant import AttributionFiles, Budget, Pace, Ports, Scope, load_scope
from leadapron.scope.mmdb import Kind
from leadapron.scope.read import MAX_SIZE, parse_scope
from leadapron.scope.window import Window
from mmdb_files import CITIES, COUNTRIES, SYSTEMS, write_mmdb


def load(folder: Path, text: str | bytes, today: dt.date = TODAY) -> Scope:
    path = folder / "scope.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_scope(path, today=today)


def mistakes(folder: Path, text: str | bytes, today: dt.date = TODAY) -> list[tuple[int, str, str]]:
    with pytest.raises(ScopeErrors) as caught:
        load(folder, text, today)
    assert all(error.remedy and "\n" not in str(error) for error in caught.value.errors)
    return [(error.line, error.key, error.problem) for error in caught.value.errors]


def line(start: str, text: str = FILE) -> int:
    return next(number for number, found in enumerate(text.splitlines(), 1) if found.startswith(start))


def test_a_whole_file(tmp_path: Path) -> None:
    scope = load(tmp_path, FILE)
    (grant,), (zone,) = scope.grants, scope.zones
    assert (scope.version, scope.id, scope.vantage.kind) == (1, "own-estate", VantageKind.INTERNET)
    assert scope.sha256 == hashlib.sha256(FILE.encode()).hexdigest()
    assert scope.path == tmp_path / "scope.toml"
    assert grant.networks == (ip_network("198.18.0.0/24"),)
    assert grant.exclude == (ip_network("198.18.0.7/32"), ip_network("198.18.0.64/28"))
    assert (grant.depth, grant.valid_until) == (Depth.CENSUS, dt.date(2027, 2, 1))
    assert (zone.max_depth, zone.gap_seconds) == (Depth.CONNECT, 2.0)
    assert zone.window == Window.parse("22:00-05:00 Europe/Berlin")
    assert scope.budget == Budget(associations=12, queries=40, answers=20_000, seconds=60.0)


def test_defaults(tmp_path: Path) -> None:
    scope = load(tmp_path, MINIMAL)
    assert (scope.ports, scope.pace, scope.budget) == (Ports(), Pace(), Budget())
    assert scope.ports.by_door["dicom"] == (104, 2762, 4242, 11112)
    assert (scope.contact.calling_aet, scope.zones, scope.infrastructure) == ("LEADAPRON", (), ())
    grant = scope.grants[0]
    assert not (grant.wide)
    assert not (grant.well_known_titles)
    assert not (grant.cleartext_census)
    assert not (grant.blank_login)
    assert not (grant.document)


def test_today_is_the_default_day(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    text = MINIMAL.replace("2026-11-01", str(today)).replace("2027-02-01", str(today))
    (tmp_path / "scope.toml").write_text(text)
    assert load_scope(tmp_path / "scope.toml").grants[0].valid_until == today


def test_a_client_certificate_is_a_pair_of_files_that_can_be_read(tmp_path: Path) -> None:
    pair, other = tls.made_up("auditor.example"), tls.made_up("other.example")
    locked = load_pem_private_key(pair.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for name, content in (("a.pem", pair.certificate), ("a.key", pair.key), ("both.pem", pair.certificate + pair.key)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "other.key").write_bytes(other.key)
    (tmp_path / "locked.key").write_bytes(locked)

    def certificate(certificate: str, key: str = "") -> str:
        return f'{MINIMAL}client_certificate = "{certificate}"\nclient_key = "{key}"\n'

    grant = load(tmp_path, certificate("a.pem", "a.key")).grants[0]
    assert grant.key_pair == (tmp_path / "a.pem", tmp_path / "a.key")
    assert load(tmp_path, certificate("both.pem")).grants[0].key_pair == (tmp_path / "both.pem",) * 2
    place = line("networks", MINIMAL) + 1
    for each in (
        ("a.pem", "other.key"),
        ("a.pem", "locked.key"),
        ("a.pem", ""),
        ("lost.pem", "a.key"),
        ("a.key", "a.pem"),
    ):
        assert mistakes(tmp_path, certificate(*each)) == [
            (place, "grant[0].client_certificate", "and its key are no pair of files that can be read")
        ]
    assert mistakes(tmp_path, certificate("", "a.key")) == [
        (place + 1, "grant[0].client_key", "has no certificate beside it")
    ]


def test_a_document_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "letter.pdf").write_bytes(b"%PDF")
    grant = load(tmp_path, MINIMAL + 'document = "letter.pdf"\n').grants[0]
    assert (grant.document, grant.document_sha256) == ("letter.pdf", hashlib.sha256(b"%PDF").hexdigest())
    assert mistakes(tmp_path, MINIMAL + 'document = "lost.pdf"\n') == [
        (line("networks", MINIMAL) + 1, "grant[0].document", "'lost.pdf' cannot be read")
    ]


def test_databases_lie_beside_the_scope_file(tmp_path: Path) -> None:
    write_mmdb(tmp_path / "c.mmdb", CITIES)
    text = MINIMAL + '[attribution]\ncountry = "c.mmdb"\ncity = "c.mmdb"\n'
    files = load(tmp_path, text).attribution
    assert files == AttributionFiles(country=tmp_path / "c.mmdb", city=tmp_path / "c.mmdb")
    assert files.named() == {Kind.COUNTRY: tmp_path / "c.mmdb", Kind.CITY: tmp_path / "c.mmdb"}
    assert load(tmp_path, MINIMAL).attribution == AttributionFiles()


@pytest.mark.parametrize(
    ("line_of_file", "problem"),
    [
        ('country = "lost.mmdb"', "'lost.mmdb' is no file"),
        ('country = "."', "'.' is no file"),
        ('country = "a.txt"', "'a.txt' is not an MMDB file"),
        ('country = "asn.mmdb"', "'asn.mmdb' says nothing of countries"),
        ('city = "country.mmdb"', "'country.mmdb' says nothing of cities"),
        ('asn = "country.mmdb"', "'country.mmdb' says nothing of autonomous systems"),
        ("asn = 7", "is not a string"),
        ('state = "country.mmdb"', "is not a key of the scope file"),
    ],
)
def test_a_database_that_cannot_be_used_is_a_mistake(tmp_path: Path, line_of_file: str, problem: str) -> None:
    write_mmdb(tmp_path / "country.mmdb", COUNTRIES)
    write_mmdb(tmp_path / "asn.mmdb", SYSTEMS)
    (tmp_path / "a.txt").write_text("8.8.8.0/24 CH\n")
    text = f"{MINIMAL}[attribution]\n{line_of_file}\n"
    assert mistakes(tmp_path, text) == [(text.count("\n"), f"attribution.{line_of_file.split()[0]}", problem)]


def test_names_and_endpoints_are_normalised(tmp_path: Path) -> None:
    text = FILE.replace("names = []", 'names = ["PACS.Hospital.example."]')
    ours = ["[2001:DB8::1]:5432", "::ffff:10.0.0.53:53", "DB.example:5432", "10.0.0.53:53"]
    ours[1] = "[::ffff:10.0.0.54]:53"
    scope = load(tmp_path, text.replace("allow = []", f"allow = {ours}"))
    assert scope.grants[0].names == ("pacs.hospital.example",)
    assert scope.infrastructure == (
        ("2001:db8::1", 5432),
        ("10.0.0.54", 53),
        ("db.example", 5432),
        ("10.0.0.53", 53),
    )
    assert scope.names == ("pacs.hospital.example", "db.example")


CHANGES = [
    # old, new, where the line begins, key, part of the problem
    ('id = "own-estate"\n', 'idd = "own-estate"\n', "idd", "idd", "not a key"),
    ("version = 1", "version = 2", "version", "version", "choices"),
    ("gap_seconds", "gap_second", "gap_second", "zone[0].gap_second", "not a key"),
    ("[pace]", "[pice]", "[pice]", "pice", "not a key"),
    ('owner = "Example Hospital"\n', "", "[[grant]]", "grant[0].owner", "missing"),
    ('owner = "Example Hospital"', 'owner = " "', "owner", "grant[0].owner", "empty"),
    ('owner = "Example Hospital"', "owner = 7", "owner", "grant[0].owner", "not a string"),
    ('owner = "Example Hospital"', 'owner = "a\\nb"', "owner", "grant[0].owner", "plain text"),
    ('kind = "internet"', 'kind = "moon"', "kind", "vantage.kind", "choices"),
    ('basis = "owner"', 'basis = "hope"', "basis", "grant[0].basis", "choices"),
    ('depth = "census"', 'depth = "deep"', "depth", "grant[0].depth", "not a depth"),
    ('depth = "census"', "depth = 4", "depth", "grant[0].depth", "not a depth"),
    ("blank_login = false", 'blank_login = "no"', "blank_login", "grant[0].blank_login", "true or false"),
    ("blank_login = false", "blank_login = 0", "blank_login", "grant[0].blank_login", "true or false"),
    ('"198.18.0.0/24"', '"198.18.0.1/24"', "networks", "grant[0].networks[0]", "host bits"),
    ('"198.18.0.0/24"', '"198.18.0.0/33"', "networks", "grant[0].networks[0]", "not a network"),
    ('"198.18.0.0/24"', '"198.18.0.0/0.0.0.255"', "networks", "grant[0].networks[0]", "mask"),
    ('"198.18.0.0/24"', '"::ffff:198.18.0.0/120"', "networks", "grant[0].networks[0]", "IPv4-mapped"),
    ('"198.18.0.0/24"', '"fe80::1%eth0"', "networks", "grant[0].networks[0]", "scope id"),
    ('["198.18.0.0/24"]', '["198.0.0.0/7"]', "networks", "grant[0].networks[0]", "wider than /8"),
    ('["198.18.0.0/24"]', '["198.18.0.0/24", "2000::/31"]', "networks", "grant[0].networks[1]", "wider than /32"),
    ('["198.18.0.0/24"]', '"198.18.0.0/24"', "networks", "grant[0].networks", "a list"),
    ('"198.18.0.7"', '"198.18.0.700"', '    "198.18.0.700"', "grant[0].exclude[0]", "not a network"),
    ('"198.18.0.64/28"', '"198.18.0.65/28"', '    "198.18.0.65', "grant[0].exclude[1]", "host bits"),
    ("names = []", 'names = ["10.0.0.1"]', "names", "grant[0].names[0]", "an address"),
    ("names = []", 'names = ["*.hospital.example"]', "names", "grant[0].names[0]", "not a host name"),
    ("called_aets = []", 'called_aets = ["A\\\\B"]', "called_aets", "grant[0].called_aets[0]", "not an AE title"),
    ("called_aets = []", 'called_aets = ["ABCDEFGHIJKLMNOPQ"]', "called_aets", "grant[0].called_aets[0]", "AE title"),
    ("called_aets = []", 'called_aets = ["OK", "   "]', "called_aets", "grant[0].called_aets[1]", "empty AE title"),
    ('"LEADAPRON"', '"LEAD\\tAPRON"', "calling_aet", "contact.calling_aet", "AE title"),
    ("security@", "security at ", "email", "contact.email", "e-mail"),
    ('country = "DE"', 'country = "Germany"', "country", "grant[0].country", "country code"),
    ("valid_until = 2027-02-01", "valid_until = 2026-11-19", "valid_until", "grant[0].valid_until", "expired"),
    (
        "valid_until = 2027-02-01",
        "valid_until = 2026-10-31",
        "valid_until",
        "grant[0].valid_until",
        "before valid_from",
    ),
    ("valid_until = 2027-02-01", "valid_until = 9999-12-31", "valid_until", "grant[0].valid_until", "credible"),
    ("valid_until = 2027-02-01", 'valid_until = "2027"', "valid_until", "grant[0].valid_until", "not a date"),
    ("valid_from = 2026-11-01", "valid_from = 2026-11-01T00:00:00Z", "valid_from", "grant[0].valid_from", "not a date"),
    ("valid_from = 2026-11-01", "valid_from = 2026-11-21", "valid_from", "grant[0].valid_from", "no grant holds yet"),
    ('networks = ["198.18.0.0/24"]', "networks = []", "[[grant]]", "grant[0]", "grants nothing"),
    ('"198.18.0.128/25"', '"198.18.1.0/24"', 'networks = ["198.18.1', "zone[0].networks[0]", "outside all grants"),
    ('["198.18.0.128/25"]', "[]", "networks = []", "zone[0].networks", "empty"),
    ("22:00-05:00 Europe/Berlin", "22:00", "window", "zone[0].window", "form"),
    ("gap_seconds = 2.0", "gap_seconds = -1", "gap_seconds", "zone[0].gap_seconds", "seconds"),
    ("gap_seconds = 2.0", "gap_seconds = nan", "gap_seconds", "zone[0].gap_seconds", "seconds"),
    ("[104, ", "[0, ", "dicom", "ports.dicom[0]", "not a port"),
    ("11112]", "65536]", "dicom", "ports.dicom[3]", "not a port"),
    ("11112]", "true]", "dicom", "ports.dicom[3]", "not a port"),
    (
        "connections_per_second = 500",
        "connections_per_second = 0",
        "connections",
        "pace.connections_per_second",
        "positive",
    ),
    ("per_network = 100", "per_network = inf", "per_network", "pace.per_network", "positive"),
    ("queries = 40", "queries = 4.5", "queries", "budget.queries", "whole number"),
    ("associations = 12", "associations = 0", "associations", "budget.associations", "whole number"),
    ("allow = []", 'allow = ["10.0.0.53"]', "allow", "infrastructure.allow[0]", "endpoint"),
    ("allow = []", 'allow = ["2001:db8::1:53"]', "allow", "infrastructure.allow[0]", "endpoint"),
    ("allow = []", 'allow = ["10.0.0.53:0"]', "allow", "infrastructure.allow[0]", "port"),
    ("[infrastructure]\nallow = []", "infrastructure = 1", "infrastructure", "budget.infrastructure", "not a key"),
]


@pytest.mark.parametrize(("old", "new", "start", "key", "problem"), CHANGES, ids=[f"{c[3]}-{c[4]}" for c in CHANGES])
def test_each_mistake_has_its_line_and_key(
    tmp_path: Path, old: str, new: str, start: str, key: str, problem: str
) -> None:
    assert old in FILE
    text = FILE.replace(old, new, 1)
    found = mistakes(tmp_path, text)
    assert (line(start, text), key) in [(number, where) for number, where, _ in found]
    assert any(where == key and problem in what for _, where, what in found)


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScopeErrors, match="write 'networks'"):
        load(tmp_path, FILE.replace('networks = ["198.18.0.0/24"]', "network = []"))


def test_all_mistakes_come_at_once_in_order(tmp_path: Path) -> None:
    text = FILE.replace("/24", "/99").replace("2027-02-01", "2025-01-01").replace("per_network", "pernetwork")
    text = text.replace('kind = "internet"', "")
    lines = [number for number, _, _ in mistakes(tmp_path, text)]
    assert lines == sorted(lines)
    assert len(lines) == 3  # a grant that cannot be read is not looked at further


def test_a_sound_grant_is_checked_beside_an_unsound_one(tmp_path: Path) -> None:
    second = MINIMAL[MINIMAL.index("[[grant]]") :].replace('"one"', '"two"').replace("2027-02-01", "2026-11-02")
    found = mistakes(tmp_path, FILE.replace("/24", "/99") + "\n" + second)
    assert [key for _, key, _ in found] == ["grant[0].networks[0]", "grant[1].valid_until"]


def test_ids_are_unique(tmp_path: Path) -> None:
    again = MINIMAL[MINIMAL.index("[[grant]]") :]
    found = mistakes(tmp_path, MINIMAL + again)
    assert found == [(MINIMAL.count("\n") + 2, "grant[1].id", "'one' is the id of another grant too")]
    zone = '[[zone]]\nname = "z"\nnetworks = ["198.18.0.0/30"]\n'
    assert mistakes(tmp_path, MINIMAL + zone + zone)[0][1] == "zone[1].name"


def test_statutory_needs_a_reference(tmp_path: Path) -> None:
    text = MINIMAL.replace('basis = "owner"', 'basis = "statutory"')
    assert mistakes(tmp_path, text)[0][1:] == ("grant[0]", "has a statutory basis without a reference")
    assert load(tmp_path, text + 'reference = "BSIG § 7c"\n').grants[0].reference == "BSIG § 7c"


def test_wide_has_to_be_meant(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("What this is.")
    text = MINIMAL.replace("198.18.0.0/24", "0.0.0.0/0")
    survey = '[survey]\nopt_out = "optout@cert.example"\npage = "page.txt"\n'
    assert [key for _, key, _ in mistakes(tmp_path, text + survey)] == ["grant[0].networks[0]"]
    assert load(tmp_path, text + "wide = true\n" + survey).grants[0].wide
    assert load(tmp_path, MINIMAL.replace("198.18.0.0/24", "10.0.0.0/8"))


def test_both_days_are_included(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL, dt.date(2027, 2, 1))
    assert load(tmp_path, MINIMAL, dt.date(2026, 11, 1))
    assert mistakes(tmp_path, MINIMAL, dt.date(2027, 2, 2))
    assert mistakes(tmp_path, MINIMAL, dt.date(2026, 10, 31))


def test_one_grant_may_begin_later(tmp_path: Path) -> None:
    later = MINIMAL[MINIMAL.index("[[grant]]") :].replace('"one"', '"two"').replace("2026-11-01", "2027-01-01")
    assert len(load(tmp_path, MINIMAL + later).grants) == 2


def test_a_zone_may_lie_anywhere_when_a_grant_has_names(tmp_path: Path) -> None:
    text = FILE.replace("198.18.0.128/25", "203.0.113.0/24").replace("names = []", 'names = ["pacs.example"]')
    assert load(tmp_path, text).zones


def test_no_grant_at_all(tmp_path: Path) -> None:
    text = MINIMAL[: MINIMAL.index("[[grant]]")]
    assert ("grant", "is missing") in [found[1:] for found in mistakes(tmp_path, text)]
    assert ("grant", "is empty") in [found[1:] for found in mistakes(tmp_path, "grant = []\n" + text)]


@pytest.mark.parametrize(
    ("text", "number", "problem"),
    [
        ("version = 1\nid = \n", 2, "not TOML"),
        ("version = 1\nid = 'a", 2, "not TOML"),
        ("a = 1\na = 2\n\n", 2, "not TOML"),
        (b"version = 1\n\nid = '\xff'\n", 3, "not UTF-8"),
        ("a = " + "[" * 100_000, 0, "nested"),
        ("#" * MAX_SIZE + "#", 0, "larger than 16 MiB"),
    ],
)
def test_what_is_no_toml(tmp_path: Path, text: str | bytes, number: int, problem: str) -> None:
    (found,) = mistakes(tmp_path, text)
    assert problem in found[2]
    assert found[0] == number


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_what_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_scope(tmp_path / name, today=TODAY)


@given(st.data())
def test_any_change_gives_a_scope_or_its_mistakes(data: st.DataObject) -> None:
    raw = bytearray(FILE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 6))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"[", b"=", b"\n"])
        )
    try:
        parse_scope(bytes(raw), Path("scope.toml"), today=TODAY)
    except ScopeErrors as errors:
        assert all(error.problem and error.remedy and error.line >= 0 for error in errors.errors)
