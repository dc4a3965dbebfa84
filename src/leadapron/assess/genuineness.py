"""Whose records a service shows: of patients, of a test, of a decoy. Several signals with weights, never one alone.

Pure: from an observation, whose facts `sign.…` were counted in the parser of the census, to a verdict with the signals
that spoke. `docs/genuineness.md` has the weights and what they were measured on; a test holds it to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leadapron.model import Genuineness, Observation

PATIENTS, TEST, DEIDENTIFIED, PUBLIC, HONEYPOT, UNKNOWN = (
    "patients",
    "test",
    "deidentified",
    "public-sample",
    "honeypot",
    "unknown",
)
DECIDED = 0.6
"""From this sum of weights on a kind is the verdict; below, records with names are those of patients."""
ORDER = (HONEYPOT, PUBLIC, DEIDENTIFIED, TEST)
"""Of several kinds that are decided the heaviest is the verdict, the first of equals; a honeypot before all others."""
FEW = 5
"""Records of a sample below which nothing can be regular or constant."""
MOST, SOME = 0.8, 0.5
"""Shares of the sample."""
TWINS = 3
"""Hosts that show the same content: two are an archive and its copy."""
DECOYS = frozenset(("Dicompot", "DICOMHawk"))
"""Honeypots of the product catalogue."""

Facts = Mapping[str, int | bool]


def _share(facts: Facts, name: str) -> float:
    records = int(facts.get("sign.records", 0))
    return int(facts.get(f"sign.{name}", 0)) / records if records else 0.0


def _is_many(facts: Facts) -> bool:
    return int(facts.get("sign.records", 0)) >= FEW


def _names_per_record(facts: Facts, name: str) -> float:
    named = int(facts.get("sign.named", 0))
    return int(facts.get(f"sign.{name}", 0)) / named if named else 1.0


def _looks_like_a_decoy(seen: Observation) -> bool:
    return not DECOYS.isdisjoint((seen.product.name, *seen.product.candidates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`kinds`: what it speaks for, with its weight. It speaks where `holds`."""

    kinds: Mapping[str, float]
    holds: Callable[[Observation], bool]


SIGNALS: Mapping[str, Signal] = {
    "identity_removed": Signal(kinds={DEIDENTIFIED: 0.8}, holds=lambda seen: _share(seen.facts, "removed") >= MOST),
    "anonymous_names": Signal(kinds={DEIDENTIFIED: 0.6}, holds=lambda seen: _share(seen.facts, "anonymous") >= MOST),
    "no_names": Signal(
        kinds={DEIDENTIFIED: 0.4},
        holds=lambda seen: int(seen.facts.get("sign.records", 0)) > 0 and not seen.facts.get("sign.named"),
    ),
    "public_collection": Signal(kinds={PUBLIC: 0.7, HONEYPOT: 0.2}, holds=lambda s: _share(s.facts, "public") >= SOME),
    "phantom_names": Signal(kinds={TEST: 0.7}, holds=lambda seen: _share(seen.facts, "phantom") >= MOST),
    "impossible_births": Signal(kinds={TEST: 0.4}, holds=lambda seen: _share(seen.facts, "impossible") >= SOME),
    "one_name": Signal(
        kinds={TEST: 0.4, HONEYPOT: 0.2},
        holds=lambda seen: _is_many(seen.facts) and int(seen.facts.get("sign.names", 0)) == 1,
    ),
    "counted_names": Signal(
        kinds={TEST: 0.3, DEIDENTIFIED: 0.3, HONEYPOT: 0.1},
        holds=lambda s: (
            _is_many(s.facts)
            and int(s.facts.get("sign.names", 0)) > 1
            and _names_per_record(s.facts, "shapes") <= 1 - MOST
        ),
    ),
    "one_birth_date": Signal(
        kinds={TEST: 0.3, HONEYPOT: 0.1},
        holds=lambda seen: (
            _is_many(seen.facts)
            and int(seen.facts.get("sign.births", 0)) == 1
            and int(seen.facts.get("sign.names", 0)) > 1
        ),
    ),
    "no_birth_dates": Signal(
        kinds={DEIDENTIFIED: 0.3, TEST: 0.1},
        holds=lambda seen: _is_many(seen.facts) and not seen.facts.get("sign.births"),
    ),
    "decoy_product": Signal(kinds={HONEYPOT: 0.35}, holds=_looks_like_a_decoy),
    "any_sop_class": Signal(
        kinds={HONEYPOT: 0.2, TEST: 0.2}, holds=lambda seen: seen.facts.get("context.made_up") is True
    ),
    "same_content": Signal(
        kinds={HONEYPOT: 0.3, TEST: 0.1}, holds=lambda seen: int(seen.facts.get("twins", 0)) >= TWINS
    ),
}
"""By name, which is what a report calls it."""


def weigh(seen: Observation) -> Genuineness | None:
    """None where nothing was listed: there is nothing to be genuine. Without a census the verdict is unknown, unless the
    service itself gives a decoy away."""
    if not seen.exposed:
        return None
    spoke = {name: signal for name, signal in SIGNALS.items() if signal.holds(seen)}
    sums: dict[str, float] = {}
    for signal in spoke.values():
        for kind, weight in signal.kinds.items():
            sums[kind] = sums.get(kind, 0.0) + weight
    decided = [kind for kind in ORDER if round(sums.get(kind, 0.0), 2) >= DECIDED]
    if decided:
        kind = HONEYPOT if HONEYPOT in decided else max(decided, key=lambda each: round(sums[each], 2))
        return Genuineness(verdict=kind, score=round(min(sums[kind], 1.0), 2), signals=tuple(spoke))
    score = max(sums.values(), default=0.0)
    named = _share(seen.facts, "named")
    if not seen.facts.get("sign.records") or named < SOME:
        return Genuineness(verdict=UNKNOWN, score=0.0, signals=tuple(spoke))
    return Genuineness(verdict=PATIENTS, score=round(named * (1 - score), 2), signals=tuple(spoke))
