from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadapron.cli.survey import survey_app
from leadapron.errors import InputError, ScopeErrors
from leadapron.report.kit import FILES
from leadapron.scope.grant import load_scope
from scope_file import write_scope

SURVEY = """
[survey]
opt_out = "optout@cert.example"
page = "page.txt"
exclusions = "exclusions.txt"
"""


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text("What this is.")
    return write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104], extra=SURVEY)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(survey_app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_what_is_excluded_is_listed_and_in_the_scope(scope: Path) -> None:
    said = run("exclude", scope, "198.18.0.7", "2001:db8::/32", "--because", "asked   by mail", "--asked-by", "NOC")
    assert said.splitlines() == [
        "198.18.0.7/32 is excluded: asked by mail",
        "2001:db8::/32 is excluded: asked by mail",
        f"2 exclusions stand in {scope.parent / 'exclusions.txt'}. A run that goes on heeds them within seconds.",
    ]
    assert [str(each.network) for each in load_scope(scope).exclusions] == ["198.18.0.7/32", "2001:db8::/32"]
    listed = run("exclusions", scope).splitlines()
    assert re.fullmatch(r"198\.18\.0\.7/32  20\d\d-\d\d-\d\d \d\d:\d\d UTC  asked by mail \(asked by NOC\)", listed[0])
    assert listed[2] == f"2 in {scope.parent / 'exclusions.txt'}"


def test_the_same_network_is_excluded_once(scope: Path) -> None:
    run("exclude", scope, "198.18.0.7", "--because", "asked by mail")
    said = run("exclude", scope, "198.18.0.7/32", "198.18.0.8", "198.18.0.8", "--because", "asked again").splitlines()
    assert re.fullmatch(r"198\.18\.0\.7/32 was excluded already, since .* UTC: asked by mail", said[0])
    assert said[1:2] == ["198.18.0.8/32 is excluded: asked again"]
    assert len(load_scope(scope).exclusions) == 2


def test_json_tells_the_same(scope: Path) -> None:
    first = json.loads(run("exclude", scope, "198.18.0.7", "--because", "x", "--json"))
    again = json.loads(run("exclude", scope, "198.18.0.7", "--because", "y", "--json"))
    listed = json.loads(run("exclusions", scope, "--json"))
    assert [first[0]["added"], again[0]["added"]] == [True, False]
    assert [{key: value for key, value in first[0].items() if key != "added"}] == listed
    assert (listed[0]["network"], listed[0]["because"], listed[0]["asked_by"]) == ("198.18.0.7/32", "x", "")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["since"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("198.18.0.1/24", "--because", "x"), "host bits set"),
        (("pacs.example", "--because", "x"), "'pacs.example' is not a network"),
        (("198.18.0.1", "--because", " "), "--because: is empty"),
        (("198.18.0.1", "--because", "x", "--asked-by", "a\nb"), "--asked-by: is longer"),
    ],
)
def test_what_cannot_be_excluded_is_said_and_nothing_is_written(
    scope: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run("exclude", scope, *arguments)
    assert not (scope.parent / "exclusions.txt").exists()


def test_a_complaint_is_heard_when_the_grants_have_ended(scope: Path) -> None:
    scope.write_text(re.sub(r"valid_until = .*", "valid_until = 2020-01-01", scope.read_text()))
    assert "is excluded" in run("exclude", scope, "198.18.0.7", "--because", "x")


def test_a_scope_without_a_place_for_exclusions_says_what_to_do(scope: Path) -> None:
    scope.write_text(scope.read_text().replace('exclusions = "exclusions.txt"', ""))
    for command in (("exclude", scope, "198.18.0.7", "--because", "x"), ("exclusions", scope)):
        with pytest.raises(ScopeErrors, match=r"survey\.exclusions: is missing; add"):
            run(*command)


def test_a_list_that_is_not_there_is_no_empty_list(scope: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        run("exclusions", scope)
    (scope.parent / "exclusions.txt").touch()
    assert run("exclusions", scope) == f"0 in {scope.parent / 'exclusions.txt'}\n"
    assert run("exclusions", scope, "--json") == "[]\n"


KIT = """
[sweep]
source_address = "198.18.0.1"
"""


@pytest.fixture
def wide(scope: Path) -> Path:
    """The scope of a survey that can begin."""
    (scope.parent / "exclusions.txt").touch()
    text = scope.read_text().replace('depth = "count"', 'depth = "talk"\nwide = true')
    scope.write_text(text.replace("[survey]", f"{KIT}[survey]"))
    return scope


def test_a_kit_is_written_for_everybody_to_read(wide: Path, tmp_path: Path) -> None:
    run("exclude", wide, "198.18.0.7", "--because", "asked by mail", "--asked-by", "secret@hospital.example")
    before = os.umask(0o077)
    try:
        said = run("kit", wide, "--out", tmp_path / "kit" / "new")
    finally:
        os.umask(before)
    folder = tmp_path / "kit" / "new"
    assert said.splitlines() == [str(folder / name) for name in FILES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert "198.18.0.7/32" in (folder / "exclusions.txt").read_text()
    assert all("secret" not in path.read_text() for path in folder.iterdir())


def test_a_kit_in_italian_from_other_addresses(wide: Path, tmp_path: Path) -> None:
    run("kit", wide, "--out", tmp_path / "kit", "--lang", "it", "--source", "[2001:db8::7]", "--source", "198.18.0.3")
    page = (tmp_path / "kit" / "index.html").read_text()
    assert '<html lang="it">' in page
    assert "2001:db8::7, survey-1.cert.example" in page
    assert "198.18.0.1" not in page


def test_what_is_there_already_is_replaced_only_by_force(wide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    folder.mkdir()
    (folder / "whois.txt").write_text("mine")
    with pytest.raises(InputError, match=r"whois\.txt: exists"):
        run("kit", wide, "--out", folder)
    assert [path.name for path in folder.iterdir()] == ["whois.txt"]
    run("kit", wide, "--out", folder, "--force")
    assert "remarks:" in (folder / "whois.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--source", "cert.example"), "--source: 'cert.example' is not an address"),
        (("--lang", "de"), "no texts in language 'de'"),
    ],
)
def test_an_option_that_cannot_be_used_is_said(
    wide: Path, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run("kit", wide, "--out", tmp_path / "kit", *options)
    assert not (tmp_path / "kit").exists()


def test_a_scope_that_is_no_survey_has_no_kit(tmp_path: Path) -> None:
    plain = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/24"], ports=[104])
    with pytest.raises(InputError, match=r"has no table \[survey\]"):
        run("kit", plain, "--out", tmp_path / "kit")


def test_a_folder_that_cannot_be_made_is_said(wide: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        run("kit", wide, "--out", tmp_path / "file" / "kit")
