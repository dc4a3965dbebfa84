"""Ranges of addresses as (first, last) numbers: sorted, disjoint lists of them, and networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

Span = tuple[int, int]
"""First and last address."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """Sorted spans, with those that touch or overlap as one."""
    result: list[Span] = []
    for start, end in spans:
        if result and start <= result[-1][1] + 1:
            start, end = result[-1][0], max(end, result.pop()[1])
        result.append((start, end))
    return result


def size_of(spans: Iterable[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)


def common(one: Sequence[Span], other: Sequence[Span]) -> Iterator[Span]:
    """What lies in both."""
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            yield first, last
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1


def without(spans: Iterable[Span], cut: Sequence[Span]) -> Iterator[Span]:
    """What lies in `spans` and not in `cut`."""
    index = 0
    for first, last in spans:
        while index < len(cut) and cut[index][1] < first:
            index += 1
        at, following = first, index
        while following < len(cut) and cut[following][0] <= last:
            if at < cut[following][0]:
                yield at, cut[following][0] - 1
            at = cut[following][1] + 1
            following += 1
        if at <= last:
            yield at, last


def networks4(spans: Iterable[Span]) -> Iterator[IPv4Network]:
    """The fewest networks that hold these addresses and no others."""
    for first, length in _blocks(spans, 32):
        yield IPv4Network((first, length))


def networks6(spans: Iterable[Span]) -> Iterator[IPv6Network]:
    for first, length in _blocks(spans, 128):
        yield IPv6Network((first, length))


def _blocks(spans: Iterable[Span], bits: int) -> Iterator[tuple[int, int]]:
    """(first address, length of the prefix): the largest that begins where we stand and does not reach too far."""
    for first, last in spans:
        at = first
        while at <= last:
            aligned = (at & -at).bit_length() - 1 if at else bits
            zeros = min(aligned, (last - at + 1).bit_length() - 1)
            yield at, bits - zeros
            at += 1 << zeros
