"""Each study once, however many servers show it: exact where every list is, in bounded memory.

Lists of studies come as records of keyed hashes (`leadapron.protocols.shown`). Up to `MAX_HELD` of them are joined at once;
more are first spread over files by their hash, and joined file by file: 50 million take under 200 MiB.

Of a study that several servers show, the largest number of images counts. Where they claim different numbers, the images
may be the same or others: the count is a bound, up to the sum of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from leadapron.model import Count, CountKind, Counts, CountSource, Unique
from leadapron.protocols.shown import NOT_CLAIMED, RECORD, Records

MAX_HELD = 1 << 21
"""Records that are joined at once."""
FILES = 64

_ROW = np.dtype([*RECORD.descr, ("archive", "<i4")])

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What one service shows. `is_genuine`: its records are those of patients; None: nobody judged that."""

    counts: Counts
    is_genuine: bool | None


@dataclass(slots=True)
class _Sums:
    """Over distinct studies."""

    studies: int = 0
    images: int = 0
    """the largest claim about each"""
    more: int = 0
    """by how much all claims together are more, where they differ"""
    unclaimed: int = 0
    """studies without a claim, of archives that claim something of others"""


@dataclass(slots=True)
class _Joined:
    everything: _Sums = field(default_factory=_Sums)
    genuine: _Sums = field(default_factory=_Sums)
    listed: dict[int, int] = field(default_factory=dict)
    """distinct studies, by archive"""
    elsewhere: dict[int, int] = field(default_factory=dict)
    """of them, those that another archive shows too"""
    claiming: set[int] = field(default_factory=set)
    """archives that claim images of a study at least"""
    claimed: dict[int, int] = field(default_factory=dict)
    """of archives that claim nothing: what others claim of the same studies"""


