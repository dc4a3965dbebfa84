"""Published vulnerabilities by version: `protocols/*/cves/*.toml`, one file a product or toolkit, named after its id.

A version is inferred from what a peer says of itself. It can be set to anything, and distributions repair old versions:
what follows from it is a reason to look, no proof. A tie between products names none, so it has no version either.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leadapron.assess.protocol_data import files, parse
from leadapron.assess.version import read_version
from leadapron.errors import InputError
from leadapron.model import Product, Severity

EVIDENCE = ("version_inferred", "cves")
"""Evidence keys of controls, beside facts and counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cve:
    """Versions below `before`, or up to and with `through`, are affected; of the two one is set, the other "".

    `severity` is that of the record's CVSS score, or of NVD where it has none. `sources`: two or more, read on `checked`.
    """

    id: str
    product: str
    """the catalogue's name of the product or toolkit"""
    before: str
    through: str
    severity: Severity
    sources: tuple[str, ...]
    checked: dt.date
    texts: Mapping[str, str]

    def affects(self, version: str) -> bool:
        """False also for a version that cannot be read."""
        found, bound = read_version(version), read_version(self.before or self.through)
        if found is None or bound is None:
            return False
        return found < bound or (found == bound and not self.before)

    def text(self, language: str) -> str:
        """What to do and why, one sentence, in `language`, else in English."""
        return self.texts.get(language, self.texts["en"])


_Line = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Entry(_Part):
    id: Annotated[str, Field(pattern=r"^CVE-[0-9]{4}-[0-9]{4,7}$")]
    before: str = ""
    through: str = ""
    severity: Literal["critical", "high", "medium", "low"]
    sources: Annotated[list[_Line], Field(min_length=2)]
    checked: dt.date
    en: _Line
    it: _Line

    @model_validator(mode="after")
    def _has_one_bound(self) -> _Entry:
        if bool(self.before) is bool(self.through) or not read_version(self.before or self.through):
            raise ValueError("one of before and through has to be a version")
        return self


class _File(_Part):
    name: _Line
    cve: Annotated[list[_Entry], Field(min_length=1)]


def parse_cves(name: str, document: bytes) -> tuple[Cve, ...]:
    """The entries of one file. Raises `InputError` where it is malformed."""
    file = parse("CVEs", name, document, _File)
    return tuple(
        Cve(
            id=entry.id,
            product=file.name,
            before=entry.before,
            through=entry.through,
            severity=Severity(entry.severity),
            sources=tuple(entry.sources),
            checked=entry.checked,
            texts={"en": entry.en, "it": entry.it},
        )
        for entry in file.cve
    )


@functools.cache
def cves() -> Mapping[str, tuple[Cve, ...]]:
    """By the catalogue's name of a product or toolkit."""
    known: dict[str, tuple[Cve, ...]] = {}
    for file in files("cves"):
        entries = parse_cves(file.name, file.read_bytes())
        if entries[0].product in known:
            raise InputError(f"CVEs {file.name}: {entries[0].product} has two files")
        known[entries[0].product] = entries
    return known


def serious(product: Product) -> tuple[Cve, ...]:
    """Those of high or critical severity that affect a version which `product`, or its toolkit, says it has."""
    return tuple(
        cve
        for name, version in _stated(product)
        for cve in cves()[name]
        if cve.severity.rank >= Severity.HIGH.rank and cve.affects(version)
    )


def is_clear(product: Product) -> bool:
    """Whether each version that was stated of what the catalogue knows can be judged, and none is seriously affected."""
    stated = [read_version(version) for _, version in _stated(product)]
    return bool(stated) and None not in stated and not serious(product)


def evidence(product: Product) -> dict[str, bool | str]:
    """`EVIDENCE`: identifiers of our own catalogue. Empty where nothing serious is known."""
    found = ", ".join(cve.id for cve in serious(product))
    return {"version_inferred": True, "cves": found} if found else {}


def _stated(product: Product) -> Iterator[tuple[str, str]]:
    """Names that the catalogue knows, with the versions that were stated for them."""
    if product.name in cves() and product.version:
        yield product.name, product.version
    toolkit, _, version = product.toolkit.rpartition(" ")
    if toolkit in cves():
        yield toolkit, version
