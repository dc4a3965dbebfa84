"""What a run knows once its stages are over: observations and unknowns, from stored attempts and from what was left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from leadapron.assess.compare import NOBODY, Holders, compared
from leadapron.assess.genuineness import weigh
from leadapron.discover.middlebox import middleboxes
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
from leadapron.protocols.base import Case, Payload, Protocol
from leadapron.scope.grant import Scope

Jobs = Mapping[str, Payload]

WITNESSES = 3
"""Of a group of endpoints that failed alike, so many are asked whether they speak TLS."""

_OURS = frozenset({Reason.OUT_OF_SCOPE, Reason.STOPPED})
"""Why we ourselves end an attempt, or do not begin it."""


class Evidence:
    """Of one run. `left_out` and `cut_short` are what this process did not ask, or not to the end."""

    def __init__(self, scope: Scope, protocol: Protocol, terms: ScopeTerms) -> None:
        self._scope, self._protocol, self._terms = scope, protocol, terms
        self.left_out: defaultdict[Endpoint, dict[str, Failed]] = defaultdict(dict)
        """why, by job; no results: asked on resume"""
        self.cut_short: defaultdict[Endpoint, dict[str, Payload]] = defaultdict(dict)
        """what the attempts of `left_out` learned before they ended"""

    def cases(self, attempts: Mapping[tuple[Endpoint, str], Jobs]) -> dict[Endpoint, Jobs]:
        """The endpoints that were spoken to, of all stored attempts."""
        return {endpoint: jobs for (endpoint, _), jobs in attempts.items() if "hello" in jobs}

    def middleboxes(self, cases: Mapping[Endpoint, Jobs]) -> dict[Endpoint, str]:
        """The endpoints of groups that answer alike, or fail alike, unless one of them speaks otherwise (TLS)."""
        alike = middleboxes({endpoint: jobs["hello"] for endpoint, jobs in cases.items()}, self._scope.ports.dicom)
        freed = {group for endpoint, group in alike.items() if self._speaks_otherwise(endpoint, cases[endpoint])}
        return {endpoint: group for endpoint, group in alike.items() if group not in freed}

    def _speaks_otherwise(self, endpoint: Endpoint, jobs: Jobs) -> bool:
        return len(jobs) > 1 and self._protocol.speaks_otherwise(self._case(endpoint, jobs))

    def _case(self, endpoint: Endpoint, jobs: Jobs) -> Case:
        return Case(endpoint=endpoint, terms=self._terms.at(endpoint), attempts=jobs)

    def to_assess(self, attempts: Mapping[tuple[Endpoint, str], Jobs]) -> dict[Endpoint, Jobs]:
        """Whom to ask, of all stored attempts: everyone outside of middleboxes, and `WITNESSES` of each group that failed
        alike. Sixteen servers of TLS in a row all hang up on a hello in clear."""
        cases = self.cases(attempts)
        groups: defaultdict[str, list[Endpoint]] = defaultdict(list)
        for endpoint, group in self.middleboxes(cases).items():
            groups[group].append(endpoint)
        left_alone: set[Endpoint] = set()
        for members in groups.values():
            left_alone.update(members)
            if all("failed" in cases[endpoint]["hello"] for endpoint in members):
                left_alone.difference_update(_spread(sorted(members, key=_order), WITNESSES))
        return {endpoint: jobs for endpoint, jobs in cases.items() if endpoint not in left_alone}

    def gather(
        self, attempts: Mapping[tuple[Endpoint, str], Jobs], hits: Iterable[Endpoint], holders: Holders = NOBODY
    ) -> tuple[list[Observation], list[Unknown]]:
        """From the stored attempts, and every endpoint that was reached. `holders`: see `compared`."""
        cases = self.cases(attempts)
        alike = self.middleboxes(cases)
        observations: list[Observation] = []
        failed: Counter[tuple[str, Stage, Reason]] = Counter()
        for endpoint, jobs in sorted(cases.items(), key=lambda case: _order(case[0])):
            if (group := alike.get(endpoint)) is not None:
                failed[group, Stage.HANDSHAKE, Reason.MIDDLEBOX] += 1
                continue
            made = {**jobs, **self.cut_short.get(endpoint, {})}
            found, why = self._protocol.conclude(self._case(endpoint, made))
            observations += found
            reasons = [*([why] if why is not None else []), *(each for seen in found for each in seen.unknowns)]
            failed.update((str(endpoint), each.stage, each.reason) for each in reasons)
            for each in self.left_out.get(endpoint, {}).values():
                failed.setdefault((str(endpoint), each.stage, each.reason), 1)
        failed.update(self._without_hello(cases, hits))
        unknowns = [
            Unknown(endpoint=place, stage=stage, reason=reason, count=count)
            for (place, stage, reason), count in sorted(failed.items())
        ]
        return [replace(seen, genuineness=weigh(seen)) for seen in compared(observations, holders)], unknowns

    def _without_hello(
        self, cases: Mapping[Endpoint, object], hits: Iterable[Endpoint]
    ) -> Iterator[tuple[str, Stage, Reason]]:
        """What was reached, and not spoken to: by the scope's own depth, by the gate right now, or by a stop."""
        for endpoint in hits:
            if endpoint in cases:
                continue
            terms = self._terms.at(endpoint)
            if terms.depth < Depth.TALK:
                place, reason = f"grant {terms.owner.grant}, depth {terms.depth.name.lower()}", Reason.OUT_OF_SCOPE
            elif (why := self.left_out.get(endpoint, {}).get("hello")) is not None:
                place, reason = str(endpoint), why.reason
            else:
                place, reason = f"scope {self._scope.id}", Reason.STOPPED
            yield place, Stage.HANDSHAKE, reason

    def is_left_out(self) -> bool:
        """Whether something was not asked that a resume would ask."""
        return any(
            why.stage is not Stage.HANDSHAKE or self._terms.at(endpoint).depth >= Depth.TALK
            for endpoint, jobs in self.left_out.items()
            for why in jobs.values()
        )


def _spread(members: Sequence[Endpoint], count: int) -> list[Endpoint]:
    """The first, the last, and what lies evenly between them."""
    last = len(members) - 1
    return [members[place * last // (count - 1)] for place in range(count)]


def ended_by_us(attempt: Attempt[object]) -> Failed | None:
    """Where and why we ended an attempt, or did not begin it; None for one that came to its own end.

    A result that was cut short says so in its field `ended`.
    """
    ended = attempt if isinstance(attempt, Failed) else getattr(attempt.result, "ended", None)
    return ended if isinstance(ended, Failed) and ended.reason in _OURS else None


def _order(endpoint: Endpoint) -> tuple[int, int, int]:
    return endpoint.address.version, int(endpoint.address), endpoint.port
