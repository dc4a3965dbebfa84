from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from leadapron.cli.init import init_command
from leadapron.errors import InputError
from leadapron.model import Depth
from leadapron.scope.grant import load_scope

app = typer.Typer()
app.command()(init_command)

NEEDED = {
    "--contact": 'Team "A", Zürich',
    "--email": "team@hospital.example",
    "--owner": "Example Hospital",
    "--granted-by": "CISO",
    "--network": "198.18.0.0/24",
}


def run(path: Path, *arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(path), *arguments], input=input, catch_exceptions=False)


def needed(**changes: str | None) -> list[str]:
    values = NEEDED | {f"--{key.replace('_', '-')}": value for key, value in changes.items()}
    return [part for key, value in values.items() if value is not None for part in (key, value)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scope.toml"


def test_with_yes_defaults_fill_the_rest(path: Path) -> None:
    result = run(path, "--yes", *needed())
    assert (result.exit_code, result.stdout) == (0, "")
    scope = load_scope(path)
    today = dt.datetime.now(dt.UTC).date()
    assert scope.contact.name == 'Team "A", Zürich'
    assert scope.grants[0].id == f"own-estate-{today:%Y}"
    assert scope.grants[0].depth is Depth.COUNT
    assert scope.grants[0].valid_until - scope.grants[0].valid_from == dt.timedelta(90)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().count("#") > 20


def test_every_option_reaches_the_file(path: Path) -> None:
    given = needed(
        id="partners", calling_aet="OUR AET", vantage="clinical", vantage_name="vm", grant="g", party="Tele Ltd",
        basis="statutory", reference="BSIG § 7c", valid_until="2090-01-31", country="DE", depth="connect",
        name="PACS.example", exclude="198.18.0.7",
    )  # fmt: skip
    run(path, "-y", *given, "--network", "2001:db8::/112", "--valid-from", "2026-11-01")
    scope = load_scope(path, today=dt.date(2026, 11, 2))
    grant = scope.grants[0]
    assert (scope.id, scope.contact.calling_aet, scope.vantage.kind, scope.vantage.name) == (
        "partners", "OUR AET", "clinical", "vm",
    )  # fmt: skip
    assert (grant.id, grant.party, grant.basis, grant.reference) == ("g", "Tele Ltd", "statutory", "BSIG § 7c")
    assert (grant.valid_from, grant.valid_until) == (dt.date(2026, 11, 1), dt.date(2090, 1, 31))
    assert (grant.country, grant.depth, grant.names) == ("DE", Depth.CONNECT, ("pacs.example",))
    assert [str(network) for network in (*grant.networks, *grant.exclude)] == [
        "198.18.0.0/24", "2001:db8::/112", "198.18.0.7/32",
    ]  # fmt: skip


def test_it_asks_again_until_an_answer_can_be_used(path: Path) -> None:
    answers = [
        "",
        "Team",
        "no mail",
        "team@hospital.example",
        "",
        "moon",
        "office",
        "laptop",
        "",
        "Hospital",
        "statutory",
    ]
    answers += ["", "CISO", "§ 7c", "", "", "", "", "198.18.0.1/24", "198.18.0.0/24, 198.18.2.0/24", "", ""]
    result = run(path, input="\n".join(answers) + "\n")
    assert result.exit_code == 0
    assert "host bits set" in result.stderr
    assert "'moon' is not one of" in result.stderr
    scope = load_scope(path)
    assert len(scope.grants[0].networks) == 2
    assert scope.grants[0].reference == "§ 7c"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": None}, "--owner is missing"),
        ({"network": None}, "--network or --name is missing"),
        ({"basis": "statutory"}, "--reference is missing"),
        ({"network": "198.18.0.0/99"}, "--network: .* not a network"),
        ({"valid_until": "soon"}, "--valid-until: .* not a date"),
        ({"email": "nobody"}, "--email: "),
        ({"depth": "deep"}, "--depth: 'deep' is not one of"),
    ],
)
def test_with_yes_what_is_missing_or_wrong_is_said(path: Path, changes: dict[str, str | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(path, "--yes", *needed(**changes))
    assert not path.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "0.0.0.0/0"}, "--network: 0.0.0.0/0 is wider than /8; "),
        ({"valid_from": "2099-01-01"}, "--valid-from: no grant holds yet: the first day is 2099-01-01, "),
        ({"valid_until": "2020-01-01"}, "--valid-until: 2020-01-01 is before valid_from, "),
        (
            {"valid_from": "2020-01-01", "valid_until": "2020-02-01"},
            "--valid-until: expired: the last day was 2020-02-01",
        ),
        ({"valid_until": "9999-12-31"}, "--valid-until: 9999-12-31 is not a credible end"),
        ({"basis": "statutory", "reference": ""}, "--reference: has a statutory basis without a reference"),
        ({"network": None, "name": ""}, "--network or --name: grants nothing"),
        ({"id": "two words"}, "--id: 'two words' is not an identifier; "),
        ({"owner": " "}, "--owner: this is empty; "),
        ({"owner": "x" * 300}, "--owner: this is longer than 200 characters"),
        ({"country": "Germany"}, "--country: 'Germany' is not a country code; "),
    ],
)
def test_a_mistake_names_its_subject_and_no_line_of_a_file_that_was_not_written(
    path: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(path, "--yes", *needed(**changes))
    assert str(caught.value).startswith(message)
    assert "scope.toml" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_mistake_in_an_option_is_said_before_anything_is_asked(path: Path) -> None:
    with pytest.raises(InputError, match="--exclude"):
        run(path, "--exclude", "nonsense", input="")


@pytest.mark.parametrize("name", ["missing/scope.toml", "file/scope.toml", "link"])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_asked(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"is no directory|exists already"):
        run(tmp_path / name, input="")


def test_answers_that_do_not_go_together_are_asked_for_again(path: Path) -> None:
    today = dt.datetime.now(dt.UTC).date()
    past = [str(today - dt.timedelta(days)) for days in (30, 31, 1)]
    answers = ["", "Team", "team@hospital.example", "", "", "host", "", "Hospital", "", "", "CISO", ""]
    answers += ["2099-01-01", past[0], past[1], past[2], "2201-01-01", "2090-01-01"]
    answers += ["", "", "0.0.0.0/0, 198.18.0.0/24", "2001:db8::/16", "198.18.0.0/24", "", ""]

    result = run(path, input="\n".join(answers) + "\n")

    assert result.exit_code == 0
    for said in ("no grant holds yet", "is before valid_from", "expired", "credible", "wider than /8", "host bits set"):
        assert said in result.stderr
    grant = load_scope(path).grants[0]
    assert (grant.valid_from, grant.valid_until) == (today - dt.timedelta(30), dt.date(2090, 1, 1))
    assert len(grant.networks) == 1


def test_the_prompt_says_where_nothing_is_an_answer(path: Path) -> None:
    answers = ["", "Team", "team@hospital.example", "", "", "host", "", "Hospital", "", "", "CISO", "", "", ""]
    answers += ["", "", "198.18.0.0/24", "", ""]

    said = run(path, input="\n".join(answers) + "\n").stderr

    for text in ("The partner's name", "Letter, ticket or law", "Country, two letters", "Networks, with commas between",
                 "Host names, with commas between", "Networks to leave alone"):  # fmt: skip
        assert f"{text} (empty: none):" in said
    assert said.count("(empty: none)") == 6


def test_nothing_is_no_answer_where_something_is_needed(path: Path) -> None:
    answers = ["", "Team", "team@hospital.example", "", "", "host", "", "Hospital", "statutory", "", "CISO", "", "§ 7c"]
    answers += ["", "", "", "", "", "", "pacs.hospital.example", ""]

    said = run(path, input="\n".join(answers) + "\n").stderr

    assert "Letter, ticket or law:Letter, ticket or law:" in said
    assert "Host names, with commas between:Host names, with commas between:" in said
    assert load_scope(path).grants[0].names == ("pacs.hospital.example",)


def test_it_never_overwrites(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        run(path, "--yes", *needed())
    assert path.read_text() == "mine"


def test_a_dangling_link_is_not_followed(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(InputError, match="exists"):
        run(path, "--yes", *needed())
    assert not path.with_name("elsewhere").exists()
