"""The catalogue of controls: TOML files, one a control, checked as they are read.

General controls lie in `assess/controls/`, those of one protocol in `protocols/<protocol>/controls/`. A file is named
after the control's id.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leadapron.assess.condition import AccessIs, AllOf, AnyOf, Condition, FactAtLeast, FactEquals, KnownCve, VantageIs
from leadapron.assess.protocol_data import files, toml_files
from leadapron.errors import InputError
from leadapron.model import Counts, Depth, Severity, VantageKind, Verdict

COUNT_FIELDS = tuple(Counts.__dataclass_fields__)
"""`studies.low` and so on are evidence keys beside the protocol's facts."""


RSIT: Mapping[str, str] = {
    "information-disclosure": "vulnerable",
    "potentially-unwanted-accessible": "vulnerable",
    "vulnerable-system": "vulnerable",
    "weak-crypto": "vulnerable",
    "undetermined": "other",
}
"""Types of incidents that a control may be, each with its class, in the spelling of IntelMQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What people read about a control, in one language.

    `title` says what is wrong, `checked` how that was seen, `remedy` what to do, one step a line.
    """

    title: str
    checked: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    """Requirements that the control serves, for orientation; no legal advice, no claim of compliance."""

    nist_csf: tuple[str, ...]
    hipaa: tuple[str, ...]
    gdpr: tuple[str, ...]
    nis2: tuple[str, ...]
    iso_27002: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """`base` is the severity by vantage before the steps of `assess/severity.py`; `raised_by` names those that apply.

    A vantage without a base is one from which the control is not judged. `depth` is how far a run has to go to see
    whether the control is broken: one that may not go so far says nothing about findings that stand.
    """

    id: str
    about_endpoint: bool
    """the same hole whatever title opened it: a finding of the endpoint, not of each of its services"""
    depth: Depth
    rsit: str
    """the incident type of the Reference Security Incident Taxonomy that feeds tell it by: one of `RSIT`"""
    protocols: frozenset[str]
    """names of doors, or kinds of them (`web`, `files`)"""
    certified: bool
    """it is judged by what a holder of the scope's client certificate sees, too; the others are about strangers"""
    when: Condition
    refuted: Condition
    evidence: tuple[str, ...]
    base: Mapping[VantageKind, Severity]
    raised_by: tuple[str, ...]
    mappings: Mappings
    anchors: tuple[str, ...]
    texts: Mapping[str, Text]

    def text(self, language: str) -> Text:
        """In `language`, else in English."""
        return self.texts.get(language, self.texts["en"])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Verdict = Literal["proven", "offered", "refused", "unknown", "not_asked"]
_Vantage = Literal["internet", "partner-vpn", "office", "clinical"]
_Severity = Literal["critical", "high", "medium", "low", "info"]
_Depth = Literal["connect", "talk", "count", "census"]
_Rsit = Literal[
    "information-disclosure", "potentially-unwanted-accessible", "vulnerable-system", "weak-crypto", "undetermined"
]
_Line = Annotated[str, Field(min_length=1)]


class _FactEquals(_Part):
    fact: _Line
    equals: int | bool

    def condition(self) -> Condition:
        return FactEquals(fact=self.fact, equals=self.equals)


class _FactAtLeast(_Part):
    fact: _Line
    at_least: int

    def condition(self) -> Condition:
        return FactAtLeast(fact=self.fact, at_least=self.at_least)


class _AccessIs(_Part):
    access: Literal["reach", "talk", "list", "read", "write"]
    verdict: Annotated[list[_Verdict], Field(min_length=1)]

    def condition(self) -> Condition:
        return AccessIs(access=self.access, verdicts=frozenset(map(Verdict, self.verdict)))


class _VantageIs(_Part):
    vantage: Annotated[list[_Vantage], Field(min_length=1)]

    def condition(self) -> Condition:
        return VantageIs(kinds=frozenset(map(VantageKind, self.vantage)))


