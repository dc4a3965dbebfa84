"""How the attempts of a plan are named: by their kind, their number from the second on, and what they are about.

`hello`, `hello.2`, `title:ARCHIVE`, `ask.2:ANY-SCP`, `tree:public`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadapron.model import Attempt, Failed, Reason, Stage

Attempts = Mapping[str, Attempt[Any]]

OURS = frozenset({Reason.OUT_OF_SCOPE, Reason.STOPPED})
"""Why we ourselves end an attempt, or do not begin it."""

HELLO = "hello"
"""The first exchange of every protocol."""


def name_of(kind: str, number: int, about: str = "") -> str:
    """The name of the `number`-th attempt of a kind."""
    numbered = kind if number == 1 else f"{kind}.{number}"
    return f"{numbered}:{about}" if about else numbered


def attempts_of(attempts: Attempts, kind: str, about: str = "") -> list[Attempt[Any]]:
    """All of one kind, about one thing, in their order."""
    found: list[Attempt[Any]] = []
    while (attempt := attempts.get(name_of(kind, len(found) + 1, about))) is not None:
        found.append(attempt)
    return found


def last_hello(attempts: Attempts) -> Attempt[Any]:
    hellos = attempts_of(attempts, HELLO)
    return hellos[-1] if hellos else Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED)


def ended_by_us(stage: Stage, reason: Reason | None) -> Failed | None:
    """For the field `ended` of a result that is kept though its attempt did not come to its end; None where we did not end
    it: then it is one."""
    return Failed(stage=stage, reason=reason) if reason in OURS and reason is not None else None
