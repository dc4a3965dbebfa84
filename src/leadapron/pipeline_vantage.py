"""Whether a run could see: a run whose way out was shut, or that was banned midway, is blind and not reassuring.

Two kinds of evidence. Our listener (`[vantage] listener`) is asked for its proof before, during and after a run: against
a firewall of our own that refuses everything, which looks like closed ports, nothing else helps. And the answers of the
targets themselves: they come in an order that is drawn by lot, so that an end without a single answer is no accident.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from leadapron.errors import InputError, RunStopped
from leadapron.model import Address, Endpoint, Reason, RunStatus, Stage, Unknown
from leadapron.net.target import Outcome
from leadapron.net.way_out import failure
from leadapron.scope.audit_log import AuditLog
from leadapron.scope.our_listener import OurListener, read_token
from leadapron.scope.policy import Pins, hosts_of

INTERVAL = 60.0
"""Seconds between two looks at the listener while a run goes on."""
CHANCE = 1e-6
"""An end of a sweep without an answer is evidence where chance makes one so long in less than this share of the runs."""
FEWEST_REACHED = 3
"""Endpoints that were reached and then are not, every one: fewer may have been switched off."""

if TYPE_CHECKING:
    from leadapron.discover.spaces import Spaces

Ask = Callable[[Sequence[Address], int, bytes], Reason | None]
Judgement = tuple[RunStatus, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One look at the listener. `failed`: the ports without a proof."""

    at: dt.datetime
    failed: Mapping[int, Reason] = field(default_factory=dict)


class Part(NamedTuple):
    """Targets of a sweep that follow upon each other."""

    answered: int
    silent: int
    stretch: int = 0
    """where the stretch ends that it lies in: in there, the same networks are visited all the time"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What tells whether a run could see."""

    rounds: Sequence[Round] = ()
    tried: int = 0
    rows: Sequence[Sequence[Part]] = ()
    """of each space of the sweep its parts, in their order; none where parts were left out, which were not drawn by lot"""
    reached: int = 0
    """endpoints that accepted a connection in the sweep"""
    lost: int = 0
    """of those, the ones that could not be connected to a second time"""


def judged(seen: Seen) -> tuple[Judgement, Reason] | None:
    """The status of a run that could not see, and why; None where nothing speaks against it."""
    for number, look in enumerate(seen.rounds):
        if look.failed:
            return _shut(seen.rounds[:number], look, seen.tried), next(iter(look.failed.values()))
    for row in seen.rows:
        if (fell := _fell_silent(row)) is not None:
            return fell, Reason.TIMEOUT
    if seen.reached >= FEWEST_REACHED and seen.lost == seen.reached:
        return (
            RunStatus.BLIND,
            f"none of {seen.reached} endpoints that were reached could be reached again: were we banned on the way?",
        ), Reason.TIMEOUT
    return None


def _shut(before: Sequence[Round], look: Round, tried: int) -> Judgement:
    """A run that goes on is only stopped by a way out that is shut before it: what it knows was seen."""
    ports = ", ".join(map(str, look.failed))
    if before:
        return (
            RunStatus.BLIND,
            f"our listener answered at {_time(before[-1])}, and no longer at {_time(look)} on port {ports}",
        )
    if tried:
        return (
            RunStatus.STOPPED,
            f"our listener cannot be reached on port {ports}, so that no further target was asked",
        )
    return (
        RunStatus.BLIND,
        f"our listener could not be reached on port {ports}, so that no target was asked: is our own way out blocked?",
    )


def _time(look: Round) -> str:
    return f"{look.at.astimezone(dt.UTC):%H:%M:%S} UTC"


def _fell_silent(parts: Sequence[Part]) -> Judgement | None:
    """Within a stretch the sweep goes through each of its networks in an even order. That all of `answers` among `total`
    lie before the last `tail` of the stretch has in a random one the probability C(total - tail, answers) /
    C(total, answers), whatever network it is, and in an even one less. What comes after the stretch says nothing: smaller
    networks, which may be those that answer, are through by then."""
    last = max((number for number, part in enumerate(parts) if part.answered), default=-1)
    if last < 0:
        return None
    head, rest, stretch = parts[: last + 1], parts[last + 1 :], parts[last].stretch
    here = [part for part in parts if part.stretch == stretch]
    answers, total, tail = _answers(here), _targets(here), _targets(part for part in rest if part.stretch == stretch)
    if not tail or _log_choose(total - tail, answers) - _log_choose(total, answers) > math.log(CHANCE):
        return None
    told, first, last_ones = _answers(parts), _targets(head), _targets(rest)
    return (
        RunStatus.BLIND,
        f"{told} of the first {first} targets answered, and none of the last {last_ones}: were we banned on the way?",
    )


