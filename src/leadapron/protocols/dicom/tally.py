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


def distinct(tally: Tally) -> Distinct:
    """Deduplicate by unique key; of records that came twice with different claims the largest counts."""
    hashes: npt.NDArray[np.int64] = np.frombuffer(tally.hashes, dtype=np.int64)
    records = len(np.unique(hashes))
    images, images_missing = _sum(hashes, tally.images, records)
    series, series_missing = _sum(hashes, tally.series, records) if tally.series else (0, records)
    studies, studies_missing = _sum(hashes, tally.studies, records) if tally.studies else (0, records)
    return Distinct(
        records=records,
        images=images,
        images_missing=images_missing,
        series=series,
        series_missing=series_missing,
        studies=studies,
        studies_missing=studies_missing,
    )


def _sum(hashes: npt.NDArray[np.int64], claims: array[int], records: int) -> tuple[int, int]:
    """(sum of the largest claim per distinct hash, distinct hashes without a claim), of so many distinct hashes."""
    values: npt.NDArray[np.int32] = np.frombuffer(claims, dtype=np.int32)
    if records < len(hashes):
        order = np.lexsort((values, hashes))
        ordered = hashes[order]
        last = np.append(ordered[1:] != ordered[:-1], True)
        values = values[order][last]
    known = values != NOT_CLAIMED
    return int(values[known].sum(dtype=np.int64)), int(np.count_nonzero(~known))


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


def extrapolate(sample: Sequence[int], population: int, *, whole: bool) -> Count | None:
    """The total over `population` records of which a uniform `sample` was counted completely.

    Exact when the sample is all of them; an estimate with its 95 % interval (normal approximation with finite
    population correction) from `MIN_SAMPLE` on; else a bound. `whole` False: the population itself is a bound.
    """
    if not sample:
        return None
    counted = sum(sample)
    size = len(sample)
    if size >= population:
        return enumerated(counted, whole=whole)
    if size < MIN_SAMPLE or not whole:
        return Count.at_least(counted, CountSource.SAMPLED)
    mean = counted / size
    variance = sum((value - mean) ** 2 for value in sample) / (size - 1)
    correction = (population - size) / (population - 1)
    margin = 1.96 * population * math.sqrt(variance / size * correction)
    value = round(mean * population)
    return Count(
        value=max(value, counted),
        low=max(counted, math.floor(value - margin)),
        high=max(counted, math.ceil(value + margin)),
        kind=CountKind.ESTIMATE,
        source=CountSource.SAMPLED,
    )
