"""What a run knows once its stages are over: observations and unknowns, from stored attempts and from what was left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from leadapron.assess.compare import NOBODY, Holders, compared
from leadapron.assess.genuineness import weigh
from leadapron.discover.middlebox import middleboxes, signature_of
from leadapron.model import (
    Attempt,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Reason,
    Stage,
    Unknown,
)
from leadapron.pipeline_terms import ScopeTerms
from leadapron.protocols.attempts import OURS
from leadapron.protocols.base import Case, Payload, Protocol
from leadapron.scope.doors import doors_with_ports
from leadapron.scope.grant import Scope

Jobs = Mapping[str, Payload]
Door = tuple[Endpoint, str]
"""An endpoint, and the protocol in which it is asked."""

WITNESSES = 3
"""Of a group of endpoints that failed alike, so many are asked whether they speak TLS."""


class Evidence:
    """Of one run. `left_out` and `cut_short` are what this process did not ask, or not to the end."""

    def __init__(
        self,
        scope: Scope,
        protocols: Mapping[str, Protocol],
        terms: ScopeTerms,
        only: Endpoint | None = None,
        before: Mapping[Door, Jobs] | None = None,
    ) -> None:
        """`only`: the one endpoint that is asked. Where no door is looked for at its port any more, all are. `before`: what
        is stored of a run that asked all of what this one asks a share of, too little to tell a range that answers alike."""
        self._scope, self._protocols, self._terms, self._only = scope, protocols, terms, only
        calling = scope.contact.calling_aet
        self._begins_deep = frozenset(name for name, each in protocols.items() if each.hello(calling) is None)
        """those whose first exchange is made in the deep stage"""
        self.left_out: defaultdict[Door, dict[str, Failed]] = defaultdict(dict)
        """why, by job; no results: asked on resume"""
        self.cut_short: defaultdict[Door, dict[str, Payload]] = defaultdict(dict)
        """what the attempts of `left_out` learned before they ended"""
        self._alike_before: dict[Door, tuple[str, str]] = {}
        """the group, and how it answered"""
        cases = self.cases(before or {})
        self._alike_before = {
            door: (group, signature_of(cases[door]["hello"])) for door, group in self.middleboxes(cases).items()
        }

    def doors(self, hits: Iterable[Endpoint]) -> list[Door]:
        """Where to speak in which protocol, of what was reached: the protocols whose ports they are."""
        found = [(endpoint, name) for endpoint in hits for name in self._terms.doors_at(endpoint)]
        if found or self._only is None:
            return found
        return [(each, name) for each in hits for name in self._protocols if name in doors_with_ports()]

    def cases(self, attempts: Mapping[Door, Jobs]) -> dict[Door, Jobs]:
        """What was spoken to, of all stored attempts."""
        return {door: jobs for door, jobs in attempts.items() if "hello" in jobs and door[1] in self._protocols}

    def middleboxes(self, cases: Mapping[Door, Jobs]) -> dict[Door, str]:
        """The doors of groups of endpoints that answer alike, or fail alike, unless one of them speaks otherwise (TLS). Not
        of what the scope names one by one: the addresses of a provider do answer alike."""
        looked_for = [name for name in self._protocols if name in doors_with_ports()]
        found = {(at, name): group for name in looked_for for at, group in self._middleboxes(cases, name).items()}
        before = {door: self._alike_before[door][0] for door in self._alike_before.keys() & cases.keys()}
        return {door: group for door, group in before.items() if self.was_alike(door, cases[door]["hello"])} | found

    def was_alike(self, door: Door, hello: Payload) -> bool:
        """Whether it answers as it did before, when it was one of many."""
        return door in self._alike_before and self._alike_before[door][1] == signature_of(hello)

    def _middleboxes(self, cases: Mapping[Door, Jobs], name: str) -> dict[Endpoint, str]:
        hellos = {endpoint: jobs["hello"] for (endpoint, protocol), jobs in cases.items() if protocol == name}
        alike = middleboxes(hellos, self._scope.ports.by_door.get(name, ()))
        freed = {group for endpoint, group in alike.items() if self._speaks_otherwise((endpoint, name), cases)}
        return {endpoint: group for endpoint, group in alike.items() if group not in freed}

    def _speaks_otherwise(self, door: Door, cases: Mapping[Door, Jobs]) -> bool:
        return len(cases[door]) > 1 and self._protocols[door[1]].speaks_otherwise(self._case(door[0], cases[door]))

    def _case(self, endpoint: Endpoint, jobs: Jobs) -> Case:
        return Case(endpoint=endpoint, terms=self._terms.at(endpoint), attempts=jobs)

    def to_assess(self, attempts: Mapping[Door, Jobs], hits: Iterable[Endpoint]) -> dict[Door, Jobs]:
        """Whom to ask, of all stored attempts: everyone outside of middleboxes, and `WITNESSES` of each group that failed
        alike. Sixteen servers of TLS in a row all hang up on a hello in clear. And the `hits` that wait for a first word of
        the deep stage."""
        cases = self.cases(attempts)
        groups: defaultdict[tuple[str, str], list[Door]] = defaultdict(list)
        for door, group in self.middleboxes(cases).items():
            groups[group, door[1]].append(door)
        left_alone: set[Door] = set()
        for members in groups.values():
            left_alone.update(members)
            if all("failed" in cases[door]["hello"] for door in members):
                left_alone.difference_update(_spread(sorted(members, key=_order), WITNESSES))
        fresh: dict[Door, Jobs] = {
            door: {} for door in self.doors(hits) if door not in cases and self.begins_deep(door)
        }
        return {**{door: jobs for door, jobs in cases.items() if door not in left_alone}, **fresh}

    def begins_deep(self, door: Door) -> bool:
        """Whether it waits for a first word of the deep stage."""
        endpoint, name = door
        return name in self._begins_deep and self._terms.at(endpoint).depth >= Depth.TALK

    def gather(
        self, attempts: Mapping[Door, Jobs], hits: Iterable[Endpoint], holders: Holders = NOBODY
    ) -> tuple[list[Observation], list[Unknown]]:
        """From the stored attempts, and every endpoint that was reached. `holders`: see `compared`."""
        cases = self.cases(attempts)
        alike = self.middleboxes(cases)
        observations: list[Observation] = []
        failed: Counter[tuple[str, Stage, Reason]] = Counter()
        for door, jobs in sorted(cases.items(), key=lambda case: _order(case[0])):
            if (group := alike.get(door)) is not None:
                failed[group, Stage.HANDSHAKE, Reason.MIDDLEBOX] += 1
                continue
            endpoint, name = door
            made = {**jobs, **self.cut_short.get(door, {})}
            found, why = self._protocols[name].conclude(self._case(endpoint, made))
            observations += found
            reasons = [*([why] if why is not None else []), *(each for seen in found for each in seen.unknowns)]
            failed.update((str(endpoint), each.stage, each.reason) for each in reasons)
            for each in self.left_out.get(door, {}).values():
                failed.setdefault((str(endpoint), each.stage, each.reason), 1)
        failed.update(self._without_hello(cases, hits))
        unknowns = [
            Unknown(endpoint=place, stage=stage, reason=reason, count=count)
            for (place, stage, reason), count in sorted(failed.items())
        ]
        return [replace(seen, genuineness=weigh(seen)) for seen in compared(observations, holders)], unknowns

    def _without_hello(
        self, cases: Mapping[Door, object], hits: Iterable[Endpoint]
    ) -> Iterator[tuple[str, Stage, Reason]]:
        """What was reached, and not spoken to: by the scope's own depth, by the gate right now, or by a stop."""
        for door in self.doors(hits):
            if door in cases:
                continue
            endpoint, _ = door
            terms = self._terms.at(endpoint)
            if terms.depth < Depth.TALK:
                place, reason = f"grant {terms.owner.grant}, depth {terms.depth.name.lower()}", Reason.OUT_OF_SCOPE
            elif (why := self.left_out.get(door, {}).get("hello")) is not None:
                place, reason = str(endpoint), why.reason
            else:
                place, reason = f"scope {self._scope.id}", Reason.STOPPED
            yield place, Stage.HANDSHAKE, reason

    def is_left_out(self) -> bool:
        """Whether something was not asked that a resume would ask."""
        return any(
            why.stage is not Stage.HANDSHAKE or self._terms.at(endpoint).depth >= Depth.TALK
            for (endpoint, _), jobs in self.left_out.items()
            for why in jobs.values()
        )


def _spread(members: Sequence[Door], count: int) -> list[Door]:
    """The first, the last, and what lies evenly between them."""
    last = len(members) - 1
    return [members[place * last // (count - 1)] for place in range(count)]


def ended_by_us(attempt: Attempt[object]) -> Failed | None:
    """Where and why we ended an attempt, or did not begin it; None for one that came to its own end.

    A result that was cut short says so in its field `ended`.
    """
    ended = attempt if isinstance(attempt, Failed) else getattr(attempt.result, "ended", None)
    return ended if isinstance(ended, Failed) and ended.reason in OURS else None


def _order(door: Door) -> tuple[int, int, int, str]:
    endpoint, name = door
    return endpoint.address.version, int(endpoint.address), endpoint.port, name
