"""From the bytes of a scope file to a Scope, or to all of its mistakes, each with its line."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leadapron.errors import ScopeError, ScopeErrors
from leadapron.model import Vantage, VantageKind
from leadapron.scope.checks import (
    Found,
    check_attribution,
    check_grants,
    check_not_all_later,
    check_token_file,
    check_zones,
    digest_of,
)
from leadapron.scope.exclusions import digest
from leadapron.scope.file import (
    AttributionTable,
    GrantTable,
    ScopeFile,
    SurveyTable,
    VantageTable,
    ZoneTable,
    keys_at,
    sound,
    sound_table,
)
from leadapron.scope.grant import (
    AttributionFiles,
    Budget,
    Contact,
    Grant,
    Mine,
    Pace,
    Ports,
    Scope,
    Survey,
    SweepTerms,
    Zone,
    identity,
)
from leadapron.scope.lines import Path as Place
from leadapron.scope.lines import find_lines, line_of
from leadapron.scope.our_listener import OurListener
from leadapron.scope.parse import Mistake
from leadapron.scope.snapshot import check_snapshots, taken_from
from leadapron.scope.survey import check_survey, check_wide, exclusions_of, read_page

MAX_SIZE = 16 << 20
"""Bytes: over half a million networks."""

_TYPES = {
    "string_type": ("a string", 'in quotes, "…"'),
    "bool_type": ("true or false", "true or false, without quotes"),
    "list_type": ("a list", "a list in brackets, […]"),
    "model_type": ("a table", "a table, [name], with its keys below"),
}


def read_scope(path: Path, *, today: dt.date) -> Scope:
    """Raises ScopeErrors."""
    return parse_scope(_bytes_of(path), path, today=today)


def exclusions_file(path: Path) -> Path:
    """Where the survey of the scope at `path` keeps its exclusions, whatever else that file says: who wants to be left alone
    is heard when the grants have ended, and when the file of exclusions is yet to be made. Raises ScopeErrors."""
    text, raw = _parse_toml(_bytes_of(path), path)
    survey = raw.get("survey")
    name = survey.get("exclusions") if isinstance(survey, dict) else None
    if isinstance(name, str) and name.strip():
        return path.parent / name.strip()
    place: Place = ("survey", "exclusions")
    mistake = Mistake(
        "is missing", 'add a table [survey] with `exclusions = "exclusions.txt"`; docs/scope.md says more'
    )
    raise _errors(path, text, [Found(place, mistake)])


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _one(
            path, 0, f"cannot be read: {error.strerror}", "name a scope file; `leadapron init` writes one"
        ) from None


def parse_scope(data: bytes, path: Path, *, today: dt.date) -> Scope:
    """`path` is named in mistakes, and documents are relative to it. Raises ScopeErrors."""
    text, raw = _parse_toml(data, path)
    try:
        file: ScopeFile | None = ScopeFile.model_validate(raw)
        found: list[Found] = []
    except ValidationError as error:
        file, found = None, list(_explain(error, raw))
    found += _check(raw, file, path, today)
    if found or file is None:
        raise _errors(path, text, found)
    try:
        return _scope(file, path, hashlib.sha256(data).hexdigest())
    except Mistake as mistake:  # in a file beside it, since it was checked
        raise _errors(path, text, [Found((), mistake)]) from None


def _parse_toml(data: bytes, path: Path) -> tuple[str, dict[str, Any]]:
    if len(data) > MAX_SIZE:
        raise _one(path, 0, "is larger than 16 MiB", "split it into several scopes")
    try:
        text = data.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _one(path, line, "is not UTF-8", "save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        problem, line = _toml_problem(str(error), data)
        raise _one(path, line, f"is not TOML: {problem}", "correct the line; https://toml.io shows the form") from None
    except RecursionError:
        raise _one(path, 0, "is nested too deeply", "a scope file has no nesting below its lists") from None


def _toml_problem(message: str, data: bytes) -> tuple[str, int]:
    """The message without its place, and the line."""
    if match := re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", message, re.DOTALL):
        return match[1], int(match[2])
    return message.removesuffix(" (at end of document)"), data.rstrip(b"\n").count(b"\n") + 1


def _check(raw: dict[str, Any], file: ScopeFile | None, path: Path, today: dt.date) -> Iterator[Found]:
    """`file` is None where a part of `raw` has a mistake in itself: then its other parts are looked at."""
    if file is None:
        grants, zones = sound(raw, "grant", GrantTable), sound(raw, "zone", ZoneTable)
    else:
        grants, zones = dict(enumerate(file.grant)), dict(enumerate(file.zone))
    whole = isinstance(raw.get("grant"), list) and len(grants) == len(raw["grant"])
    yield from check_grants(grants, path.parent, today)
    if whole:
        yield from check_not_all_later(grants, today)
    yield from check_zones(zones, grants if whole else None)
    yield from check_token_file(raw.get("vantage"), path.parent)
    if (attribution := sound_table(raw, "attribution", AttributionTable)) is not None:
        yield from check_attribution(attribution, path.parent)
    if (survey := sound_table(raw, "survey", SurveyTable)) is not None:
        yield from check_survey(survey, path.parent)
    yield from check_snapshots(grants, path.parent)
    yield from check_wide(grants, has_survey="survey" in raw)


def _explain(error: ValidationError, raw: dict[str, Any]) -> Iterator[Found]:
    for detail in error.errors(include_url=False, include_input=False):
        place = _place_in(raw, detail["loc"])
        yield Found(place, _mistake(detail["type"], place, detail.get("ctx", {})))


def _place_in(raw: Any, location: tuple[int | str, ...]) -> Place:
    """`location` without the names that pydantic gives to the branches of a union."""
    place: list[int | str] = []
    for step in location:
        if isinstance(raw, dict) and isinstance(step, str):
            place.append(step)
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int):
            place.append(step)
            raw = raw[step] if step < len(raw) else None
    return tuple(place)


def _mistake(kind: str, place: Place, context: Mapping[str, Any]) -> Mistake:
    mistake = context.get("error")
    if isinstance(mistake, Mistake):
        return mistake
    key, known = str(place[-1]), keys_at(place[:-1])
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(key, known, n=1)
        return Mistake("is not a key of the scope file", f"write {close[0]!r}" if close else f"use {', '.join(known)}")
    if kind == "missing":
        return Mistake("is missing", "add it; docs/scope.md says what it holds")
    if kind == "literal_error":
        return Mistake("is not one of the choices", f"use {context['expected']}")
    if kind == "too_short":
        return Mistake("is empty", "list at least one")
    wanted, remedy = _TYPES.get(kind, ("of the right type", "see docs/scope.md"))
    return Mistake(f"is not {wanted}", f"write {remedy}")


def _errors(path: Path, text: str, found: Iterable[Found]) -> ScopeErrors:
    lines = find_lines(text)
    errors = [
        ScopeError(path, line_of(lines, place), _dotted(place), mistake.problem, mistake.remedy)
        for place, mistake in found
    ]
    return ScopeErrors(tuple(sorted(errors, key=lambda error: error.line)))


def _dotted(place: Place) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _one(path: Path, line: int, problem: str, remedy: str) -> ScopeErrors:
    return ScopeErrors((ScopeError(path, line, "", problem, remedy),))


def _scope(file: ScopeFile, path: Path, sha256: str) -> Scope:
    listener = _listener(file.vantage, path.parent)
    ours = [(listener.host, port) for port in listener.ports] if listener else []
    grants = tuple(_grant(table, path.parent) for table in file.grant)
    snapshots = [grant.snapshot for grant in grants if grant.snapshot is not None]
    exclusions = exclusions_of(file.survey, path.parent) if file.survey else ()
    return Scope(
        version=file.version,
        id=file.id,
        contact=Contact(**dict(file.contact)),
        vantage=Vantage(kind=VantageKind(file.vantage.kind), name=file.vantage.name),
        grants=grants,
        mine=Mine(
            uid_roots=tuple(dict.fromkeys(root for table in file.mine for root in table.uid_roots)),
            issuers=tuple(dict.fromkeys(issuer for table in file.mine for issuer in table.issuers)),
        ),
        zones=tuple(Zone(**_frozen(dict(table))) for table in file.zone),
        ports=Ports() if file.ports is None else Ports(by_door=file.ports.by_door()),
        pace=Pace(**dict(file.pace)),
        budget=Budget(**dict(file.budget)),
        sweep=SweepTerms(**dict(file.sweep)),
        survey=_survey(file.survey, path.parent),
        exclusions=exclusions,
        exclusions_sha256=digest(exclusions),
        infrastructure=tuple(dict.fromkeys([*file.infrastructure.allow, *ours])),
        listener=listener,
        attribution=AttributionFiles(
            **{kind: path.parent / name for kind, name in dict(file.attribution).items() if name}
        ),
        sha256=identity(sha256, snapshots),
        path=path,
    )


def _listener(table: VantageTable, base: Path) -> OurListener | None:
    if table.listener is None:
        return None
    host, port = table.listener
    ports = tuple(dict.fromkeys([port, *table.listener_ports]))
    return OurListener(host=host, ports=ports, token_file=base / table.token_file)


def _survey(table: SurveyTable | None, base: Path) -> Survey | None:
    if table is None:
        return None
    return Survey(
        opt_out=table.opt_out,
        page=base / table.page,
        text=read_page(base / table.page, table.page),
        url=table.url,
        exclusions=base / table.exclusions if table.exclusions else None,
    )


def _grant(table: GrantTable, base: Path) -> Grant:
    digest = digest_of(base / table.document) if table.document else ""
    values = _frozen(dict(table))
    certificate, key = values.pop("client_certificate"), values.pop("client_key")
    pair = (base / certificate, base / (key or certificate)) if certificate else None
    values["buckets"] += values.pop("urls")
    values["snapshot"] = None
    if table.snapshot:
        values["snapshot"], values["networks"] = taken_from(table, base)
    return Grant(**values, document_sha256=digest, key_pair=pair)


def _frozen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
