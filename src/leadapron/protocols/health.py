"""Whether a service still answers after what we asked of it: the hello of its door once more, on a connection of its own.

    asked ──fell silent──► health ──there──► what is left to ask
      │                      └──silent──► health.2, after `DELAY` ──silent──► nothing more, and its zone is left alone
      └──all asked──► health …

Pure functions of the attempts at one endpoint, within one layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Observation, Reason, Stage
from leadapron.net.conversation import Conversation, Job, Limits
from leadapron.protocols.attempts import HELLO, Attempts, attempts_of, name_of

HEALTH = "health"
AFTERWARDS = "answers_afterwards"
"""The fact: whether it does."""
CHECKS = 2
"""Times in a row that a service is looked for before it counts as one that stopped answering."""
DELAY = 5.0
"""Seconds between two such looks."""
SILENCE = frozenset({Reason.TIMEOUT, Reason.RESET, Reason.REFUSED, Reason.UNREACHABLE})
"""Why an attempt failed behind which the service may be down. One that says it is full (LIMIT) is not."""

_SHORT = Limits(connect_timeout=5.0, idle_timeout=8.0, deadline=8.0)
_LOOK = re.compile(rf"(m?tls/|){HEALTH}(?:\.([0-9]+))?")
_SHALLOW = frozenset({HELLO, HEALTH, "smb1"})
"""Kinds of attempts after which nobody need ask how the server is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """It does. What it said is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look. `job`: the first exchange of the door, or less."""

    number: int
    job: Job[Any]
    delay: float = 0.0

    @property
    def name(self) -> str:
        return name_of(HEALTH, self.number)

    @property
    def endpoint(self) -> Endpoint:
        return self.job.endpoint

    @property
    def depth(self) -> Depth:
        return self.job.depth

    @property
    def limits(self) -> Limits:
        return replace(_SHORT, max_received=self.job.limits.max_received, low_port=self.job.limits.low_port)

    @property
    def in_clear(self) -> bool:
        return self.job.in_clear

    def converse(self) -> Conversation[Answered]:
        attempt: Attempt[Any] = yield from self.job.converse()
        return attempt if isinstance(attempt, Failed) else Completed(result=Answered())


def looked_after(following: Job[Any] | None, attempts: Attempts, hello: Job[Any]) -> Job[Any] | None:
    """The job after which a plan goes on: `following`, its next one, if it has one; before it a look by `hello`, where what
    was asked ended in silence; at its end a look in any case, where more was asked than a hello. None: nothing more, also
    where the service is silent."""
    asked = [attempt for name, attempt in attempts.items() if _kind(name) not in _SHALLOW]
    checks = attempts_of(attempts, HEALTH)
    if silent_checks(attempts):
        return None
    wanted = max(sum(map(fell_silent, asked)), 1 if asked and following is None else 0)
    if sum(map(is_there, checks)) >= wanted:
        return following
    is_second = bool(checks) and not is_there(checks[-1])
    return Check(number=len(checks) + 1, job=hello, delay=DELAY if is_second else 0.0)


def silent_checks(attempts: Attempts) -> frozenset[str]:
    """The name of the look after which a service counts as gone: the last of enough in a row that found nobody. That one is
    made again where a run is resumed. None where it is there, or was not looked for."""
    checks = attempts_of(attempts, HEALTH)
    last = checks[-CHECKS:]
    if len(last) < CHECKS or any(map(is_there, last)):
        return frozenset()
    return frozenset((name_of(HEALTH, len(checks)),))


def last_looks(attempts: Mapping[str, object]) -> frozenset[str]:
    """The name of the last look in each layer, of all attempts at an endpoint: what is asked again makes it stale."""
    looks = sorted((found for name in attempts if (found := _LOOK.fullmatch(name))), key=lambda each: int(each[2] or 1))
    return frozenset({look[1]: look[0] for look in looks}.values())


def is_there(check: Attempt[Any]) -> bool:
    return isinstance(check, Completed) or check.reason not in SILENCE


def fell_silent(attempt: Attempt[Any]) -> bool:
    """Whether it ended so, with a result or without."""
    if isinstance(attempt, Failed):
        return attempt.reason in SILENCE
    ends = (getattr(attempt.result, name, None) for name in ("ended", "why"))
    return any((end.reason if isinstance(end, Failed) else end) in SILENCE for end in ends)


Concluded = tuple[Sequence[Observation], Failed | None]


def told(concluded: Concluded, attempts: Attempts) -> Concluded:
    """With what the looks say of everything that was seen there."""
    checks = attempts_of(attempts, HEALTH)
    if not checks:
        return concluded
    found, why = concluded
    last = checks[-1]
    gone = Failed(stage=Stage.TALK, reason=last.reason) if isinstance(last, Failed) and not is_there(last) else None
    if gone is None:
        return [replace(seen, facts={**seen.facts, AFTERWARDS: True}) for seen in found], why
    unknowns = (gone,) if silent_checks(attempts) else ()
    seen_and_gone = [
        replace(seen, facts={**seen.facts, AFTERWARDS: False}, unknowns=(*seen.unknowns, *unknowns)) for seen in found
    ]
    return seen_and_gone, why if found or not unknowns else gone


def _kind(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]
