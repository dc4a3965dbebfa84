"""What a worker needs of a scope: its file, and the files that it names, which all lie beside or below it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from leadapron.errors import InputError
from leadapron.settings import make_private_directory, replace_private

MOST = 256 << 20
"""Bytes, of all files."""

_GRANTS = ("document", "snapshot", "client_certificate", "client_key")
_TABLES = {"vantage": ("token_file",), "survey": ("page", "exclusions"), "attribution": ("country", "city", "asn")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Luggage:
    """`files` by their paths relative to the folder of the scope, which is one of them. Keys of clients and the token of the
    listener are among them: no representation shows any."""

    scope: str
    files: Mapping[str, bytes] = field(repr=False)
    exclusions: str | None
    """the one file that changes while a run goes on"""


def pack(path: Path) -> Luggage:
    """Of a scope file that holds. Raises InputError where a file lies elsewhere, or all of them are too large."""
    data = _bytes_of(path)
    raw = tomllib.loads(data.decode())
    files = {path.name: data}
    for name in _named(raw):
        if not _is_beside(name):
            raise InputError(f"{path}: {name!r} lies elsewhere; what a cluster takes along lies beside the scope file")
        files[name] = _bytes_of(path.parent / name)
    if (size := sum(map(len, files.values()))) > MOST:
        raise InputError(f"{path}: its files are {size >> 20} MiB together; a cluster takes {MOST >> 20} MiB along")
    survey = raw.get("survey", {})
    return Luggage(scope=path.name, files=files, exclusions=survey.get("exclusions") or None)


def unpack(luggage: Luggage, folder: Path) -> Path:
    """Write the files, for their owner only. Returns the path of the scope file."""
    for name, data in luggage.files.items():
        place = folder / name
        make_private_directory(place.parent)
        replace_private(place, data)
    return folder / luggage.scope


def _named(raw: Mapping[str, Any]) -> Iterator[str]:
    tables: list[tuple[Any, tuple[str, ...]]] = [(grant, _GRANTS) for grant in raw.get("grant", [])]
    tables += [(raw.get(name, {}), keys) for name, keys in _TABLES.items()]
    for table, keys in tables:
        for key in keys:
            if name := str(table.get(key, "")).strip():
                yield name


def _is_beside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
