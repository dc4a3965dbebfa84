from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from leadapron.cli.init import init_command
from leadapron.errors import InputError, ScopeErrors
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
    "changes", [{"network": "0.0.0.0/0"}, {"valid_from": "2099-01-01", "valid_until": "2098-01-01"}]
)
def test_a_file_that_would_not_load_is_not_written(path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(ScopeErrors):
        run(path, "--yes", *needed(**changes))
    assert not path.exists()


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
