"""Grants by country and by autonomous system."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from scope_samples import MINIMAL, TODAY, Clock

from leadapron.errors import RunStopped, ScopeErrors
from leadapron.scope import snapshot as module
from leadapron.scope.explain import overview
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Scope, Snapshot, identity, load_scope
from leadapron.scope.special import SPECIAL4, SPECIAL6
from leadapron.scope.watch import ScopeWatch
from mmdb_files import BUILT, write_mmdb

SURVEY = '[survey]\nopt_out = "optout@cert.example"\npage = "page.txt"\n'
COUNTRIES: dict[str, Any] = {
    "11.0.0.0/17": {"country": {"iso_code": "DE"}},
    "11.0.128.0/17": {"country": {"iso_code": "DE"}},
    "12.0.0.0/24": {"country_code": "FR"},
    "192.168.0.0/16": {"country": {"iso_code": "DE"}},
    "2a00:1450::/32": {"country": {"iso_code": "DE"}},
    "2001:db8::/32": {"country": {"iso_code": "DE"}},
}
SYSTEMS: dict[str, Any] = {
    "11.0.0.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"},
    "11.0.2.0/24": {"autonomous_system_number": 64501},
    "11.0.4.0/24": {"asn": "AS64500"},
}
DELEGATED = """\
2|ripencc|1790287199|4|19830705|20261126|+0100
ripencc|*|ipv4|*|3|summary
ripencc|*|ipv6|*|1|summary
ripencc|DE|ipv4|11.0.0.0|1536|20100712|allocated|x
ripencc|FR|ipv4|12.0.0.0|256|20100712|assigned|y
ripencc|DE|ipv4|9.255.255.0|512|20100712|allocated|x
ripencc|DE|ipv6|2a00:1450::|32|20090904|allocated|x
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text("What this is.")
    write_mmdb(tmp_path / "country.mmdb", COUNTRIES)
    write_mmdb(tmp_path / "asn.mmdb", SYSTEMS, name="Test-ASN")
    (tmp_path / "delegated").write_text(DELEGATED)
    return tmp_path


def text_of(lines: str, *, wide: bool = True) -> str:
    grant = MINIMAL.replace('networks = ["198.18.0.0/24"]\n', lines + "\n")
    return grant + ("wide = true\n" + SURVEY if wide else SURVEY)


def load(folder: Path, text: str) -> Scope:
    (folder / "scope.toml").write_text(text)
    return load_scope(folder / "scope.toml", today=TODAY)