class _KnownCve(_Part):
    known_cve: bool

    def condition(self) -> Condition:
        return KnownCve(known=self.known_cve)


class _AllOf(_Part):
    all: Annotated[list[_Condition], Field(min_length=1)]

    def condition(self) -> Condition:
        return AllOf(conditions=tuple(part.condition() for part in self.all))


class _AnyOf(_Part):
    any: Annotated[list[_Condition], Field(min_length=1)]

    def condition(self) -> Condition:
        return AnyOf(conditions=tuple(part.condition() for part in self.any))


_Condition = _FactEquals | _FactAtLeast | _AccessIs | _VantageIs | _KnownCve | _AllOf | _AnyOf


class _Mappings(_Part):
    nist_csf: list[str]
    hipaa: list[str]
    gdpr: list[str]
    nis2: list[str]
    iso_27002: list[str]


class _Text(_Part):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    checked: _Line
    remedy: Annotated[list[_Line], Field(min_length=1)]


class _ControlFile(_Part):
    id: Annotated[str, Field(pattern=r"^LA-[0-9]{2}$")]
    protocols: Annotated[list[str], Field(min_length=1)]
    about: Literal["endpoint", "service"]
    depth: _Depth
    rsit: _Rsit
    certified: bool = False
    when: _Condition
    refuted: _Condition
    evidence: Annotated[list[str], Field(min_length=1)]
    severity: Annotated[dict[_Vantage, _Severity], Field(min_length=1)]
    raised_by: list[Literal["list", "volume", "identified"]]
    mappings: _Mappings
    anchors: Annotated[list[str], Field(min_length=1)]
    text: dict[Literal["en", "it"], _Text]

    @model_validator(mode="after")
    def _complete(self) -> _ControlFile:
        if "en" not in self.text:
            raise ValueError("text.en is missing")
        for key in self.evidence:
            name, _, end = key.rpartition(".")
            if end in ("low", "high") and name not in COUNT_FIELDS:
                raise ValueError(f"evidence {key}: no such count")
        return self

    def control(self) -> Control:
        return Control(
            id=self.id,
            protocols=frozenset(self.protocols),
            about_endpoint=self.about == "endpoint",
            depth=Depth[self.depth.upper()],
            rsit=self.rsit,
            certified=self.certified,
            when=self.when.condition(),
            refuted=self.refuted.condition(),
            evidence=tuple(self.evidence),
            base={VantageKind(kind): Severity(level) for kind, level in self.severity.items()},
            raised_by=tuple(self.raised_by),
            mappings=Mappings(**{name: tuple(refs) for name, refs in self.mappings}),
            anchors=tuple(self.anchors),
            texts={
                language: Text(title=text.title, checked=text.checked, remedy="\n".join(text.remedy))
                for language, text in self.text.items()
            },
        )


def parse_control(name: str, document: bytes) -> Control:
    """The control in one file. Raises `InputError` where it is malformed or not named after its id."""
    try:
        control = _ControlFile.model_validate(tomllib.loads(document.decode("utf-8"))).control()
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"control {name}: {' '.join(str(error).split())}") from error
    if name != f"{control.id}.toml":
        raise InputError(f"control {name}: its id is {control.id}; name the file {control.id}.toml")
    return control


def _files() -> Iterator[Traversable]:
    yield from toml_files(resources.files("leadapron.assess") / "controls")
    yield from files("controls")


@functools.cache
def catalogue() -> Mapping[str, Control]:
    """All controls by id, in the order of their ids."""
    controls: dict[str, Control] = {}
    for file in _files():
        control = parse_control(file.name, file.read_bytes())
        if control.id in controls:
            raise InputError(f"control {control.id} is defined twice")
        controls[control.id] = control
    return dict(sorted(controls.items()))


@functools.cache
def catalogue_version() -> str:
    """SHA-256 over the files of the catalogue, in hexadecimal: what a run was judged by."""
    digest = hashlib.sha256()
    for file in (*_files(), *files("cves"), *files("remedies")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
