from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import leadapron

from scope_file import write_scope


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    return write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104])


@pytest.mark.parametrize(
    ("arguments", "first"), [((), "Announced audit of"), (("--lang", "it"), "Verifica annunciata")]
)
def test_the_note_is_in_a_language(tmp_path: Path, scope: Path, arguments: tuple[str, ...], first: str) -> None:
    options = ("--from", "192.0.2.10", "--from", "[2001:db8::1]", "--from", "192.0.2.64/28", "--phone", "112")
    result = leadapron(tmp_path, "announce", scope, *options, *arguments)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(first)
    assert "192.0.2.10, 2001:db8::1, 192.0.2.64/28" in result.stdout
    assert ": 112\n" in result.stdout
    assert not (tmp_path / "data").exists()


def test_the_facts_as_json(tmp_path: Path, scope: Path) -> None:
    result = leadapron(tmp_path, "announce", scope, "--json", "--from", "192.0.2.10")
    facts = json.loads(result.stdout)
    assert (facts["scope"]["id"], facts["vantage"]["addresses"]) == ("test", ["192.0.2.10"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "here"), "--from: 'here' is no address and no network; write 198.18.0.1 or 2001:db8::/64"),
        (("--phone", "1\n2"), "--phone: is longer than 200 characters or not plain text; write one short line"),
        (("--json", "--lang", "it"), "--lang serves the note only; leave it out, or leave out --json"),
        (("--lang", "de"), "no texts in language 'de'; choose one of en, it"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, scope: Path, arguments: tuple[str, ...], said: str) -> None:
    result = leadapron(tmp_path, "announce", scope, *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"{said}\n")
