"""The product catalogue: `protocols/*/products/*.toml`, one file a product or toolkit, its id the file's name.

Each entry says where its fingerprint is known from (`source`) and how (`confidence`: source, sample, table, secondary).
The order of files and of entries means nothing.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from leadapron.errors import InputError

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
    source: str
    ambiguous: bool
    needs_title: bool
    default_titles: tuple[str, ...]
    titles_source: str
    examples: tuple[str, str, str]
    """implementation class UID, version name, and the version that is read from it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMark:
    """What betrays a product on a web page.

    `where`: `title`, `body`, `icon` (its MD5), `icon_mmh3` (its MurmurHash3), the name of a header field in small letters,
    or `ftp`: a greeting. `pattern` is searched there; its groups, joined by dots, are the version.
    """

    id: str
    name: str
    role: Role
    where: str
    pattern: re.Pattern[bytes]
    confidence: Confidence
    source: str
    example: str
    reads: str


_Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Uid = Annotated[str, Field(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)+$")]
_Title = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x5b\x5d-\x7e]+$")]
_SHORTEST_SOURCE = 8
_LONGEST_MESSAGE = 200
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _sound_pattern(text: str) -> str:
    try:
        re.compile(text.encode())
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError("not a regular expression") from error
    return text


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Entry(_Part):
    uid_prefix: _Uid
    version: str = ""
    confidence: Confidence
    source: Annotated[_Line, Field(min_length=_SHORTEST_SOURCE)]
    ambiguous: bool = False
    needs_title: bool = False
    example_uid: _Uid
    example_version: Annotated[str, Field(max_length=16)] = ""
    example_reads: str = ""

    @field_validator("version")
    @classmethod
    def _is_a_pattern(cls, text: str) -> str:
        return _sound_pattern(text)


class _Mark(_Part):
    where: Annotated[str, Field(pattern=r"^(icon_mmh3|[a-z0-9-]{2,40})$")]
    pattern: Annotated[str, Field(min_length=3, max_length=200)]
    confidence: Confidence
    source: Annotated[_Line, Field(min_length=_SHORTEST_SOURCE)]
    example: Annotated[str, Field(min_length=1, max_length=300)]
    example_reads: str = ""

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, text: str) -> str:
        return _sound_pattern(text)


class _File(_Part):
    name: _Line
    role: Role
    default_titles: Annotated[list[_Title], Field(max_length=5)] = []
    titles_source: str = ""
    fingerprint: list[_Entry] = []
    page: list[_Mark] = []
    told_by: str = ""
    """how its own protocol tells it, where no text of a peer does"""

    @model_validator(mode="after")
    def _says_something(self) -> _File:
        if not self.fingerprint and not self.page and not self.told_by:
            raise ValueError("neither a fingerprint, nor a page, nor told_by")
        return self

    @model_validator(mode="after")
    def _titles_are_documented(self) -> _File:
        if self.default_titles and len(self.titles_source) < _SHORTEST_SOURCE:
            raise ValueError("default_titles: titles_source has to say where they are documented")
        if not self.default_titles and any(entry.needs_title for entry in self.fingerprint):
            raise ValueError("needs_title: there are no default_titles")
        return self


@functools.cache
def fingerprints() -> tuple[Fingerprint, ...]:
    """Every fingerprint of every protocol, in the order of the file names."""
    return tuple(entry for product in _catalogue() for entry in _fingerprints(*product))


@functools.cache
def page_marks() -> tuple[PageMark, ...]:
    """Likewise of web pages."""
    return tuple(mark for product in _catalogue() for mark in _marks(*product))


@functools.cache
def product_ids() -> dict[str, str]:
    """The id of every product and toolkit of the catalogue, by its name."""
    return {file.name: identifier for identifier, file in _catalogue()}


@functools.cache
def _catalogue() -> tuple[tuple[str, _File], ...]:
    """Each file with its id, read and checked once."""
    return tuple(_parse(file.name, file.read_bytes()) for file in _files())


def _files() -> Iterator[Traversable]:
    for protocol in sorted(resources.files("leadapron.protocols").iterdir(), key=lambda entry: entry.name):
        folder = protocol / "products"
        if folder.is_dir():
            found = [file for file in folder.iterdir() if file.name.endswith(".toml")]
            yield from sorted(found, key=lambda file: file.name)


def parse_product(name: str, document: bytes) -> tuple[Fingerprint, ...]:
    """The fingerprints in one file, `name` its id with `.toml` behind. Raises `InputError` where it is malformed."""
    return _fingerprints(*_parse(name, document))


def parse_marks(name: str, document: bytes) -> tuple[PageMark, ...]:
    """Likewise its marks of web pages."""
    return _marks(*_parse(name, document))


def _fingerprints(identifier: str, file: _File) -> tuple[Fingerprint, ...]:
    return tuple(_fingerprint(identifier, file, entry) for entry in file.fingerprint)


def _marks(identifier: str, file: _File) -> tuple[PageMark, ...]:
    return tuple(
        PageMark(
            id=identifier,
            name=file.name,
            role=file.role,
            where=mark.where,
            pattern=re.compile(mark.pattern.encode(), re.IGNORECASE),
            confidence=mark.confidence,
            source=mark.source,
            example=mark.example,
            reads=mark.example_reads,
        )
        for mark in file.page
    )


def _parse(name: str, document: bytes) -> tuple[str, _File]:
    identifier = name.removesuffix(".toml")
    if not _ID.fullmatch(identifier):
        raise InputError("a product's file: name it after its id, in small letters, digits and hyphens, with .toml")
    try:
        file = _File.model_validate(tomllib.loads(document.decode("utf-8")))
    except RecursionError as error:
        raise InputError(f"product {name}: nested too deep") from error
    except ValidationError as error:
        raise InputError(f"product {name}: {_first(error)}") from error
    except ValueError as error:  # of UTF-8, of TOML, of a number with thousands of digits
        raise InputError(f"product {name}: {_one_line(str(error))}") from error
    return identifier, file


def _first(error: ValidationError) -> str:
    """The first mistake: its key and what is wrong. Never the value, which can be of any length."""
    mistake = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return _one_line(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}".removeprefix(": "))


def _one_line(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]}…"


def _fingerprint(identifier: str, file: _File, entry: _Entry) -> Fingerprint:
    return Fingerprint(
        id=identifier,
        name=file.name,
        role=file.role,
        uid_prefix=entry.uid_prefix,
        version=re.compile(entry.version.encode()) if entry.version else None,
        confidence=entry.confidence,
        source=entry.source,
        ambiguous=entry.ambiguous,
        needs_title=entry.needs_title,
        default_titles=tuple(file.default_titles),
        titles_source=file.titles_source,
        examples=(entry.example_uid, entry.example_version, entry.example_reads),
    )
