"""The portals that are known, from `portals.toml`, where every key is explained."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

Pattern = re.Pattern[bytes]

_PATH = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a product's login is sent, and by what its answer is told."""

    action: str
    fields: tuple[str, ...]
    constants: Mapping[str, str] = field(default_factory=dict)
    cookie: str
    renewed: bool = False
    home: Pattern
    failed: Pattern

    def is_on(self, page: bytes) -> bool:
        """Whether a page has a form that goes there, with all the fields."""
        last = self.action.rpartition("/")[2].encode()
        action = re.search(rb"<form\b[^>]{0,300}\baction\s*=\s*[\"'][^\"']{0,200}\b%s[\"']" % last, page, re.IGNORECASE)
        return action is not None and all(_input(name, page) for name in self.fields)


def _input(name: str, page: bytes) -> bool:
    pattern = rb"<input\b[^>]{0,300}\bname\s*=\s*[\"']%s[\"']" % re.escape(name.encode())
    return re.search(pattern, page, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portal:
    """One page of one product."""

    path: str
    product: str
    source: str
    mark: Pattern
    login: Pattern | None = None
    rows: Pattern | None = None
    empty: Pattern | None = None
    sign_on: Pattern | None = None
    config: str = ""
    form: Form | None = None

    @property
    def folder(self) -> str:
        """Of the page, with its slash."""
        return self.path.partition("?")[0].rpartition("/")[0] + "/"


_PATTERNS = ("mark", "login", "rows", "empty", "sign_on")
_FORM_PATTERNS = ("home", "failed")


@functools.cache
def portals() -> Mapping[str, Portal]:
    """By path, in the order of the file. Raises ValueError where the file breaks its own rules."""
    file = resources.files("leadapron.protocols.portal") / "portals.toml"
    read = [_portal(raw) for raw in tomllib.loads(file.read_text("utf-8"))["portal"]]
    found = {each.path: each for each in read}
    if len(found) != len(read):
        raise ValueError("portals.toml: a path is there twice")
    return found


def _portal(raw: dict[str, Any]) -> Portal:
    if not _PATH.fullmatch(raw["path"]):
        raise ValueError("portals.toml: a path that is none")
    form = raw.pop("form", None)
    return Portal(**_compiled(raw, _PATTERNS), form=None if form is None else _form(form))


def _form(raw: dict[str, Any]) -> Form:
    if not _PATH.fullmatch(raw["action"]) or not all(map(_NAME.fullmatch, (*raw["fields"], raw["cookie"]))):
        raise ValueError("portals.toml: a form that is none")
    return Form(**_compiled({**raw, "fields": tuple(raw["fields"])}, _FORM_PATTERNS))


def _compiled(raw: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: re.compile(value.encode(), re.IGNORECASE) if name in names else value for name, value in raw.items()}
