from __future__ import annotations

import contextlib
import datetime as dt
import json
from pathlib import Path

import pytest
from command_line import leadapron, store_run
from hypothesis import given
from hypothesis import strategies as st

from leadapron.cli.purge import parse_age
from leadapron.errors import InputError
from leadapron.model import RunStatus
from leadapron.scope.audit_log import AuditLog
from leadapron.store.store import Store

NOW = dt.datetime(2026, 11, 24, 13, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0d", NOW),
        ("90d", NOW - dt.timedelta(days=90)),
        ("12w", NOW - dt.timedelta(weeks=12)),
        ("99999w", NOW - dt.timedelta(weeks=99999)),
        ("2026-01-31", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
    ],
)
def test_an_age_or_a_date_names_a_moment(text: str, moment: dt.datetime) -> None:
    assert parse_age(text, now=NOW) == moment


@pytest.mark.parametrize(
    "text",
    ["", "d", "-3d", "90", "90 d", "1.5w", "3m", "٣d", "2026-13-01", "2026-02-30", "yesterday", "26-01-01", "100000d"],
)
def test_what_is_neither_is_a_mistake(text: str) -> None:
    with pytest.raises(InputError, match=r"^--older-than .* examples: 90d, 12w, 2026-01-31$"):
        parse_age(text, now=NOW)


@given(st.text(max_size=12))
def test_any_text_is_a_moment_or_a_mistake(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_age(text, now=NOW).tzinfo is dt.UTC


def left(folder: Path) -> set[str]:
    """The runs that the store has; those whose audit log lies there have to be the same."""
    with Store.open(f"sqlite:///{folder / 'data' / 'leadapron.db'}") as store:
        runs = {run.id for run in store.runs()}
    assert {path.name for path in (folder / "data" / "runs").iterdir()} == runs
    return runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs older than a month, one of them killed, and one of today."""
    store_run(tmp_path, 1, days_old=100)
    store_run(tmp_path, 2, days_old=40, status=RunStatus.RUNNING)
    store_run(tmp_path, 3)
    return tmp_path


def test_it_says_what_goes_before_it_goes(folder: Path) -> None:
    result = leadapron(folder, "purge", "--older-than", "30d", "--yes")

    assert result.returncode == 0
    assert "  run-1  scope own-estate, complete\n" in result.stderr
    assert "  run-2  scope own-estate, not finished\n" in result.stderr
    assert "run-3" not in result.stderr
    assert result.stdout == "2 runs deleted.\n"
    assert left(folder) == {"run-3"}


@pytest.mark.parametrize(
    ("options", "answer", "code", "said"),
    [
        (["--dry-run"], "", 0, "Nothing deleted; 2 runs would be."),
        (["--dry-run", "--yes"], "", 0, "Nothing deleted; 2 runs would be."),
        ([], "n\n", 0, "Nothing deleted; 2 runs would be."),
        ([], "\n", 0, "Nothing deleted; 2 runs would be."),
        ([], "", 2, ""),
    ],
)
def test_without_a_yes_nothing_is_deleted(folder: Path, options: list[str], answer: str, code: int, said: str) -> None:
    result = leadapron(folder, "purge", "--older-than", "4w", *options, answer=answer)

    assert (result.returncode, result.stdout.strip()) == (code, said)
    assert "run-1" in result.stderr
    assert left(folder) == {"run-1", "run-2", "run-3"}
    assert "Traceback" not in result.stderr


def test_a_yes_at_the_question_is_enough(folder: Path) -> None:
    result = leadapron(folder, "purge", "--older-than", "90d", answer="y\n")

    assert result.stdout == "1 run deleted.\n"
    assert left(folder) == {"run-2", "run-3"}


def test_json_alone_is_on_stdout(folder: Path) -> None:
    result = leadapron(folder, "purge", "--older-than", "90d", "--json", answer="y\n")

    assert json.loads(result.stdout) == {"runs": ["run-1"], "deleted": True}
    again = leadapron(folder, "purge", "--older-than", "90d", "--json", "--yes")
    assert json.loads(again.stdout) == {"runs": [], "deleted": False}


def test_where_nothing_is_old_it_does_not_ask(folder: Path) -> None:
    result = leadapron(folder, "purge", "--older-than", "1000d")

    assert (result.returncode, result.stdout, result.stderr) == (0, "Nothing to delete.\n", "")


def test_a_run_that_goes_on_is_left(folder: Path) -> None:
    with AuditLog.open(folder / "data" / "runs" / "run-2" / "audit.jsonl"):
        result = leadapron(folder, "purge", "--older-than", "30d", "--yes")

    assert "run-2  is left: it is running right now" in result.stderr
    assert left(folder) == {"run-2", "run-3"}
