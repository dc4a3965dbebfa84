from __future__ import annotations

import datetime as dt
import json
import stat
import sys
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from leadapron.cli.report import report_command, write_private
from leadapron.errors import InputError
from leadapron.model import (
    Access,
    Endpoint,
    Observation,
    Owner,
    Run,
    RunStatus,
    Service,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.report.view import View, build_view


def load_view(_url: str, run_id: str | None) -> View:
    run = Run(
        id=run_id or "latest",
        kind="audit",
        scope_id="own-estate",
        scope_sha256="00",
        vantage=Vantage(kind=VantageKind.OFFICE, name="desk"),
        version="0.1.0",
        started_at=dt.datetime(2026, 11, 23, 17, 52, tzinfo=dt.UTC),
        status=RunStatus.COMPLETE,
    )
    return build_view(run, [], [], [])


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = ModuleType("leadapron.report.load")
    loader.load_view = load_view  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "leadapron.report.load", loader)


def report(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(report_command)
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_html_is_the_default_and_goes_to_stdout() -> None:
    text = report().stdout
    assert text.startswith("<!DOCTYPE html>")
    assert "TLP:AMBER+STRICT" in text


def test_language_and_marking_of_the_page() -> None:
    text = report("--lang", "it", "--tlp", "red").stdout
    assert '<html lang="it">' in text
    assert "TLP:RED" in text


def test_marking_of_the_json() -> None:
    assert json.loads(report("--format", "json").stdout)["run"]["tlp"] == "TLP:AMBER+STRICT"
    assert json.loads(report("--format", "json", "--tlp", "green").stdout)["run"]["tlp"] == "TLP:GREEN"


def test_json_and_csv_to_stdout() -> None:
    assert json.loads(report("--format", "json", "r1").stdout)["run"]["id"] == "r1"
    assert report("--format", "csv").stdout_bytes.startswith(b"address,port,")
    assert report("--format", "csv", "--rows", "findings").stdout_bytes.startswith(b"severity,control,")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "json", "--lang", "it"),
        ("--format", "csv", "--tlp", "red"),
        ("--format", "html", "--rows", "findings"),
        ("--lang", "de"),
        ("--tlp", "pink"),
        ("--format", "json", "--tlp", "pink"),
        ("--public", "--format", "csv", "--rows", "findings"),
        ("--public", "--format", "csv", "--tlp", "green"),
        ("--public", "--party", "North"),
        ("--party", "North"),
    ],
)
def test_an_option_that_can_do_nothing_is_an_error(arguments: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        report(*arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), b"TLP:CLEAR"),
        (("--tlp", "green"), b"TLP:GREEN"),
        (("--lang", "it"), b'<html lang="it">'),
        (("--format", "json"), b'"schema": "leadapron/public/1"'),
        (("--format", "csv"), b"table,cell,services,images,"),
    ],
)
def test_a_publication_in_each_format(arguments: tuple[str, ...], expected: bytes) -> None:
    assert expected in report("--public", *arguments).stdout_bytes


def test_one_party_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"198.18.0.1": "North", "198.18.0.2": "South"}
    observations = [
        Observation(
            service=Service(endpoint=Endpoint(address=ip_address(address), port=104), protocol="dicom"),
            access=Access(reach=Verdict.PROVEN, list=Verdict.PROVEN),
            owner=Owner(grant=party, party=party),
        )
        for address, party in owners.items()
    ]
    view = build_view(load_view("", None).run, observations, [], [])
    monkeypatch.setattr(sys.modules["leadapron.report.load"], "load_view", lambda *_: view)

    for arguments in ((), ("--format", "json"), ("--format", "csv")):
        text = report("--party", "north", *arguments).stdout
        assert "198.18.0.1" in text
        assert "198.18.0.2" not in text
        assert "South" not in text
    with pytest.raises(InputError, match=r"choose one of: North, South$"):
        report("--party", "East")


def test_a_file_is_for_its_owner_and_stdout_stays_empty(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    result = report("--format", "json", "--output", str(file))
    assert result.stdout == ""
    assert json.loads(file.read_text())["schema"] == "leadapron/report/1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_exists_is_replaced_only_when_told(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    file.chmod(0o644)
    with pytest.raises(InputError, match="--force"):
        report("--output", str(file))
    assert file.read_text() == "old"
    report("--output", str(file), "--force")
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(InputError, match="exists"):
        write_private(link, "report", force=False)
    write_private(link, "report", force=True)
    assert target.read_text() == "mine"
    assert link.read_text() == "report"


@pytest.mark.parametrize("force", [False, True])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, force: bool) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_private(tmp_path / "missing" / "report.html", "text", force=force)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder: (exists|cannot be written)"):
        write_private(tmp_path / "folder", "text", force=force)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
