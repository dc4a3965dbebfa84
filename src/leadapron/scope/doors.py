"""The doors that an audit knows, from `protocols/*/door.toml`: what they are called, and where they are looked for.

Data, so that the scope knows them without the code that speaks through them, which stands above it.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

_NAME = re.compile(r"[a-z][a-z0-9]{1,15}")
_KEYS = {"title", "ports", "kinds", "over", "named"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """`name` is that of its folder."""

    name: str
    title: str
    """as people write it: FTP, DICOMweb"""
    ports: tuple[int, ...]
    """where it is looked for unless the scope says otherwise; none for a door that opens over another"""
    kinds: frozenset[str]
    """what it is, for controls that are about several doors: `files`"""
    over: str
    """the door over which it is spoken, so that both share their ports: `http`; "" where it has its own"""
    named: bool = False
    """it is not looked for: the scope names each place where it is asked, and what there"""


@functools.cache
def doors() -> Mapping[str, Door]:
    """By name, in the order of the names. Raises ValueError where a file breaks its own rules."""
    found: dict[str, Door] = {}
    for folder in sorted(resources.files("leadapron.protocols").iterdir(), key=lambda entry: entry.name):
        file = folder / "door.toml"
        if file.is_file():
            found[folder.name] = _door(folder.name, file.read_text("utf-8"))
    for door in found.values():
        if door.over and (door.over not in found or found[door.over].over or door.ports):
            raise ValueError(f"door {door.name}: over {door.over}: there is no such door with ports, or it has its own")
    return found


def _door(name: str, document: str) -> Door:
    raw = tomllib.loads(document)
    door = Door(
        name=name,
        title=str(raw["title"]),
        ports=tuple(raw.get("ports", ())),
        kinds=frozenset(raw.get("kinds", ())),
        over=str(raw.get("over", "")),
        named=raw.get("named", False) is True,
    )
    is_sound = _NAME.fullmatch(name) and set(raw) <= _KEYS and all(0 < port < 65536 for port in door.ports)
    if not is_sound or [bool(door.over), bool(door.ports), door.named].count(True) != 1:
        raise ValueError(f"door {name}: its name, its keys or its ports are not as they should be")
    return door


def doors_with_ports() -> Mapping[str, Door]:
    """Those that a scope gives ports to."""
    return {name: door for name, door in doors().items() if door.ports}


def doors_of_their_own() -> Mapping[str, Door]:
    """Those that open over no other."""
    return {name: door for name, door in doors().items() if not door.over}


def is_of(protocol: str, names: frozenset[str]) -> bool:
    """Whether a protocol is one of `names`, or is of a kind among them."""
    door = doors().get(protocol)
    return protocol in names or (door is not None and not door.kinds.isdisjoint(names))
