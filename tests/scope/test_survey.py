"""`[sweep]` and `[survey]` of the scope file."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from netaddr import IPSet
from scope_samples import MINIMAL, TODAY, Clock

from leadapron.errors import ScopeErrors
from leadapron.lab import tls
from leadapron.scope.explain import overview
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, SweepTerms, load_scope
from leadapron.scope.special import SPECIAL4
from leadapron.scope.survey import MAX_PAGE, public_addresses

SURVEY = '[survey]\nopt_out = "optout@cert.example"\npage = "page.txt"\n'


def load(folder: Path, text: str) -> Scope:
    (folder / "scope.toml").write_text(text)
    return load_scope(folder / "scope.toml", today=TODAY)


def mistakes(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ScopeErrors) as caught:
        load(folder, text)
    assert all(error.remedy and "\n" not in str(error) for error in caught.value.errors)
    return [(error.line, error.key, error.problem) for error in caught.value.errors]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text("Wer wir sind, und warum.\n", encoding="utf-8")
    return tmp_path


def test_the_sweep_is_as_fast_as_connections_unless_told(folder: Path) -> None:
    plain = load(folder, MINIMAL)
    assert (plain.sweep, plain.packets_per_second, plain.survey) == (SweepTerms(), 500.0, None)
    told = load(folder, MINIMAL + "[sweep]\npackets_per_second = 100000\n[pace]\nconnections_per_second = 50\n")
    assert (told.packets_per_second, told.pace.connections_per_second) == (100_000.0, 50.0)


def test_all_that_is_told_of_the_sweep(folder: Path) -> None:
    text = """
