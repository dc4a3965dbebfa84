"""The readings of a scope file in one run: an address needs the permit of every one, though not all have to be asked.

After a hundred complaints a run has read a hundred files, each with one exclusion more than the one before. The last of them
says all that the others say, so that only it and the first one, which has its own reasons, are kept.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from leadapron.scope.layer import Layer
from leadapron.scope.policy import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    layers: tuple[Layer, ...]
    """all that are kept, the first reading first; of the others none implies another"""
    binding: tuple[Layer, ...]
    """of these, as many as permit what all permit"""

    @classmethod
    def of(cls, first: Layer) -> Readings:
        return cls(layers=(first,), binding=(first,))

    def narrowed(self, new: Layer) -> Readings:
        """With one more reading; itself where that one takes nothing away."""
        if any(implies(each, new) for each in self.layers):
            return self
        first, *before = self.layers
        later = (*(each for each in before if not implies(new, each)), new)
        is_enough = any(implies(each, first) for each in reversed(later))
        return Readings(layers=(first, *later), binding=later if is_enough else (first, *later))


def implies(one: Layer, other: Layer) -> bool:
    """Whether `other` permits whatever `one` permits, at any time and on the same terms. False where that is not plain to
    see: then both are asked."""
    if one.scope.zones != other.scope.zones or one.ports != other.ports or one.spots.keys() != other.spots.keys():
        return False
    terms = _Terms(one, other)
    return all(terms.hold_in(version) for version in one.tables) and all(terms.hold_at(*place) for place in one.spots)


class _Terms:
    """Those of one layer, beside those of another with the same zones, ports and spots."""

    def __init__(self, one: Layer, other: Layer) -> None:
        self._one, self._other = one, other
        self._known: dict[tuple[int, int], bool] = {}

    def hold_in(self, version: int) -> bool:
        """Whether each interval that `one` grants lies in one that `other` grants."""
        table, granted = self._one.policy.tables[version], self._one.granted
        starts, rules = self._other.tables[version]
        ends = [*starts[1:], table.size]
        for first, last, number in table.intervals():
            if granted[number]:
                place = bisect_right(starts, first) - 1
                if last >= ends[place] or not self._are_equal(number, rules[place]):
                    return False
        return True

    def hold_at(self, version: int, value: int, port: int) -> bool:
        """Whether a spot that `one` grants is decided alike: in one of them a network may open its port, and decide."""
        number, _ = self._one.deciding(version, value, port)
        return not self._one.granted[number] or self._are_equal(number, self._other.deciding(version, value, port)[0])

    def _are_equal(self, number: int, theirs: int) -> bool:
        pair = number, theirs
        if pair not in self._known:
            rule, other = self._one.policy.rules[number], self._other.policy.rules[theirs]
            self._known[pair] = _terms(rule) == _terms(other)
        return self._known[pair]


def _terms(rule: Rule) -> tuple[object, ...]:
    """All by which a granted rule decides, or that it says in a permit, apart from its zones."""
    return tuple(
        (grant.id, grant.depth, grant.valid_from, grant.valid_until, grant.cleartext_census) for grant in rule.grants
    )