def _answers(parts: Iterable[Part]) -> int:
    return sum(part.answered for part in parts)


def _targets(parts: Iterable[Part]) -> int:
    return sum(part.answered + part.silent for part in parts)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def rows(chunks: Iterable[tuple[int, int, Mapping[str, int]]], spaces: Spaces) -> list[list[Part]]:
    """Of where each chunk of a sweep starts and stops, and its outcomes, in order. A refusal is an answer, also one of a
    firewall. Of a chunk that reaches beyond its stretch only answers count: its silence is that of two."""
    found: list[list[Part]] = [[] for _ in spaces.starts]
    for start, stop, outcomes in chunks:
        silent = sum(outcomes.get(name, 0) for name in (Outcome.TIMEOUT.value, Outcome.UNREACHABLE.value))
        part = Part(sum(outcomes.values()) - silent, silent, spaces.stretch(start)[0])
        if part.answered or stop <= part.stretch:
            found[spaces.of(start)].append(part)
    return found


def lost(reached: Iterable[Endpoint], unknowns: Iterable[Unknown]) -> int:
    """How many of the endpoints that were reached could not be connected to again."""
    gone = {unknown.endpoint for unknown in unknowns if unknown.stage is Stage.CONNECT}
    return sum(str(endpoint) in gone for endpoint in reached)


_OURS = (Reason.OUT_OF_SCOPE, Reason.LIMIT)
"""Why a look tells nothing of the way: the scope does not permit it any more, or this machine has no file or port left."""


class WayOut:
    """Looks at the listener before, during and after what this process does of a run. Without one it knows nothing, and
    never objects. It looks from a thread of its own: the wide stages must not wait for it."""

    def __init__(
        self,
        listener: OurListener | None,
        pins: Pins,
        audit_log: AuditLog,
        *,
        ask: Ask = failure,
        every: float = INTERVAL,
    ) -> None:
        self._listener, self._pins, self._log, self._ask, self._every = listener, pins, audit_log, ask, every
        self._token = b""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.rounds: list[Round] = []

    def begin(self, on_lost: Callable[[str], object]) -> None:
        """The look before, and from then on one each `INTERVAL`; `on_lost` is told why to stop. Raises RunStopped where
        the way out is shut already."""
        if self._listener is None:
            return
        try:
            self._token = read_token(self._listener.token_file)
        except InputError:
            raise RunStopped("the token of the listener cannot be read") from None
        if (why := self._look(self._listener)) is not None:
            raise RunStopped(why)
        self._thread = threading.Thread(target=self._watch, args=(self._listener, on_lost), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The look after, where none before it failed."""
        self.close()
        if self._listener is not None and self.rounds and not self.rounds[-1].failed:
            self._look(self._listener)

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self, listener: OurListener, on_lost: Callable[[str], object]) -> None:
        while not self._ended.wait(self._every):
            try:
                why = self._look(listener)
            except RunStopped as stopped:  # the audit log: whoever writes to it next finds out too
                why = stopped.why
            if why is not None:
                on_lost(why)
                return

    def _look(self, listener: OurListener) -> str | None:
        """Why the run cannot see; None where it can. Where the scope no longer permits the listener, nothing is known:
        that is no blocked way."""
        addresses = hosts_of(listener.host, self._pins)
        reasons = {port: self._ask_port(addresses, port) for port in listener.ports}
        self._log.write("way_out", ports={str(port): reason or "proven" for port, reason in reasons.items()})
        failed = {port: reason for port, reason in reasons.items() if reason not in (None, *_OURS)}
        self.rounds.append(Round(at=dt.datetime.now(dt.UTC), failed={port: why for port, why in failed.items() if why}))
        found = judged(Seen(rounds=self.rounds))
        return found[0][1] if found else None

    def _ask_port(self, addresses: Sequence[Address], port: int) -> Reason | None:
        return self._ask(addresses, port, self._token)