[sweep]
method = "syn"
packets_per_second = 100000
bits_per_second = 50000000
probes = 2
cooldown_seconds = 4.5
source_address = "198.18.0.1"
source_ports = "62000-62999"
processes = 8
"""
    assert load(folder, MINIMAL + text).sweep == SweepTerms(
        method="syn",
        packets_per_second=100_000.0,
        bits_per_second=50_000_000.0,
        probes=2,
        cooldown_seconds=4.5,
        source_address=ip_address("198.18.0.1"),
        source_ports=(62_000, 62_999),
        processes=8,
    )
    assert load(folder, MINIMAL + '[sweep]\nsource_ports = "61000"\n').sweep.source_ports == (61_000, 61_000)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('method = "udp"', "is not one of the choices"),
        ("packets_per_second = 0", "is not a positive number"),
        ("packets_per_second = true", "is not a positive number"),
        ("bits_per_second = 999", "is not a rate in bits a second"),
        ("bits_per_second = nan", "is not a rate in bits a second"),
        ("probes = 0", "is not a number of probes"),
        ("probes = 6", "is not a number of probes"),
        ("probes = 1.0", "is not a number of probes"),
        ("cooldown_seconds = 0.5", "is not a number of seconds"),
        ("cooldown_seconds = 61", "is not a number of seconds"),
        ("cooldown_seconds = nan", "is not a number of seconds"),
        ('source_address = "2001:db8::1"', "'2001:db8::1' is not an IPv4 address"),
        ('source_address = "0.0.0.0"', "0.0.0.0 is nobody's address"),
        ('source_address = "224.0.0.1"', "224.0.0.1 is nobody's address"),
        ('source_address = "255.255.255.255"', "255.255.255.255 is nobody's address"),
        ('source_ports = "61000-"', "is not a range of ports"),
        ("source_ports = [61000, 65535]", "is not a string"),
        ('source_ports = "65535-61000"', "ends before it begins"),
        ('source_ports = "61000-65536"', "is not a port"),
        ('source_ports = "0-10"', "is not a port"),
        ("processes = 65", "is not a number of processes"),
        ("rate = 7", "is not a key of the scope file"),
    ],
)
def test_a_mistake_in_the_sweep_has_its_line(folder: Path, line: str, problem: str) -> None:
    text = f"{MINIMAL}[sweep]\n{line}\n"
    assert mistakes(folder, text) == [(text.count("\n"), f"sweep.{line.split()[0]}", problem)]


def test_a_survey_knows_its_page(folder: Path) -> None:
    survey = load(folder, MINIMAL + SURVEY + 'url = "https://cert.example/survey"\n').survey
    assert survey is not None
    assert (survey.opt_out, survey.url, survey.exclusions) == (
        "optout@cert.example",
        "https://cert.example/survey",
        None,
    )
    assert (survey.page, survey.text) == (folder / "page.txt", "Wer wir sind, und warum.\n")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('opt_out = "optout@cert.example"', 'opt_out = "cert.example"', "is not an e-mail address"),
        ('opt_out = "optout@cert.example"\n', "", "is missing"),
        ('page = "page.txt"\n', "", "is missing"),
        ('page = "page.txt"', 'page = ""', "is empty"),
        ('page = "page.txt"', 'page = "lost.txt"', "'lost.txt' cannot be read: No such file or directory"),
        ('page = "page.txt"', 'page = "."', "'.' cannot be read: Is a directory"),
        ('page = "page.txt"', 'page = "blank.txt"', "'blank.txt' is empty"),
        ('page = "page.txt"', 'page = "latin.txt"', "'latin.txt' is not UTF-8"),
        ('page = "page.txt"', 'page = "large.txt"', "'large.txt' is larger than 64 KiB"),
    ],
)
def test_a_survey_that_cannot_be_read_about_is_a_mistake(folder: Path, old: str, new: str, problem: str) -> None:
    (folder / "blank.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes("Übersicht".encode("latin-1"))
    (folder / "large.txt").write_text("x" * (MAX_PAGE + 1))
    assert old in SURVEY
    ((_, key, found),) = mistakes(folder, MINIMAL + SURVEY.replace(old, new))
    assert (key, found) == (f"survey.{old.split()[0]}", problem)


def test_a_page_may_be_as_large_as_the_limit(folder: Path) -> None:
    (folder / "page.txt").write_text("x" * MAX_PAGE)
    assert load(folder, MINIMAL + SURVEY).survey is not None


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://cert.example/", "cert.example", "https://", "https://a@cert.example/", "javascript:alert(1)"),
        *('https://cert.example/\\"onload', "https://cert.example/a b", "https://[::1", "https://ü.example/"),
        "http://cert.example:99999/",
    ],
)
def test_a_web_address_is_one_that_can_stand_in_a_page(folder: Path, url: str) -> None:
    ((_, key, problem),) = mistakes(folder, f'{MINIMAL}{SURVEY}url = "{url}"\n')
    assert key == "survey.url"
    assert problem.endswith("is not a web address")


def test_a_wide_grant_needs_a_survey(folder: Path) -> None:
    text = MINIMAL.replace("198.18.0.0/24", "0.0.0.0/0") + "wide = true\n"
    assert mistakes(folder, text) == [(text.count("\n"), "grant[0].wide", "needs a table [survey]")]
    assert load(folder, text + SURVEY).grants[0].wide
    # A mistake in the table is not told twice.
    assert [key for _, key, _ in mistakes(folder, text + SURVEY.replace("page.txt", "lost.txt"))] == ["survey.page"]


def test_the_overview_holds_the_rate_that_holds(folder: Path) -> None:
    scope = load(folder, MINIMAL + SURVEY)
    view = overview(Gate(scope, clock=Clock()), Clock().now)
    assert (view.sweep.packets_per_second, view.sweep.method) == (500.0, "auto")
    assert view.survey is not None
    assert (view.survey.opt_out, view.survey.page, view.survey.exclusions) == ("optout@cert.example", "page.txt", "")


def wide(depth: str = "talk", basis: str = "owner") -> str:
    text = MINIMAL.replace("198.18.0.0/24", "0.0.0.0/0") + "wide = true\n"
    return text.replace('"talk"', f'"{depth}"').replace('basis = "owner"', f'basis = "{basis}"')


LAW = 'reference = "BSIG § 7c"\n'


@pytest.mark.parametrize(
    ("depth", "basis", "problem"),
    [
        ("connect", "owner", None),
        ("talk", "owner", None),
        ("talk", "statutory", None),
        ("count", "statutory", None),
        ("count", "owner", "is count, in a wide grant that no law is the basis of"),
        ("count", "partner", "is count, in a wide grant that no law is the basis of"),
        ("census", "owner", "is census, in a wide grant"),
        ("census", "statutory", "is census, in a wide grant"),
    ],
)
def test_a_survey_goes_less_deep(folder: Path, depth: str, basis: str, problem: str | None) -> None:
    text = wide(depth, basis) + LAW + SURVEY
    if problem is None:
        assert load(folder, text).grants[0].depth.name.lower() == depth
    else:
        number = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith("depth"))
        assert mistakes(folder, text) == [(number, "grant[0].depth", problem)]


def test_a_law_has_to_be_cited(folder: Path) -> None:
    text = wide("count", "statutory") + SURVEY
    assert [found[1:] for found in mistakes(folder, text)] == [
        ("grant[0]", "has a statutory basis without a reference")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "cleartext_census = true",
        "blank_login = true",
        'called_aets = ["PACS"]',
        'calling_aets = ["CT1"]',
        "well_known_titles = true",
        'client_certificate = "pair.pem"',
    ],
)
def test_what_only_an_owner_can_say_is_no_part_of_a_survey(folder: Path, line: str) -> None:
    pair = tls.made_up("auditor.example")
    (folder / "pair.pem").write_bytes(pair.certificate + pair.key)
    text = wide() + line + "\n"
    key = f"grant[0].{line.split()[0]}"
    assert mistakes(folder, text + SURVEY) == [
        (text.count("\n"), key, "is an owner's word, and a wide grant has many owners")
    ]
    assert load(folder, MINIMAL + line + "\n").grants


@pytest.mark.parametrize(
    ("networks", "size"),
    [
        (["8.0.0.0/12"], 1 << 20),
        (["8.0.0.0/12", "8.0.0.0/13", "8.15.255.255"], 1 << 20),
        (["8.0.0.0/12", "9.0.0.0/32"], (1 << 20) + 1),
        (["8.0.0.0/8"], 1 << 24),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "240.0.0.0/8"], 0),
        (["198.16.0.0/13"], (1 << 19) - (1 << 17)),
        (["0.0.0.0/0"], 3_702_257_664),
        (["2001:db8::/32"], 0),
    ],
)
def test_public_addresses_are_counted_once_and_without_special_ones(networks: list[str], size: int) -> None:
    found = [ip_network(network) for network in networks]
    held = IPSet([network for network in networks if ":" not in network])
    assert public_addresses(found) == size == len(held - IPSet([str(block) for block, _ in SPECIAL4]))


def test_more_than_a_twelfth_prefix_of_public_addresses_has_to_be_meant(folder: Path) -> None:
    def of(*networks: str) -> str:
        return MINIMAL.replace('["198.18.0.0/24"]', str(list(networks)).replace("'", '"'))

    assert load(folder, of("8.0.0.0/13", "9.0.0.0/13"))
    assert load(folder, of("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "8.0.0.0/12"))
    text = of("8.0.0.0/13", "9.0.0.0/13", "11.0.0.1")
    problem = "hold 1,048,577 public IPv4 addresses, more than 1,048,576"
    assert mistakes(folder, text) == [(text.count("\n"), "grant[0].networks", problem)]
    assert load(folder, text + "wide = true\n" + SURVEY)


def test_a_survey_of_all_of_ipv4_leaves_out_special_blocks_and_nothing_else(folder: Path) -> None:
    gate = Gate(load(folder, wide() + SURVEY), clock=Clock())
    swept = gate.intervals(4)
    assert sum(last - first + 1 for first, last in swept) == 3_702_257_664
    assert [str(ip_address(value)) for value in (swept[0][0], swept[0][1], swept[1][0], swept[-1][1])] == [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "223.255.255.255",
    ]
    view = overview(gate, Clock().now)
    assert len(view.special) == len(SPECIAL4)
    assert view.connections == 3_702_257_664 * len(gate.scope.ports.all)


def test_the_grants_of_owners_keep_their_depth_inside_a_survey(folder: Path) -> None:
    own = MINIMAL[MINIMAL.index("[[grant]]") :].replace('"one"', '"own"').replace("198.18.0.0/24", "11.0.0.0/24")
    deep = own.replace('"talk"', '"census"') + "blank_login = true\n"
    shy = own.replace('"own"', '"shy"').replace("11.0.0.0/24", "11.0.0.128/25").replace('"talk"', '"connect"')
    gate = Gate(load(folder, wide() + deep + shy + SURVEY), clock=Clock())
    depths = {
        address: gate.depth_now(ip_address(address))
        for address in ("10.255.255.255", "11.0.0.1", "11.0.0.200", "11.0.1.0")
    }
    assert depths == {"10.255.255.255": 0, "11.0.0.1": 4, "11.0.0.200": 1, "11.0.1.0": 2}
