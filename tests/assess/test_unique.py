"""Each study once: equal to sets, however many archives overlap and however little may be held at a time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapron.assess.unique import Archive, Union
from leadapron.model import Count, CountKind, Counts, CountSource, Unique
from leadapron.protocols.shown import NOT_CLAIMED, Records, packed, unpacked

Studies = dict[int, int]
"""Images by study."""


def records(studies: Studies) -> Records:
    keys = np.array([hash((study, "spread")) for study in studies], dtype=np.int64)
    return unpacked(packed(keys, np.array(list(studies.values()), dtype=np.int32)))


def archive(studies: Studies, *, genuine: bool = True, images: Count | None = None, exact: bool = True) -> Archive:
    count = Count.exact(len(studies)) if exact else Count.at_least(len(studies))
    claimed = images or Count.exact(sum(studies.values()), CountSource.CLAIMED)
    return Archive(counts=Counts(studies=count, images=claimed), is_genuine=genuine)


def join(
    folder: Path, *shown: tuple[Archive, Studies | None], max_held: int = 1 << 20
) -> tuple[Unique, dict[int, int]]:
    lists = [(number, records(studies)) for number, (_, studies) in enumerate(shown) if studies is not None]
    unique, elsewhere = Union([each for each, _ in shown], folder, max_held=max_held).join(lists)
    assert list(folder.iterdir()) == []
    return unique, dict(elsewhere)


def of(studies: Studies, **more: object) -> tuple[Archive, Studies]:
    return archive(studies, **more), studies  # type: ignore[arg-type]


archives = st.lists(
    st.tuples(st.dictionaries(st.integers(0, 40), st.integers(0, 900), max_size=30), st.booleans()), max_size=6
)


@settings(deadline=None)
@given(archives, st.sampled_from([1, 3, 1 << 20]))
def test_the_union_is_that_of_sets(shown: list[tuple[Studies, bool]], max_held: int) -> None:
    with TemporaryDirectory() as folder:
        unique, elsewhere = join(
            Path(folder), *(of(studies, genuine=genuine) for studies, genuine in shown), max_held=max_held
        )

    for chosen, studies, images in (
        ([each for each, _ in shown], unique.studies, unique.images),
        ([each for each, genuine in shown if genuine], unique.genuine_studies, unique.genuine_images),
    ):
        claims: dict[int, list[int]] = {}
        for each in chosen:
            for study, count in each.items():
                claims.setdefault(study, []).append(count)
        assert studies == Count.exact(len(claims))
        assert images is not None
        differ = [each for each in claims.values() if len(set(each)) > 1]
        assert images.low == images.value == sum(map(max, claims.values()))
        assert images.high == images.low + sum(sum(each) - max(each) for each in differ)
        assert (images.kind is CountKind.EXACT) == (images.high == images.low)
    for number, (studies_of, _) in enumerate(shown):
        others = set().union(*(each for place, (each, _) in enumerate(shown) if place != number))
        assert elsewhere.get(number, 0) == len(others & set(studies_of))


def test_two_archives_that_agree_are_one(tmp_path: Path) -> None:
    unique, elsewhere = join(tmp_path, of({1: 10, 2: 20}), of({2: 20, 3: 30}, genuine=False))

    assert (unique.studies, unique.images) == (Count.exact(3), Count.exact(60, CountSource.CLAIMED))
    assert (unique.genuine_studies, unique.genuine_images) == (Count.exact(2), Count.exact(30, CountSource.CLAIMED))
    assert elsewhere == {0: 1, 1: 1}


def test_a_list_that_is_not_whole_leaves_a_bound(tmp_path: Path) -> None:
    unique, _ = join(tmp_path, of({1: 10, 2: 20}), of({2: 20, 3: 30}, exact=False))

    assert unique.studies == Count.at_least(3)
    assert unique.images == Count.at_least(60, CountSource.CLAIMED)


def test_an_archive_without_a_list_may_be_the_same_or_another(tmp_path: Path) -> None:
    unseen = (archive(dict.fromkeys(range(5), 7)), None)
    unique, _ = join(tmp_path, of({1: 10, 2: 20}), unseen)

    assert unique.studies == Count(value=5, low=5, high=7, kind=CountKind.BOUND, source=CountSource.ENUMERATED)
    assert unique.images == Count(value=35, low=35, high=65, kind=CountKind.BOUND, source=CountSource.CLAIMED)


def test_an_archive_that_claims_nothing_adds_what_was_counted_of_it_unless_it_shares(tmp_path: Path) -> None:
    nothing = {8: NOT_CLAIMED, 9: NOT_CLAIMED}
    counted = Count.exact(12)
    alone, _ = join(tmp_path, of({1: 10, 2: 20}), of(nothing, images=counted))
    sharing, _ = join(tmp_path, of({1: 10, 9: 20}), of(nothing, images=counted))

    assert alone.images == Count.exact(42, CountSource.CLAIMED)
    assert sharing.images == Count(value=30, low=30, high=42, kind=CountKind.BOUND, source=CountSource.CLAIMED)
    assert (alone.studies, sharing.studies) == (Count.exact(4), Count.exact(3))


def test_a_study_without_a_claim_leaves_no_upper_bound(tmp_path: Path) -> None:
    unique, _ = join(tmp_path, of({1: 10, 2: NOT_CLAIMED}))
    assert unique.images == Count.at_least(10, CountSource.CLAIMED)


def test_nothing_is_none_and_not_unknown(tmp_path: Path) -> None:
    unique, elsewhere = join(tmp_path, of({}))
    assert (unique.studies, unique.images, elsewhere) == (Count.exact(0), Count.exact(0), {})


def test_an_archive_of_which_nothing_is_known_leaves_no_number_exact(tmp_path: Path) -> None:
    unknown = (Archive(counts=Counts(), is_genuine=True), None)
    nothing = {8: NOT_CLAIMED, 9: NOT_CLAIMED}
    for shown in (of({1: 10, 2: 20}), of(nothing, images=Count.exact(30))):
        unique, _ = join(tmp_path, shown, unknown)
        assert (unique.studies, unique.images and (unique.images.low, unique.images.high)) == (
            Count.at_least(2),
            (30, None),
        )


def test_what_was_counted_beside_a_list_may_be_what_another_archive_claims(tmp_path: Path) -> None:
    """One archive by two information models: the sum of both is no lower bound."""
    by_patient = (Archive(counts=Counts(images=Count.exact(12)), is_genuine=True), None)
    unique, _ = join(tmp_path, of({8: NOT_CLAIMED, 9: NOT_CLAIMED}, images=Count.exact(12)), by_patient)
    assert unique.images is not None
    assert (unique.images.low, unique.images.high, unique.images.kind) == (12, 24, CountKind.BOUND)


def test_claims_that_contradict_themselves_are_no_exact_sum(tmp_path: Path) -> None:
    unique, _ = join(tmp_path, of({1: 10, 2: 20}, images=Count.at_least(30, CountSource.CLAIMED)))
    assert unique.images == Count.at_least(30, CountSource.CLAIMED)


@pytest.mark.parametrize(("judged", "expected"), [([None, None], None), ([True, None], Count.at_least(2))])
def test_what_nobody_judged_is_not_said_to_be_nobodys(
    judged: list[bool | None], expected: Count | None, tmp_path: Path
) -> None:
    studies: list[Studies] = [{1: 10, 2: 20}, {3: 30}]
    shown = [(replace(archive(each), is_genuine=genuine), each) for each, genuine in zip(studies, judged, strict=True)]
    unique, _ = join(tmp_path, *shown)
    assert unique.genuine_studies == expected
    assert (unique.genuine_images is None) == (expected is None)


MANY = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
from leadapron.assess.unique import Archive, Union
from leadapron.model import Count, Counts
from leadapron.protocols.shown import packed, unpacked

total, each = int(sys.argv[1]), 250_000
spread = np.uint64(0x9E3779B97F4A7C15)

def part(number):  # every second list is that before it: half of all are copies
    start = np.uint64(number // 2 * each)
    keys = ((np.arange(each, dtype=np.uint64) + start) * spread).view(np.int64)
    return unpacked(packed(keys, np.full(each, 3, dtype=np.int32)))

count = total // each
archives = [Archive(counts=Counts(studies=Count.exact(each), images=Count.exact(3 * each)), is_genuine=True)] * count
with tempfile.TemporaryDirectory() as folder:
    unique, elsewhere = Union(archives, Path(folder)).join((number, part(number)) for number in range(count))
assert unique.studies == Count.exact(total // 2), unique.studies
assert unique.images.value == 3 * total // 2, unique.images
assert set(elsewhere.values()) == {each}
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) >> 10)
"""


@pytest.mark.parametrize("total", [8_000_000])
def test_many_studies_take_no_more_memory_than_few(total: int) -> None:
    """50 million are measured by `make bench`: the memory does not grow with them."""
    done = subprocess.run([sys.executable, "-c", MANY, str(total)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 250  # MiB