class Union:
    """Takes the lists of archives, which are named by their place in `archives`, and joins them."""

    def __init__(self, archives: Sequence[Archive], folder: Path, *, max_held: int = MAX_HELD) -> None:
        """`folder`: where files may lie while it works; their records are keyed hashes."""
        self._archives, self._folder, self._max_held = archives, folder, max_held

    def join(self, lists: Iterable[tuple[int, Records]]) -> tuple[Unique, Mapping[int, int]]:
        """The totals, and by archive how many of its studies others show too. Several lists of an archive are one."""
        joined = _Joined()
        with TemporaryDirectory(dir=self._folder, prefix="studies-") as place:
            for rows in self._parts(_noting(lists, joined.claiming), Path(place)):
                self._take(joined, rows)
        every = range(len(self._archives))
        unique = Unique(
            studies=self._studies(joined, joined.everything, every),
            images=self._images(joined, joined.everything, every),
            genuine_studies=self._genuine(self._studies, joined),
            genuine_images=self._genuine(self._images, joined),
        )
        return unique, {number: joined.elsewhere.get(number, 0) for number in joined.listed}

    def _genuine(self, count: Callable[[_Joined, _Sums, Sequence[int]], Count | None], joined: _Joined) -> Count | None:
        """Of archives that show patients. Where some are not judged it is a bound, and None where none is."""
        judged = [archive.is_genuine for archive in self._archives]
        if judged and set(judged) <= {None}:
            return None
        found = count(joined, joined.genuine, [number for number, genuine in enumerate(judged) if genuine])
        return found if found is None or None not in judged else Count.at_least(found.low, found.source)

    # -- joining -------------------------------------------------------------------------------------------------------

    def _parts(self, lists: Iterable[tuple[int, Records]], folder: Path) -> Iterator[Rows]:
        """All rows, in parts of which each has all rows of its studies."""
        held: list[Rows] = []
        count, has_spilt = 0, False
        for archive, records in lists:
            for start in range(0, len(records), self._max_held):
                held.append(_rows(records[start : start + self._max_held], archive))
                count += len(held[-1])
                if count > self._max_held:
                    _spill(np.concatenate(held), folder)
                    held, count, has_spilt = [], 0, True
        rows = np.concatenate(held) if held else np.empty(0, dtype=_ROW)
        if not has_spilt:
            yield rows
            return
        _spill(rows, folder)
        del rows, held
        for number in range(FILES):
            with contextlib.suppress(FileNotFoundError):
                yield np.fromfile(folder / str(number), dtype=_ROW)

    def _take(self, joined: _Joined, rows: Rows) -> None:
        """Sum up rows that have all of their studies."""
        rows = _distinct(rows)
        every = range(len(self._archives))
        is_genuine = np.fromiter((bool(self._archives[number].is_genuine) for number in every), dtype=bool)
        is_claiming = np.fromiter((number in joined.claiming for number in every), dtype=bool)
        for sums, chosen in ((joined.everything, rows), (joined.genuine, rows[is_genuine[rows["archive"]]])):
            sums.studies += len(np.unique(chosen["study"]))
            _add_images(sums, chosen[is_claiming[chosen["archive"]]])
        for number in every:
            if number not in joined.claiming:
                joined.claimed[number] = joined.claimed.get(number, 0) + _claimed_by_others(rows, number)
        _, place, times = np.unique(rows["study"], return_inverse=True, return_counts=True)
        for found, chosen in ((joined.listed, rows), (joined.elsewhere, rows[times[place] > 1])):
            for archive, count in zip(*np.unique(chosen["archive"], return_counts=True), strict=True):
                found[int(archive)] = found.get(int(archive), 0) + int(count)

    # -- counts --------------------------------------------------------------------------------------------------------

    def _is_whole(self, joined: _Joined, number: int) -> bool:
        studies = self._archives[number].counts.studies
        return studies is not None and studies.kind is CountKind.EXACT and joined.listed.get(number, 0) == studies.value

    def _is_claimed_by_others(self, joined: _Joined, number: int) -> bool:
        images = self._archives[number].counts.images
        is_same = (
            images is not None and images.kind is CountKind.EXACT and images.value == joined.claimed.get(number, 0)
        )
        return is_same and self._is_whole(joined, number) and joined.elsewhere.get(number) == joined.listed.get(number)

    def _studies(self, joined: _Joined, sums: _Sums, chosen: Sequence[int]) -> Count | None:
        """Archives of which there is no list may show the same studies, or others."""
        others = [self._archives[number].counts.studies for number in chosen if number not in joined.listed]
        is_open = any(number in joined.listed and not self._is_whole(joined, number) for number in chosen)
        return _with_others(_between(sums.studies, 0, CountSource.ENUMERATED, is_open=is_open), others)

    def _images(self, joined: _Joined, sums: _Sums, chosen: Sequence[int]) -> Count | None:
        """Archives that claim nothing, and share nothing with another list, add what was counted of them. Those of which
        others claim just as many images as were counted add nothing."""
        others: list[Count | None] = []
        added: list[Count] = []
        is_open = sums.unclaimed > 0
        for number in chosen:
            images = self._archives[number].counts.images
            if number in joined.claiming:
                is_exact = images is not None and images.kind is CountKind.EXACT
                is_open |= not (is_exact and self._is_whole(joined, number))
            elif images is not None and number in joined.listed and not joined.elsewhere.get(number):
                added.append(images)
            elif not self._is_claimed_by_others(joined, number):
                others.append(images)
        source = CountSource.CLAIMED if sums.images else CountSource.ENUMERATED
        return _with_others(_sum([_between(sums.images, sums.more, source, is_open=is_open), *added]), others)


def _noting(lists: Iterable[tuple[int, Records]], claiming: set[int]) -> Iterator[tuple[int, Records]]:
    """The lists, and in `claiming` whose claim images."""
    for archive, records in lists:
        if np.any(records["images"] != NOT_CLAIMED):
            claiming.add(archive)
        yield archive, records


def _rows(records: Records, archive: int) -> Rows:
    rows = np.empty(len(records), dtype=_ROW)
    rows["study"], rows["images"], rows["archive"] = records["study"], records["images"], archive
    return rows


