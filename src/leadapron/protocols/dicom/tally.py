"""From what was counted to the counts of the model: exact, bound or estimate, and from which source."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.model import Count, CountKind, CountSource
from leadapron.protocols.dicom.answers import NOT_CLAIMED, Tally

MIN_SAMPLE = 5
"""Fewer completely counted studies than this make no estimate, only a bound."""
_Z = 1.959964
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """The distinct records of a tally, and the sums of what they claim."""

    records: int
    images: int
    images_missing: int
    """records that claim no (believable) number of images"""
    series: int
    series_missing: int
    studies: int = 0
    studies_missing: int = 0
    repeated: int = 0
    """records that came more than once are counted once; so many came in vain"""
    contradicts: bool = False
    """a record came more than once, with different claims"""


def distinct(tally: Tally) -> Distinct:
    """Deduplicate by unique key; of records that came twice with different claims the largest counts."""
    hashes: npt.NDArray[np.int64] = np.frombuffer(tally.hashes, dtype=np.int64)
    records = len(np.unique(hashes))
    images, images_missing, images_differ = _sum(hashes, tally.images, records)
    nothing = 0, records, False
    series, series_missing, series_differ = _sum(hashes, tally.series, records) if tally.series else nothing
    studies, studies_missing, studies_differ = _sum(hashes, tally.studies, records) if tally.studies else nothing
    return Distinct(
        records=records,
        images=images,
        images_missing=images_missing,
        series=series,
        series_missing=series_missing,
        studies=studies,
        studies_missing=studies_missing,
        repeated=len(hashes) - records,
        contradicts=images_differ or series_differ or studies_differ,
    )


def own(tally: Tally) -> int:
    """Distinct records below the roots of who audits."""
    hashes: npt.NDArray[np.int64] = np.frombuffer(tally.hashes, dtype=np.int64)
    return len(np.unique(hashes[np.frombuffer(tally.own, dtype=np.int8) == 1]))


def is_confirmed(tally: Tally, first: int) -> bool:
    """Whether the records behind the `first` ones are the same records again: all of them, and no others."""
    hashes: npt.NDArray[np.int64] = np.frombuffer(tally.hashes, dtype=np.int64)
    return np.array_equal(np.unique(hashes[:first]), np.unique(hashes[first:]))


def _sum(hashes: npt.NDArray[np.int64], claims: array[int], records: int) -> tuple[int, int, bool]:
    """(sum of the largest claim per distinct hash, distinct hashes without a claim, whether any hash has two claims),
    of so many distinct hashes."""
    values: npt.NDArray[np.int32] = np.frombuffer(claims, dtype=np.int32)
    differ = False
    if records < len(hashes):
        order = np.lexsort((values, hashes))
        ordered, values = hashes[order], values[order]
        last = np.append(ordered[1:] != ordered[:-1], True)
        differ = bool(np.any(~last[:-1] & (values[1:] != values[:-1])))
        values = values[last]
    known = values != NOT_CLAIMED
    return int(values[known].sum(dtype=np.int64)), int(np.count_nonzero(~known)), differ


def enumerated(records: int, *, whole: bool) -> Count:
    """Records that we counted ourselves; a bound where the enumeration was cut short or capped."""
    return Count.exact(records) if whole else Count.at_least(records)


def claimed(total: int, missing: int, *, whole: bool) -> Count | None:
    """A sum of what a server claims; None where it claims nothing at all."""
    if missing and not total:
        return None
    if missing or not whole:
        return Count.at_least(total, CountSource.CLAIMED)
    return Count.exact(total, CountSource.CLAIMED)


def extrapolate(values: Sequence[int], population: int, *, planned: int, counted: int, whole: bool) -> Count | None:
    """The total over `population` records, from the `values` of some, in a random order.

    `counted` is how much of the sum of `values` was really counted; where it is less, values are estimates themselves.
    Exact when all was counted; else an estimate with its 95 % interval (Student's t) where as many values came as were
    `planned`, so that records which take long to count do not fall out; else a bound. `whole` False: the population itself
    is a bound.
    """
    if not values:
        return Count.at_least(counted, CountSource.SAMPLED) if counted else None
    is_counted = counted == sum(values)
    if is_counted and len(values) >= population:
        return enumerated(counted, whole=whole)
    if len(values) < max(planned, MIN_SAMPLE) or not whole:
        return Count.at_least(counted, CountSource.SAMPLED)
    correction = (population - len(values)) / (population - 1) if is_counted else 1.0
    return _estimate(values, population, counted, correction)


def _estimate(sample: Sequence[int], population: int, counted: int, correction: float) -> Count:
    """`correction`: of a finite population, 1 where the values are estimates."""
    size = len(sample)
    mean = sum(sample) / size
    variance = sum((value - mean) ** 2 for value in sample) / (size - 1)
    margin = _student(size - 1) * population * math.sqrt(variance / size * correction)
    value = round(mean * population)
    return Count(
        value=max(value, counted),
        low=max(counted, math.floor(value - margin)),
        high=max(counted, math.ceil(value + margin)),
        kind=CountKind.ESTIMATE,
        source=CountSource.SAMPLED,
    )


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5; within 0.5 % from 4 degrees of freedom on)."""
    z, n = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
