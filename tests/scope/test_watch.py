from __future__ import annotations

import datetime as dt
import hashlib
import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from scope_samples import MINIMAL, TODAY, Clock

from leadapron.errors import RunStopped
from leadapron.scope.decision import Denied
from leadapron.scope.exclusions import add_exclusions
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Exclusion, load_scope
from leadapron.scope.watch import ScopeWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scope.toml"
    path.write_text(MINIMAL)
    return path


@pytest.fixture
def gate(path: Path) -> Gate:
    return Gate(load_scope(path, today=TODAY), clock=Clock())


@pytest.fixture
def watch(path: Path, gate: Gate) -> ScopeWatch:
    return ScopeWatch(path, gate, today=TODAY)


def test_an_unchanged_file_says_nothing(path: Path, watch: ScopeWatch) -> None:
    assert watch.poll() is None
    path.touch()
    assert watch.poll() is None
    assert watch.poll() is None


def test_a_late_exclusion_narrows_the_gate_at_the_next_look(path: Path, gate: Gate, watch: ScopeWatch) -> None:
    assert watch.poll() is None
    changed = MINIMAL + 'exclude = ["198.18.0.7"]\n'
    path.write_text(changed)
    seen = watch.poll()
    assert seen is not None
    assert seen.digests == (hashlib.sha256(changed.encode()).hexdigest(), "")
    assert watch.poll() is None
    assert gate.dial_allowed("198.18.0.7", 104) is Denied.NARROWED
    path.write_text(MINIMAL.replace("198.18.0.0/24", "198.18.0.0/23"))
    assert watch.poll() is not None
    assert gate.dial_allowed("198.18.0.7", 104) is Denied.NARROWED
    assert gate.dial_allowed("198.18.1.7", 104) is Denied.NO_GRANT
    assert gate.depth_now(ip_address("198.18.0.8")) == 2


def test_new_infrastructure_without_an_address_stops_the_run(path: Path, gate: Gate, watch: ScopeWatch) -> None:
    """It could be any target."""
    path.write_text(MINIMAL + '[infrastructure]\nallow = ["db.example:5432"]\n')
    assert watch.poll() is not None
    path.write_text(MINIMAL + '[infrastructure]\nallow = ["pacsdb.example:104"]\n')
    with pytest.raises(RunStopped, match=r"pacsdb\.example"):
        watch.poll()


