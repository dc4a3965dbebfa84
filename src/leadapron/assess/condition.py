"""The closed language in which controls say what breaks them and what refutes them.

A condition looks at facts, the five accesses, the vantage and the version that was stated. What is not known makes a leaf
false, never true: neither a finding nor its refutation ever rests on an absence.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadapron.assess import cves
from leadapron.model import Observation, VantageKind, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class FactEquals:
    """The fact is known, has the type of `equals`, and its value (so `true` is not 1)."""

    fact: str
    equals: int | bool

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:  # noqa: ARG002
        value = observation.facts.get(self.fact)
        return type(value) is type(self.equals) and value == self.equals


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAtLeast:
    """The fact is a known number, at least `at_least`."""

    fact: str
    at_least: int

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:  # noqa: ARG002
        value = observation.facts.get(self.fact)
        return value is not None and not isinstance(value, bool) and value >= self.at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessIs:
    """One of the five accesses (a field of `Access`) has one of the verdicts."""

    access: str
    verdicts: frozenset[Verdict]

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:  # noqa: ARG002
        return getattr(observation.access, self.access) in self.verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class VantageIs:
    """We look from one of these kinds of place. False where the vantage is not part of the question."""

    kinds: frozenset[VantageKind]

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:  # noqa: ARG002
        return vantage in self.kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCve:
    """The stated version is affected by a serious CVE; or (not `known`) the catalogue can judge it, and it is not."""

    known: bool

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:  # noqa: ARG002
        product = observation.product
        return bool(cves.serious(product)) if self.known else cves.is_clear(product)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    conditions: tuple[Condition, ...]

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:
        return all(condition.holds(observation, vantage) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    conditions: tuple[Condition, ...]

    def holds(self, observation: Observation, vantage: VantageKind | None) -> bool:
        return any(condition.holds(observation, vantage) for condition in self.conditions)


Condition = FactEquals | FactAtLeast | AccessIs | VantageIs | KnownCve | AllOf | AnyOf
