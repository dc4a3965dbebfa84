"""One run of the whole lab estate, kept in SQLite and in PostgreSQL: the same reports, to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.command_line import leadapron
from leadapron.cli.demo import _estate
from leadapron.lab.compare import compare
from leadapron.report.csv import ROWS, render_csv
from leadapron.report.html import render_html
from leadapron.report.json import render_json
from leadapron.report.load import load_view
from leadapron.store import tables
from leadapron.store.store import Store
from postgres import ADDRESS, PASSWORD, Postgres


def copied(source: str, target: str) -> None:
    """All rows, as a program other than ours would copy them."""
    with (
        Store.open(source) as one,
        Store.open(target) as other,
        one._engine.connect() as reading,
        other._engine.begin() as writing,
    ):
        for table in tables.metadata.sorted_tables:
            if rows := [dict(row) for row in reading.execute(sa.select(table)).mappings()]:
                writing.execute(sa.insert(table), rows)


def reports(url: str) -> list[str]:
    view = load_view(url, None)
    return [render_json(view), render_html(view), render_html(view, "it"), *(render_csv(view, rows) for rows in ROWS)]


def rows_by_table(url: str) -> dict[str, int]:
    with Store.open(url) as store, store._engine.connect() as connection:
        counts = {table: sa.select(sa.func.count()).select_from(table) for table in tables.metadata.sorted_tables}
        return {table.name: connection.execute(query).scalar_one() for table, query in counts.items()}


@pytest.mark.parametrize("first", ["sqlite", "postgresql"])
def test_a_run_is_the_same_in_both(tmp_path: Path, postgres: Postgres, first: str) -> None:
    """The gate is armed while the run writes to the server, and denies nothing of it."""
    urls = {"sqlite": f"sqlite:///{tmp_path / 's.db'}", "postgresql": postgres.url(postgres.create())}
    ours = f'[infrastructure]\nallow = ["{ADDRESS}:{postgres.port}"]\n'
    with _estate(2020) as estate:
        scope = tmp_path / "scope.toml"
        scope.write_text(f"{estate['scope']}\n{ours}")
        for _ in range(2):  # the second has findings that stood before it
            ended = leadapron(tmp_path, "audit", scope, "--store", urls[first], "--json")
            assert ended.returncode == 1, ended.stderr
            assert PASSWORD not in ended.stdout + ended.stderr
        assert compare(estate["truth"], json.loads(ended.stdout)) == []
    (second,) = urls.keys() - {first}
    copied(urls[first], urls[second])

    assert reports(urls["sqlite"]) == reports(urls["postgresql"])
    assert reports(urls[first])[0] == ended.stdout
    rows = rows_by_table(urls[first])
    assert rows == rows_by_table(urls[second])
    assert all(rows[name] for name in ("runs", "sweep_chunks", "endpoints", "attempts", "observations", "findings"))
    logs = [path.read_text() for path in (tmp_path / "data" / "runs").glob("*/audit.jsonl")]
    assert len(logs) == 2
    assert not any('"denied"' in log for log in logs)


def test_the_server_of_the_store_is_infrastructure_or_no_run_begins(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.url(postgres.create())
    with _estate(2020) as estate:
        scope = tmp_path / "scope.toml"
        scope.write_text(estate["scope"])
        ended = leadapron(tmp_path, "audit", scope, "--store", url)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f'is not in [infrastructure]; add "{ADDRESS}:{postgres.port}" to its allow' in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert PASSWORD not in ended.stderr
    assert not (tmp_path / "data").exists()