def test_a_change_of_the_same_size_within_one_tick_is_seen(path: Path, watch: ScopeWatch) -> None:
    assert watch.poll() is None
    before = path.stat()
    path.write_text(MINIMAL.replace("198.18.0.0/24", "198.18.0.0/25"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert watch.poll() is not None


def test_a_settled_file_is_not_read_again(path: Path, watch: ScopeWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapron.scope.watch.SETTLING", -1.0)
    assert watch.poll() is None
    monkeypatch.setattr(ScopeWatch, "_identity", lambda _: pytest.fail("read"))
    assert watch.poll() is None


def test_a_file_that_is_gone_stops_the_run(path: Path, watch: ScopeWatch) -> None:
    path.unlink()
    with pytest.raises(RunStopped, match="cannot be read"):
        watch.poll()
    path.mkdir()
    with pytest.raises(RunStopped, match="cannot be read"):
        watch.poll()


@pytest.mark.parametrize("text", ["", "version = ", MINIMAL.replace("/24", "/99"), MINIMAL.replace("2027", "2025")])
def test_a_file_with_mistakes_stops_the_run_and_goes_on_doing_so(path: Path, watch: ScopeWatch, text: str) -> None:
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(RunStopped, match="no longer holds"):
            watch.poll()


def test_a_file_that_is_replaced_is_followed(path: Path, watch: ScopeWatch) -> None:
    assert watch.poll() is None
    other = path.with_suffix(".new")
    other.write_text(MINIMAL.replace('"talk"', '"connect"'))
    other.replace(path)
    assert watch.poll() is not None


SURVEY = '[survey]\nopt_out = "optout@cert.example"\npage = "page.txt"\nexclusions = "exclusions.txt"\n'


@pytest.fixture
def exclusions(path: Path) -> Path:
    """The file of them, which a survey keeps."""
    (path.parent / "page.txt").write_text("What this is.")
    path.write_text(MINIMAL + SURVEY)
    file = path.parent / "exclusions.txt"
    file.touch()
    return file


def asked(network: str) -> Exclusion:
    since = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
    return Exclusion(network=ip_network(network), since=since, because="asked by mail")


def test_a_complaint_narrows_the_gate_at_the_next_look_and_the_scope_stays_the_same(
    exclusions: Path, gate: Gate, watch: ScopeWatch
) -> None:
    assert watch.poll() is None
    add_exclusions(exclusions, [asked("198.18.0.7")])
    seen = watch.poll()
    assert seen is not None
    assert (seen.sha256, seen.exclusions_sha256 != "") == (gate.scope.sha256, True)
    assert watch.poll() is None
    assert gate.dial_allowed("198.18.0.7", 104) is Denied.NARROWED
    assert gate.dial_allowed("198.18.0.8", 104) is None
    add_exclusions(exclusions, [asked("198.18.0.8")])
    assert watch.poll() is not None
    assert gate.dial_allowed("198.18.0.8", 104) is Denied.NARROWED


def test_an_exclusion_that_is_taken_back_still_holds_for_the_run(
    exclusions: Path, gate: Gate, watch: ScopeWatch
) -> None:
    add_exclusions(exclusions, [asked("198.18.0.7")])
    assert watch.poll() is not None
    exclusions.write_text("")
    assert watch.poll() is not None
    assert gate.dial_allowed("198.18.0.7", 104) is Denied.NARROWED


def test_words_in_the_exclusions_are_no_news(exclusions: Path, watch: ScopeWatch) -> None:
    add_exclusions(exclusions, [asked("198.18.0.7")])
    assert watch.poll() is not None
    exclusions.write_text(exclusions.read_text() + "# seen by legal\n")
    assert watch.poll() is None


def test_both_files_that_change_are_both_heeded(path: Path, exclusions: Path, gate: Gate, watch: ScopeWatch) -> None:
    assert watch.poll() is None
    path.write_text(MINIMAL.replace("/24", "/25") + SURVEY)
    add_exclusions(exclusions, [asked("198.18.0.7")])
    assert watch.poll() is not None
    assert watch.poll() is None
    assert [gate.dial_allowed(f"198.18.0.{last}", 104) for last in (7, 8, 200)] == [
        Denied.NARROWED,
        None,
        Denied.NARROWED,
    ]


def test_a_scope_that_no_longer_names_its_exclusions_lets_none_go(
    path: Path, exclusions: Path, gate: Gate, watch: ScopeWatch
) -> None:
    add_exclusions(exclusions, [asked("198.18.0.7")])
    assert watch.poll() is not None
    path.write_text(MINIMAL)
    assert watch.poll() is not None
    assert gate.dial_allowed("198.18.0.7", 104) is Denied.NARROWED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, r"exclusions .*cannot be read|exclusions no longer hold: .*cannot be read"),
        ("198.18.0.7\n", "exclusions no longer hold: line 1 of 'exclusions.txt': is not an exclusion"),
    ],
)
def test_exclusions_that_are_gone_or_broken_stop_the_run_and_go_on_doing_so(
    exclusions: Path, watch: ScopeWatch, text: str | None, why: str
) -> None:
    assert watch.poll() is None
    if text is None:
        exclusions.unlink()
    else:
        exclusions.write_text(text)
    for _ in range(2):
        with pytest.raises(RunStopped, match=why):
            watch.poll()


def test_settled_exclusions_are_not_read_again(
    exclusions: Path, watch: ScopeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadapron.scope.watch.SETTLING", -1.0)
    assert watch.poll() is None
    monkeypatch.setattr("leadapron.scope.watch.read_exclusions", lambda *_: pytest.fail("read"))
    assert watch.poll() is None
