"""The data files that lie in the protocols' folders: `protocols/<protocol>/<folder>/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from leadapron.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def files(folder: str) -> Iterator[Traversable]:
    """By protocol, then by name."""
    for protocol in sorted(resources.files("leadapron.protocols").iterdir(), key=lambda entry: entry.name):
        yield from toml_files(protocol / folder)


def toml_files(folder: Traversable) -> Iterator[Traversable]:
    """By name; none where there is no such folder."""
    if folder.is_dir():
        yield from sorted(
            (file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name
        )


def parse(kind: str, name: str, document: bytes, model: type[Model]) -> Model:
    """`document` as a `model`. Raises `InputError`, one line that begins with `kind` and the file's name."""
    try:
        return model.model_validate(tomllib.loads(document.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # of UTF-8, of TOML, of the model
        raise InputError(f"{kind} {name}: {_first(error)}") from error


def _first(error: ValueError | RecursionError) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    mistake = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}".removeprefix(": ")
