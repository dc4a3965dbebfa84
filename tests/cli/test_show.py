from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from ipaddress import ip_address
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from leadapron.cli.show import show_command
from leadapron.model import (
    Access,
    Count,
    Counts,
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

STARTED = dt.datetime(2026, 11, 23, 17, 52, tzinfo=dt.UTC)
asked: list[tuple[str, str | None]] = []


def load_view(url: str, run_id: str | None) -> View:
    asked.append((url, run_id))
    run = Run(
        id=run_id or "latest",
        kind="audit",
        scope_id="own-estate",
        scope_sha256="00",
        vantage=Vantage(kind=VantageKind.OFFICE, name="desk"),
        version="0.1.0",
        started_at=STARTED,
        status=RunStatus.COMPLETE,
    )
    service = Service(endpoint=Endpoint(address=ip_address("198.18.0.12"), port=104), protocol="dicom")
    archive = Observation(
        service=service,
        access=Access(list=Verdict.PROVEN),
        counts=Counts(studies=Count.exact(3)),
        owner=Owner(grant="g"),
    )
    return build_view(run, [archive], [], [])


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = ModuleType("leadapron.report.load")
    loader.load_view = load_view  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "leadapron.report.load", loader)
    asked.clear()


def show(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(show_command)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_it_shows_the_latest_run_as_plain_lines_into_a_pipe() -> None:
    text = show("--store", "sqlite:////tmp/x.db")
    assert asked == [("sqlite:////tmp/x.db", None)]
    assert text.startswith("The only imaging server that answered lets anyone on the office network list 3 studies.\n")
    assert "198.18.0.12:104" in text


def test_it_shows_a_named_run_of_the_default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", "/nowhere")
    monkeypatch.delenv("LEADAPRON_STORE", raising=False)
    assert "Run 20261123, complete" in show("20261123")
    assert asked == [("sqlite:////nowhere/leadapron.db", "20261123")]


def test_json_is_the_report_and_nothing_else() -> None:
    assert json.loads(show("--json"))["schema"] == "leadapron/report/1"


def test_the_command_loads_nothing_heavy_before_it_runs() -> None:
    code = (
        "import sys, leadapron.cli.show, leadapron.cli.report;"
        "print(*{'sqlalchemy', 'numpy', 'pydicom', 'jinja2', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