def mistakes(folder: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(ScopeErrors) as caught:
        load(folder, text)
    assert all(error.remedy and "\n" not in str(error) for error in caught.value.errors)
    return [(error.key, error.problem) for error in caught.value.errors]


def networks(scope: Scope) -> list[str]:
    return [str(network) for network in scope.grants[0].networks]


def test_a_country_of_an_mmdb_file_is_merged_and_without_special_blocks(folder: Path) -> None:
    scope = load(folder, text_of('countries = ["DE"]\nsnapshot = "country.mmdb"'))
    assert networks(scope) == ["11.0.0.0/16", "2a00:1450::/32"]
    assert scope.grants[0].taken == ("DE",)
    assert scope.grants[0].snapshot == Snapshot(
        file="country.mmdb",
        kind="mmdb",
        title="Test-Country",
        date=BUILT.date(),
        sha256=hashlib.sha256((folder / "country.mmdb").read_bytes()).hexdigest(),
        networks=2,
        addresses4=1 << 16,
    )
    gate = Gate(scope, clock=Clock())
    assert gate.intervals(4) == [(int(ip_address("11.0.0.0")), int(ip_address("11.0.255.255")))]
    assert gate.depth_now(ip_address("192.168.0.1")) == 0
    both = load(folder, text_of('countries = ["DE", "FR"]\nsnapshot = "country.mmdb"'))
    assert networks(both) == ["11.0.0.0/16", "12.0.0.0/24", "2a00:1450::/32"]


def test_autonomous_systems(folder: Path) -> None:
    scope = load(folder, text_of('as_numbers = [64500]\nsnapshot = "asn.mmdb"'))
    assert networks(scope) == ["11.0.0.0/24", "11.0.4.0/24"]
    assert scope.grants[0].taken == ("AS64500",)
    (line,) = overview(Gate(scope, clock=Clock()), Clock().now).grants
    assert line.taken == ("AS64500",)
    assert line.snapshot.startswith(f"asn.mmdb (Test-ASN, {BUILT.date()}), SHA-256 ")
    assert line.snapshot.endswith(", 2 networks, 512 IPv4 addresses")


def test_a_country_of_the_statistics_of_a_registry(folder: Path) -> None:
    """11.0.0.0 and 1,536 addresses are no one network; of those from 9.255.255.0 on, half are private."""
    scope = load(folder, text_of('countries = ["DE"]\nsnapshot = "delegated"'))
    assert networks(scope) == ["9.255.255.0/24", "11.0.0.0/22", "11.0.4.0/23", "2a00:1450::/32"]
    snapshot = scope.grants[0].snapshot
    assert snapshot is not None
    assert (snapshot.kind, snapshot.title, snapshot.date) == ("delegated", "ripencc", dt.date(2026, 11, 26))
    assert (snapshot.networks, snapshot.addresses4) == (4, 256 + 1536)


@pytest.mark.parametrize(
    ("lines", "key", "problem"),
    [
        ('countries = ["DE"]', "countries", "says nothing by itself"),
        ("as_numbers = [64500]", "as_numbers", "says nothing by itself"),
        ('snapshot = "country.mmdb"', "snapshot", "is taken nothing from"),
        (
            'countries = ["DE"]\nas_numbers = [64500]\nsnapshot = "country.mmdb"',
            "as_numbers",
            "stands beside `countries`",
        ),
        (
            'countries = ["DE"]\nsnapshot = "country.mmdb"\nnetworks = ["11.0.0.0/24"]',
            "networks",
            "stand beside those of a snapshot",
        ),
        ('countries = ["Germany"]\nsnapshot = "country.mmdb"', "countries[0]", "is not a country code"),
        ('countries = [""]\nsnapshot = "country.mmdb"', "countries[0]", "is an empty country code"),
        (
            'as_numbers = ["AS64500"]\nsnapshot = "asn.mmdb"',
            "as_numbers[0]",
            "is not the number of an autonomous system",
        ),
        ('as_numbers = [0]\nsnapshot = "asn.mmdb"', "as_numbers[0]", "is not the number of an autonomous system"),
        ('countries = ["DE"]\nsnapshot = "lost.mmdb"', "snapshot", "'lost.mmdb' is no file"),
        ('countries = ["DE"]\nsnapshot = "."', "snapshot", "'.' is no file"),
        ('countries = ["DE"]\nsnapshot = "page.txt"', "snapshot", "'page.txt' is not an MMDB file"),
        ('countries = ["CH"]\nsnapshot = "country.mmdb"', "snapshot", "'country.mmdb' has no network of CH"),
        ('countries = ["DE"]\nsnapshot = "asn.mmdb"', "snapshot", "'asn.mmdb' has no network of DE"),
        ('as_numbers = [64499]\nsnapshot = "asn.mmdb"', "snapshot", "'asn.mmdb' has no network of AS64499"),
        (
            'as_numbers = [64500]\nsnapshot = "delegated"',
            "snapshot",
            "'delegated' does not say which networks an AS has",
        ),
    ],
)
def test_a_snapshot_that_cannot_be_used_is_a_mistake(folder: Path, lines: str, key: str, problem: str) -> None:
    found = mistakes(folder, text_of(lines))
    assert (f"grant[0].{key}", problem) in found
    assert len([where for where, _ in found if where.startswith("grant[0].")]) == 1


def test_a_country_is_a_survey(folder: Path) -> None:
    text = text_of('countries = ["DE"]\nsnapshot = "country.mmdb"', wide=False)
    assert mistakes(folder, text) == [("grant[0].snapshot", "makes the grant a survey")]
    deep = text_of('countries = ["DE"]\nsnapshot = "country.mmdb"').replace('"talk"', '"census"')
    assert mistakes(folder, deep) == [("grant[0].depth", "is census, in a wide grant")]


def test_a_registry_that_was_cut_off_is_no_smaller_country(folder: Path) -> None:
    (folder / "delegated").write_text(DELEGATED[: DELEGATED.rindex("ripencc|DE|ipv4")])
    problem = "'delegated' has fewer records than its summary lines promise: it was cut off"
    text = text_of('countries = ["DE"]\nsnapshot = "delegated"')
    assert mistakes(folder, text) == [("grant[0].snapshot", problem)]


def test_what_is_too_large_is_a_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of('countries = ["DE"]\nsnapshot = "delegated"')
    monkeypatch.setattr(module, "MAX_SIZE", 10)
    assert mistakes(folder, text) == [("grant[0].snapshot", "'delegated' is larger than 512 MiB")]
    monkeypatch.undo()
    monkeypatch.setattr(module, "MOST", 3)
    module._taken.cache_clear()
    assert mistakes(folder, text) == [("grant[0].snapshot", "'delegated' has more than 3 networks of them")]


def test_a_file_that_changes_while_it_is_read_is_a_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module._read

    def read(*arguments: Any) -> Any:
        found = whole(*arguments)
        (folder / "delegated").write_text(DELEGATED + "# more\n")
        return found

    monkeypatch.setattr(module, "_read", read)
    module._taken.cache_clear()
    text = text_of('countries = ["DE"]\nsnapshot = "delegated"')
    assert mistakes(folder, text) == [("grant[0].snapshot", "'delegated' changed while it was read")]


def test_another_snapshot_is_another_scope(folder: Path) -> None:
    text = text_of('countries = ["DE"]\nsnapshot = "delegated"')
    one = load(folder, text)
    assert load(folder, text).digests == one.digests
    assert one.sha256 != hashlib.sha256(text.encode()).hexdigest()
    assert identity(hashlib.sha256(text.encode()).hexdigest(), one.snapshots) == one.sha256
    (folder / "delegated").write_text(DELEGATED.replace("|1536|", "|1024|"))
    other = load(folder, text)
    assert other.sha256 != one.sha256
    assert networks(other)[1:3] == ["11.0.0.0/22", "2a00:1450::/32"]
    plain = load(folder, MINIMAL)
    assert plain.sha256 == hashlib.sha256(MINIMAL.encode()).hexdigest()


def test_what_was_read_holds_while_a_run_goes_on(folder: Path) -> None:
    text = text_of('countries = ["DE"]\nsnapshot = "delegated"')
    gate = Gate(load(folder, text), clock=Clock())
    watch = ScopeWatch(folder / "scope.toml", gate, today=TODAY)
    assert watch.poll() is None
    (folder / "delegated").write_text(DELEGATED.replace("|1536|", "|1024|"))
    assert watch.poll() is None
    assert gate.dial_allowed("11.0.5.1", 104) is None
    # A scope file that changes is read anew, with all that it names: that can only narrow.
    (folder / "scope.toml").write_text(text + "# seen by legal\n")
    assert watch.poll() is not None
    assert watch.poll() is None
    assert gate.dial_allowed("11.0.5.1", 104) is not None
    assert gate.dial_allowed("11.0.3.1", 104) is None
    (folder / "delegated").unlink()
    assert watch.poll() is None
    (folder / "scope.toml").write_text(text)
    with pytest.raises(RunStopped, match="'delegated' is no file"):
        watch.poll()


def test_notes_tell_of_wide_ipv6_once(folder: Path) -> None:
    more = {f"2a00:{number:x}::/32": {"country": {"iso_code": "DE"}} for number in range(0x2000, 0x2100, 2)}
    write_mmdb(folder / "country.mmdb", {**COUNTRIES, **more})
    scope = load(folder, text_of('countries = ["DE"]\nsnapshot = "country.mmdb"'))
    notes = [note for note in overview(Gate(scope, clock=Clock()), Clock().now).notes if "IPv6" in note]
    assert notes == [
        "129 IPv6 networks of grant 'one' are wider than /112: not swept, only addresses that are listed or named are tried"
    ]


def test_a_zone_may_lie_anywhere_in_a_country(folder: Path) -> None:
    zone = '[[zone]]\nname = "gentle"\nnetworks = ["11.0.1.0/24"]\nmax_depth = "connect"\n'
    gate = Gate(load(folder, text_of('countries = ["DE"]\nsnapshot = "delegated"') + zone), clock=Clock())
    assert [gate.depth_now(ip_address(text)) for text in ("11.0.0.1", "11.0.1.1")] == [2, 1]
    assert ip_network("11.0.0.0/22") in gate.scope.grants[0].networks


@pytest.mark.parametrize("seed", range(40))
def test_a_file_that_was_damaged_gives_networks_or_a_mistake(folder: Path, seed: int) -> None:
    choose = random.Random(seed)
    name = choose.choice(("country.mmdb", "delegated"))
    raw = bytearray((folder / name).read_bytes())
    for _ in range(choose.randint(1, 6)):
        at = choose.randrange(len(raw))
        raw[at : at + choose.randrange(3)] = choose.randbytes(choose.randrange(3))
    (folder / name).write_bytes(raw)
    try:
        scope = load(folder, text_of(f'countries = ["DE"]\nsnapshot = "{name}"'))
    except ScopeErrors as errors:
        assert [error.key for error in errors.errors] == ["grant[0].snapshot"]
        assert all(error.problem.isprintable() for error in errors.errors)
    else:
        special = [block for block, _ in (*SPECIAL4, *SPECIAL6)]
        for network in scope.grants[0].networks:
            assert not any(network.version == block.version and network.overlaps(block) for block in special)
