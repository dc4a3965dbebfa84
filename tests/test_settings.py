from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from leadapron.settings import default_store_url, sqlite_url


@pytest.mark.parametrize("path", ["/a/b.db", "b.db", "/sp ace?x#y%20/ü.db", "/%41%3F.db"])
def test_a_path_comes_back_from_its_url(path: str) -> None:
    assert sa.make_url(sqlite_url(Path(path))).database == path


def test_a_plain_path_is_still_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", "/var/lib/lead apron")

    assert default_store_url() == "sqlite:////var/lib/lead apron/leadapron.db"