def _spill(rows: Rows, folder: Path) -> None:
    """Append each row to the file of its hash."""
    file_of = (rows["study"].view(np.uint64) >> np.uint64(58)).astype(np.int64)
    order = np.argsort(file_of, kind="stable")
    edges = np.searchsorted(file_of[order], np.arange(FILES + 1))
    for number in range(FILES):
        chosen = rows[order[edges[number] : edges[number + 1]]]
        if len(chosen):
            with (folder / str(number)).open("ab") as file:
                chosen.tofile(file)


def _distinct(rows: Rows) -> Rows:
    """One row for each study of an archive: that of its largest claim."""
    rows = rows[np.lexsort((rows["images"], rows["archive"], rows["study"]))]
    same = (rows["study"][1:] == rows["study"][:-1]) & (rows["archive"][1:] == rows["archive"][:-1])
    distinct: Rows = rows[np.append(~same, True)[: len(rows)]]
    return distinct


def _claimed_by_others(rows: Rows, archive: int) -> int:
    """The sum of the largest claim about each study that an archive lists. `rows` are sorted by study."""
    mine = rows["study"][rows["archive"] == archive]
    if not len(mine):
        return 0
    claims = rows["images"][np.isin(rows["study"], mine)].astype(np.int64)
    studies = rows["study"][np.isin(rows["study"], mine)]
    starts = np.flatnonzero(np.append(True, studies[1:] != studies[:-1]))
    return int(np.maximum(np.maximum.reduceat(claims, starts), 0).sum())


def _add_images(sums: _Sums, rows: Rows) -> None:
    if not len(rows):
        return
    rows = rows[np.lexsort((rows["images"], rows["study"]))]
    is_first = np.append(True, rows["study"][1:] != rows["study"][:-1])
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(rows))
    claims = np.where(rows["images"] == NOT_CLAIMED, 0, rows["images"]).astype(np.int64)
    largest = claims[ends - 1]
    known = rows["images"] != NOT_CLAIMED
    smallest = np.minimum.reduceat(np.where(known, claims, np.iinfo(np.int64).max), starts)
    total = np.add.reduceat(claims, starts)
    has_claim = np.logical_or.reduceat(known, starts)
    differs = has_claim & (smallest != largest)
    sums.images += int(largest.sum())
    sums.more += int((total - largest)[differs].sum())
    sums.unclaimed += int(np.count_nonzero(~has_claim))


def _between(low: int, more: int, source: CountSource, *, is_open: bool) -> Count:
    """From `low` to `more` above it, or to nobody knows where."""
    if is_open:
        return Count.at_least(low, source)
    if not more:
        return Count.exact(low, source)
    return Count(value=low, low=low, high=low + more, kind=CountKind.BOUND, source=source)


_WEIGHT = (CountKind.EXACT, CountKind.ESTIMATE, CountKind.BOUND)


def _sum(parts: Sequence[Count]) -> Count:
    """Of counts that have nothing in common."""
    highs = [part.high for part in parts if part.high is not None]
    sources = [part.source for part in parts if part.value] or [parts[0].source]
    return Count(
        value=sum(part.value for part in parts),
        low=sum(part.low for part in parts),
        high=sum(highs) if len(highs) == len(parts) else None,
        kind=max((part.kind for part in parts), key=_WEIGHT.index),
        source=sources[0],
    )


def _with_others(joined: Count, others: Sequence[Count | None]) -> Count | None:
    """With archives of which there is no list: they may show all the same, or all others. None where nothing is known."""
    lows = [count.low for count in others if count is not None]
    highs = [count.high for count in others if count is not None and count.high is not None]
    if not others or (len(highs) == len(others) and not any(highs)):
        return joined
    low = max([joined.low, *lows])
    high = None if joined.high is None or len(highs) < len(others) else joined.high + sum(highs)
    if not low and high is None:
        return None
    return Count(value=max(low, joined.value), low=low, high=high, kind=CountKind.BOUND, source=joined.source)
