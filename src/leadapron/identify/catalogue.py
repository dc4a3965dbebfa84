"""The product catalogue: `protocols/*/products/*.toml`, one file a product or toolkit, its id the file's name.

Each entry says where its fingerprint is known from (`source`) and how (`confidence`: source, sample, table, secondary).
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["toolkit", "product", "vendor", "honeypot", "testtool"]
Confidence = Literal["source", "sample", "table", "secondary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What betrays a product on an association.

    `version` must match the whole Implementation Version Name, where there is one; its groups, joined by dots, are the
    version. `ambiguous`: others look the same, so it is a candidate only. `needs_title`: likewise, unless one of the
    product's default titles is the one that was let in.
    """

    id: str
    name: str
    role: Role
    uid_prefix: str
    version: re.Pattern[bytes] | None
    confidence: Confidence
    ambiguous: bool
    needs_title: bool
    default_titles: tuple[str, ...]
    examples: tuple[str, str, str]
    """implementation class UID, version name, and the version that is read from it"""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    uid_prefix: str = Field(pattern=r"^[0-9]+(\.[0-9]+)+$")
    version: str = ""
    confidence: Confidence
    source: str = Field(min_length=8)
    ambiguous: bool = False
    needs_title: bool = False
    example_uid: str
    example_version: str = ""
    example_reads: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    role: Role
    default_titles: tuple[str, ...] = Field(default=(), strict=False)
    titles_source: str = ""
    fingerprint: list[_Entry] = Field(min_length=1)


@functools.cache
def fingerprints() -> tuple[Fingerprint, ...]:
    """Every fingerprint of every protocol, in the order of the file names."""
    found: list[Fingerprint] = []
    for protocol in sorted(resources.files("leadapron.protocols").iterdir(), key=lambda entry: entry.name):
        folder = protocol / "products"
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
                if file.name.endswith(".toml"):
                    found += _read(file.name.removesuffix(".toml"), file.read_text(encoding="utf-8"))
    return tuple(found)


def _read(identifier: str, text: str) -> list[Fingerprint]:
    file = _File.model_validate(tomllib.loads(text))
    return [
        Fingerprint(
            id=identifier,
            name=file.name,
            role=file.role,
            uid_prefix=entry.uid_prefix,
            version=re.compile(entry.version.encode()) if entry.version else None,
            confidence=entry.confidence,
            ambiguous=entry.ambiguous,
            needs_title=entry.needs_title,
            default_titles=file.default_titles,
            examples=(entry.example_uid, entry.example_version, entry.example_reads),
        )
        for entry in file.fingerprint
    ]
