"""What to do about a finding: the exact steps of the product first, then the general ones of the control.

Steps of products lie in `protocols/*/remedies/*.toml`, one file a product, named after its id. Each was read in two
places, at least one of them the product's own source or manual; nothing stands here that was only remembered.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from leadapron.assess import cves
from leadapron.assess.catalogue import Control
from leadapron.assess.protocol_data import files, parse
from leadapron.errors import InputError
from leadapron.model import Product

CVE_CONTROL = "LA-36"
"""Its steps are the texts of the CVEs that were found."""

_PERHAPS = {"en": "If it is {name}: {step}", "it": "Se è {name}: {step}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One setting of `of`, the program whose it is: the product, a tool of it, or the server built on a toolkit.

    `since` is the version that brought it, "" where no source says so; `default` is what ships.
    """

    of: str
    controls: tuple[str, ...]
    setting: str
    value: str
    default: str
    where: str
    since: str
    sources: tuple[str, ...]
    checked: dt.date
    texts: Mapping[str, str]

    def text(self, language: str) -> str:
        """In `language`, else in English."""
        return self.texts.get(language, self.texts["en"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedies:
    """`product` is the name that the catalogue of products gives it."""

    product: str
    steps: tuple[Step, ...]


_Line = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$")]
_ControlId = Annotated[str, Field(pattern=r"^LA-[0-9]{2}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Step(_Part):
    of: str = ""
    controls: Annotated[list[_ControlId], Field(min_length=1)]
    setting: _Line
    value: _Line
    default: _Line
    where: _Line
    since: str = ""
    sources: Annotated[list[_Line], Field(min_length=2)]
    checked: dt.date
    en: _Line
    it: _Line


class _File(_Part):
    name: _Line
    step: Annotated[list[_Step], Field(min_length=1)]


def parse_remedies(name: str, document: bytes) -> Remedies:
    """The steps of one file. Raises `InputError` where it is malformed."""
    file = parse("remedies", name, document, _File)
    return Remedies(
        product=file.name,
        steps=tuple(
            Step(
                of=step.of or file.name,
                controls=tuple(step.controls),
                setting=step.setting,
                value=step.value,
                default=step.default,
                where=step.where,
                since=step.since,
                sources=tuple(step.sources),
                checked=step.checked,
                texts={"en": step.en, "it": step.it},
            )
            for step in file.step
        ),
    )


@functools.cache
def remedies() -> Mapping[str, Remedies]:
    """By the catalogue's name of a product or toolkit, in the order of the files."""
    known: dict[str, Remedies] = {}
    for file in files("remedies"):
        found = parse_remedies(file.name, file.read_bytes())
        if found.product in known:
            raise InputError(f"remedies {file.name}: {found.product} has two files")
        known[found.product] = found
    return known


def product_steps(control: str, product: Product, language: str) -> list[str]:
    """Steps for what `product` is, or for each of the things that it may be; none where nothing is known of it.

    Names in them are the catalogue's own.
    """
    if control == CVE_CONTROL:
        return [f"{cve.product}: {cve.text(language)}" for cve in cves.serious(product)]
    if product.name:
        return [f"{step.of}: {step.text(language)}" for step in _steps(remedies().get(product.name), control)]
    perhaps = _PERHAPS.get(language, _PERHAPS["en"])
    return [
        perhaps.format(name=step.of, step=step.text(language))
        for known in _candidates(product)
        for step in _steps(known, control)
    ]


def remedy(control: Control, product: Product, language: str) -> str:
    """One step a line: those of the product, then those of the control."""
    return "\n".join([*product_steps(control.id, product, language), control.text(language).remedy])


def _candidates(product: Product) -> Iterator[Remedies]:
    """Those of the tie, and the server that is built on the toolkit."""
    for name, known in remedies().items():
        if name in product.candidates or f"{product.toolkit} ".startswith(f"{name} "):
            yield known


def _steps(known: Remedies | None, control: str) -> list[Step]:
    return [step for step in known.steps if control in step.controls] if known is not None else []
