from __future__ import annotations

import hashlib
import os
from ipaddress import ip_address
from pathlib import Path

import pytest
from scope_samples import MINIMAL, TODAY, Clock

from leadapron.errors import RunStopped
from leadapron.scope.decision import Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
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
    assert watch.poll() == hashlib.sha256(changed.encode()).hexdigest()
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
    monkeypatch.setattr(ScopeWatch, "_digest", lambda _: pytest.fail("read"))
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
