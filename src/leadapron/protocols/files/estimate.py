"""How many files are DICOM, where not all were read: a stratified estimate with its 95 % interval.

Each stratum has the interval of Wilson (1927) with the effective size of a sample from a finite population, which stands
where none or all of a sample are hits; the interval of the sum is that of Zou and Donner (2008, MOVER), which keeps the
sides apart. Never below what was seen, never above what was not ruled out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from leadapron.model import Count, CountKind, CountSource

_Z = 1.959964
"""The 97.5 % quantile of the normal distribution."""
MIN_SAMPLE = 10
"""A stratum of which fewer were read, and not all, is put together with the others."""


class Stratum(NamedTuple):
    population: int
    sample: int
    """drawn at random of it"""
    hits: int
    """in the sample"""

    @property
    def is_whole(self) -> bool:
        return self.sample >= self.population


def interval(stratum: Stratum) -> tuple[float, float]:
    """Hits in the population, with 95 % confidence; a point where all of it was read. `sample` is not 0."""
    population, sample, hits = stratum
    if stratum.is_whole:
        return float(hits), float(hits)
    size = sample * (population - 1) / (population - sample)
    share = hits / sample
    middle = (share + _Z**2 / (2 * size)) / (1 + _Z**2 / size)
    half = _Z / (1 + _Z**2 / size) * math.sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    low, high = population * (middle - half), population * (middle + half)
    return max(low, float(hits)), min(high, float(population - (sample - hits)))


def total(strata: Iterable[Stratum], *, whole: bool) -> Count | None:
    """Over all strata; `whole` False: there are more that nobody knows of. None: nothing was read, so nothing is known."""
    strata = [stratum for stratum in strata if stratum.population]
    seen = sum(stratum.hits for stratum in strata)
    if not any(stratum.sample for stratum in strata):
        return Count.exact(0) if whole and not strata else None
    if all(stratum.is_whole for stratum in strata):
        return Count.exact(seen) if whole else Count.at_least(seen)
    if not whole:
        return Count.at_least(seen, CountSource.SAMPLED)
    return _estimate(_pooled(strata), seen)


def _pooled(strata: Sequence[Stratum]) -> list[Stratum]:
    """Strata with too small a sample as one, with as many of the others as make its sample large enough."""
    large = sorted(
        (stratum for stratum in strata if stratum.is_whole or stratum.sample >= MIN_SAMPLE),
        key=lambda stratum: (stratum.is_whole, stratum.population),
    )
    small = [stratum for stratum in strata if not (stratum.is_whole or stratum.sample >= MIN_SAMPLE)]
    while small and large and sum(stratum.sample for stratum in small) < MIN_SAMPLE and not large[0].is_whole:
        small.append(large.pop(0))
    if small:
        large.append(Stratum(*(sum(column) for column in zip(*small, strict=True))))
    return large


def _estimate(strata: Sequence[Stratum], seen: int) -> Count:
    known = [stratum for stratum in strata if stratum.sample]
    nothing = sum(stratum.population for stratum in strata if not stratum.sample)
    points = [(stratum.population * stratum.hits / stratum.sample, *interval(stratum)) for stratum in known]
    value = sum(point for point, _, _ in points)
    low = max(seen, math.floor(value - math.sqrt(sum((point - low) ** 2 for point, low, _ in points))))
    most = sum(stratum.population - stratum.sample + stratum.hits for stratum in known)
    high = nothing + min(most, math.ceil(value + math.sqrt(sum((high - point) ** 2 for point, _, high in points))))
    if nothing:  # of some strata nothing is known: no estimate, but a bound on both sides
        return Count(value=low, low=low, high=high, kind=CountKind.BOUND, source=CountSource.SAMPLED)
    return Count(
        value=min(max(round(value), low), high), low=low, high=high, kind=CountKind.ESTIMATE, source=CountSource.SAMPLED
    )
