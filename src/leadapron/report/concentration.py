"""How unevenly images lie on services."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from leadapron.model import Count, CountKind, CountSource

SOURCES_BY_WEIGHT = (CountSource.ENUMERATED, CountSource.CLAIMED, CountSource.SAMPLED)
"""From the strongest: a sum, or a median, is worth what its weakest part is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concentration:
    """Of services with a known number of images."""

    services: int
    half: int
    """the smallest number of them that together hold half of the images at least, by the low ends of the counts"""
    median: Count
    """what the middle one shows; of two middle ones the smaller"""


def concentration(counts: Iterable[Count | None]) -> Concentration | None:
    """None where fewer than two are known, or none holds an image for certain: then nothing is concentrated."""
    known = [count for count in counts if count is not None]
    lows = sorted((count.low for count in known), reverse=True)
    images = sum(lows)
    if len(known) < 2 or not images:
        return None
    held = half = 0
    while 2 * held < images:
        held += lows[half]
        half += 1
    return Concentration(services=len(known), half=half, median=median(known))


def median(counts: list[Count]) -> Count:
    """Between the medians of both ends: exact where these meet, though single counts are bounds. `counts` is not empty."""
    low = statistics.median_low(count.low for count in counts)
    value = statistics.median_low(count.value for count in counts)
    high = statistics.median_low(float("inf") if count.high is None else count.high for count in counts)
    kinds = {count.kind for count in counts}
    kind = CountKind.ESTIMATE if CountKind.ESTIMATE in kinds else CountKind.BOUND
    if low == high:
        kind = CountKind.EXACT
    elif high == float("inf"):
        kind = CountKind.BOUND
    return Count(
        value=value,
        low=low,
        high=None if high == float("inf") else int(high),
        kind=kind,
        source=max((count.source for count in counts), key=SOURCES_BY_WEIGHT.index),
    )
