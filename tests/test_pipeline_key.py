"""The key of a run: made once, read by who goes on, and nothing of it left when the run is complete."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from leadapron.errors import InputError
from leadapron.pipeline_key import SIZE, RunKey


def test_a_key_is_its_owners_and_the_same_for_who_goes_on(tmp_path: Path) -> None:
    key = RunKey(tmp_path).make()

    assert len(key) == SIZE
    assert RunKey(tmp_path).read() == key
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_two_runs_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert RunKey(tmp_path).make() != RunKey(tmp_path / "other").make()


def test_what_is_destroyed_is_gone_and_nobody_goes_on_without(tmp_path: Path) -> None:
    key = RunKey(tmp_path)
    key.make()
    key.destroy()
    key.destroy()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="audit without --resume"):
        key.read()


@pytest.mark.parametrize("content", [b"", b"short", bytes(SIZE + 1)])
def test_what_is_no_key_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(InputError, match="is not the key of a run"):
        RunKey(tmp_path).read()


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    key = RunKey(tmp_path)
    key.make()
    with pytest.raises(InputError):
        key.make()
