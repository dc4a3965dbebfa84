"""What is to be seen of a server: its services, their verdicts, numbers, reasons and controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from real_servers import Namespace

from leadapron.model import CountKind, Endpoint, Reason, Stage, Verdict
from listening import Serve

PROVEN, OFFERED, REFUSED, UNKNOWN, NOT_ASKED = Verdict


class State(StrEnum):
    """Of the server that a cell is about. Hostile: it breaks what it speaks, or never ends."""

    OPEN = "open"
    LOCKED = "locked"
    HOSTILE = "hostile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """An exact number, or a bound that is `value` at least."""

    value: int
    kind: CountKind

    def is_met_by(self, count: Mapping[str, Any]) -> bool:
        is_enough = count["value"] >= self.value if self.kind is CountKind.BOUND else count["value"] == self.value
        return count["kind"] == self.kind and is_enough


def exact(value: int) -> Number:
    return Number(value=value, kind=CountKind.EXACT)


def at_least(value: int) -> Number:
    return Number(value=value, kind=CountKind.BOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One service at the endpoint of a server, as it is. `state` None: it stands beside the one that the server is for."""

    state: State | None = None
    what: str = ""
    """what matters of the server here, beside its name"""
    protocol: str = ""
    """that of the door, unless told"""
    resource: str | None = ""
    """None: there is no service, and `why` says why"""
    talk: Verdict = PROVEN
    list: Verdict = NOT_ASKED
    read: Verdict = NOT_ASKED
    write: Verdict = NOT_ASKED
    studies: Number | None = None
    images: Number | None = None
    why: frozenset[tuple[Stage, Reason]] = frozenset()
    """of everything that is unknown, or not exact"""
    beside: frozenset[tuple[Stage, Reason]] = frozenset()
    """of what could not be looked for at the same endpoint"""
    controls: frozenset[str] = frozenset()
    """those that it breaks"""


Start = Callable[[Namespace, Path], AbstractContextManager[Endpoint]]
"""In a namespace, with a folder for itself and for what it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A real server, and every service at its endpoint. `named`: buckets of a scope, `{here}` filled in."""

    server: str
    """as people call it, with what matters of its settings"""
    start: Start
    cells: Sequence[Cell]
    named: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """A server of ours that a real one is not. It gets an address for itself."""

    server: str
    """what it does"""
    serve: Callable[[], Serve]
    cells: Sequence[Cell]
    named: Sequence[str] = ()


def hostile(server: str, serve: Callable[[], Serve], **seen: Any) -> Hostile:
    """One of a single service."""
    return Hostile(server=server, serve=serve, cells=(Cell(state=State.HOSTILE, **seen),))


def no_service(stage: Stage, reason: Reason) -> dict[str, Any]:
    """What is seen of a server that is none of the door's."""
    return {"resource": None, "talk": UNKNOWN, "list": UNKNOWN, "read": UNKNOWN, "why": frozenset({(stage, reason)})}
