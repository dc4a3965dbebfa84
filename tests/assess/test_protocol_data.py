from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from leadapron.assess.protocol_data import files, parse, toml_files
from leadapron.errors import InputError


class Named(BaseModel):
    name: str


def test_files_of_a_folder_are_those_of_every_protocol_by_name() -> None:
    names = [file.name for file in files("products")]
    folders = sorted(resources.files("leadapron.protocols").iterdir(), key=lambda folder: folder.name)
    there = [(folder / "products") for folder in folders if (folder / "products").is_dir()]
    assert names == [name for folder in there for name in sorted(file.name for file in folder.iterdir())]
    assert len(there) > 2
    assert list(files("nothing-of-this-name")) == []


def test_other_files_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "a.toml~", "README.md"):
        (tmp_path / name).write_text("")
    assert [file.name for file in toml_files(tmp_path)] == ["a.toml", "b.toml"]
    assert list(toml_files(tmp_path / "absent")) == []


def test_a_document_is_read_as_its_model() -> None:
    assert parse("thing", "a.toml", b'name = "x"', Named).name == "x"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_the_one_error_of_one_line(document: bytes) -> None:
    try:
        assert parse("thing", "a.toml", document, Named).name is not None
    except InputError as error:
        assert str(error).startswith("thing a.toml: ")
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "name: "),
        (b"name = 3", "name: "),
        (b"\xff", "codec"),
        (b"name = ", "nvalid value"),
        (b"name = " + b"[" * 9000, ""),
    ],
)
def test_a_mistake_is_named(document: bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse("thing", "a.toml", document, Named)
    assert says in str(caught.value)
