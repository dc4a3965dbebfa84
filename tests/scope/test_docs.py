"""`docs/scope.md` holds every key and every reason, and its example loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scope_samples import TODAY

from leadapron.scope.decision import Denied
from leadapron.scope.file import TABLES, ScopeFile
from leadapron.scope.read import parse_scope

PAGE = (Path(__file__).parents[2] / "docs" / "scope.md").read_text()
KEYS = [(name, key) for name, table in TABLES.items() for key in table.model_fields]


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_every_key_is_documented(table: str, key: str) -> None:
    assert re.search(rf"^\|[^|]*`(?:{table}\.)?{key}`", PAGE, re.MULTILINE)


@pytest.mark.parametrize("key", sorted(set(ScopeFile.model_fields) - {"version", "id"}))
def test_every_table_is_documented(key: str) -> None:
    assert f"[{key}]" in PAGE


@pytest.mark.parametrize("reason", Denied)
def test_every_reason_is_documented(reason: Denied) -> None:
    assert f"`{reason}`" in PAGE


def test_the_example_loads() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert parse_scope(example.encode(), Path("scope.toml"), today=TODAY).grants
