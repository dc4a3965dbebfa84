"""The walk over trees of known truth: counts, budgets, what a connection that ends leaves, and hostile trees."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from file_trees import CANARY, Folder, MemoryTree, dicom, drive, made_up
from leadapron.model import CountKind, Depth, Endpoint, Failed, Observation, Owner, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Lost, Steps
from leadapron.protocols import payload
from leadapron.protocols.base import Terms
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.files.walk import Walk
from leadapron.protocols.shown import unpacked

TERMS = Terms(
    depth=Depth.CENSUS,
    owner=Owner(grant="own"),
    calling_aet="LEADAPRON",
    census=True,
    key=b"key of a run",
    requests=5_000,
    now=dt.datetime(2026, 11, 28, tzinfo=dt.UTC),
)
SERVICE = Service(endpoint=Endpoint(address=ip_address("127.0.0.1"), port=1), protocol="files", resource="public")


def walk(tree: Tree, terms: Terms = TERMS, *, in_clear: bool = False) -> Found:
    walking = Walk(tree, terms, in_clear=in_clear)
    try:
        drive(walking.run())
    except Lost as lost:
        return walking.found(lost.reason)
    return walking.found()


def seen(found: Found, terms: Terms = TERMS) -> Observation:
    return observe(found, SERVICE, terms, facts={"door": True})


def test_a_name_alone_makes_no_image_of_what_was_looked_into() -> None:
    named = {b"a.dcm": b"made up" * 100, b"b.nii": b"made up" * 100}
    assert seen(walk(MemoryTree(named))).facts["files.imaging"] == 1
    assert seen(walk(MemoryTree(named, barred=True))).facts["files.imaging"] == 2


def test_where_every_file_is_closed_the_number_of_images_has_a_reason() -> None:
    found = walk(MemoryTree({b"a.dcm": dicom(1, 1)}, barred=True))
    assert found.images is None
    assert Failed(stage=Stage.COUNT, reason=Reason.AUTH) in found.unknowns


def test_a_loop_is_no_spent_budget() -> None:
    loop: dict[bytes, Folder | bytes] = {b"a.dcm": dicom(1, 1)}
    loop[b"again"] = loop
    assert [each.reason for each in walk(MemoryTree(loop)).unknowns] == [Reason.LIMIT]


@pytest.mark.parametrize("seed", range(6))
def test_a_tree_that_the_budget_covers_is_counted_exactly(seed: int) -> None:
    root, truth = made_up(seed)

    found = walk(MemoryTree(root))

    assert found.images is not None and found.studies is not None
    assert (found.images.kind, found.images.value) == (CountKind.EXACT, truth.images)
    assert (found.studies.kind, found.studies.value) == (CountKind.EXACT, truth.studies)
    assert found.proven == truth.images + truth.copies == found.headers
    assert found.files == truth.files
    assert found.present["PatientName"] == found.present["PersonName"] == found.sampled == found.headers
    assert found.formats["nifti"] == found.formats["zip"] == found.formats["ransom_notes"] == 1
    records = unpacked(found.shown)
    assert (len(records), records["images"].sum()) == (truth.studies, truth.images)


def test_a_census_is_withheld_where_it_would_cross_the_net_in_clear() -> None:
    root, truth = made_up(1)
    tree = MemoryTree(root)
    terms = replace(TERMS, census=False)

    found = walk(tree, terms, in_clear=True)

    assert max(one.length for one in tree.reads) == 132
    assert found.images is not None
    assert found.images.value == truth.images + truth.copies
    assert found.studies is None and not found.present and not found.shown
    assert seen(found, terms).facts["census_withheld"] is True


def test_nothing_is_asked_where_the_depth_ends_before() -> None:
    tree = MemoryTree(made_up(1)[0])
    terms = replace(TERMS, depth=Depth.TALK)
    what = seen(walk(tree, terms), terms)
    assert (tree.listings, tree.reads) == (0, [])
    assert (what.access.list, what.access.read) == (Verdict.NOT_ASKED, Verdict.NOT_ASKED)
    assert what.counts.images is None and not what.unknowns


def test_all_headers_are_named_and_of_five_hundred_every_attribute_is_counted() -> None:
    root: Folder = {f"IM{number:06d}".encode(): dicom(number % 3 + 1, number) for number in range(520)}
    found = walk(MemoryTree(root))
    assert (found.headers, found.sampled, found.present["PatientName"]) == (520, 500, 500)
    assert found.images is not None and found.studies is not None
    assert (found.images.value, found.studies.value) == (520, 3)


def test_what_is_not_read_is_estimated_with_its_interval() -> None:
    files = {f"x{number}.dat": dicom(1, number) if number % 4 == 0 else b"\1" * 200 for number in range(4_000)}
    root: Folder = {b"many": {name.encode(): data for name, data in files.items()}}

    found = walk(MemoryTree(root), replace(TERMS, requests=800, census=False), in_clear=True)

    assert found.images is not None
    assert found.images.kind is CountKind.ESTIMATE
    assert found.images.low <= 1_000 <= (found.images.high or 0)
    assert found.images.high is not None and found.images.high - found.images.low < 400
    assert Failed(stage=Stage.COUNT, reason=Reason.BUDGET) in found.unknowns


def test_a_listing_that_the_budget_cuts_gives_a_bound() -> None:
    root: Folder = {f"IM{number:06d}".encode(): dicom(1, number) for number in range(300)}

    found = walk(MemoryTree(root), replace(TERMS, answers=100))

    assert found.entries == 100
    assert found.images is not None
    assert (found.images.kind, found.images.low, found.images.high) == (CountKind.BOUND, 100, None)
    assert Failed(stage=Stage.COUNT, reason=Reason.BUDGET) in found.unknowns


@pytest.mark.parametrize("steps", range(24))
def test_whatever_step_is_the_last_what_is_known_is_said_and_no_more(steps: int) -> None:
    root, truth = made_up(2)

    found = walk(MemoryTree(root, lost_after=steps))
    what = seen(found)

    assert found.ended is None or found.ended.reason is Reason.RESET
    if found.ended is not None:
        assert what.unknowns
        assert what.access.list is (Verdict.PROVEN if found.entries else Verdict.UNKNOWN)
        assert found.images is None or found.images.low <= truth.images + truth.copies
        assert found.images is None or found.images.kind is not CountKind.EXACT
    if found.read:
        assert what.access.read is Verdict.PROVEN


def test_what_is_closed_is_refused_and_what_is_empty_is_unknown() -> None:
    root, _ = made_up(3)
    closed = seen(walk(MemoryTree(root, closed=frozenset({()}))))
    empty = seen(walk(MemoryTree({})))
    barred = seen(walk(MemoryTree(root, barred=True)))

    assert closed.access.list is Verdict.REFUSED
    assert closed.counts.images is None
    assert empty.access.list is Verdict.UNKNOWN
    assert Failed(stage=Stage.LIST, reason=Reason.EMPTY) in empty.unknowns
    assert (barred.access.list, barred.access.read) == (Verdict.PROVEN, Verdict.REFUSED)
    assert barred.counts.images is None


def test_no_name_and_no_value_is_in_a_result() -> None:
    root, _ = made_up(4)
    found = walk(MemoryTree(root))
    what = seen(found)

    written = json.dumps(payload.dump(found)) + repr(found) + repr(what) + found.shown.decode("latin-1")

    assert CANARY.lower() not in written.lower()
    assert payload.load(Found, payload.dump(found)) == replace(found, shown=b"")


class EndlessTree(Tree):
    """Every folder has the same three folders and a file: a link to its own root, as a server follows it."""

    listings = 0

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        self.listings += 1
        yield b"?"
        for name in (b"a", b"b", b"c"):
            take(Entry(name, Kind.FOLDER))
        take(Entry(b"IM000001", Kind.FILE, 5000))
        return Listed()

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        yield b"?"
        return [dicom(1, 1)[one.start : one.start + one.length] for one in wanted]


def test_a_folder_that_lists_itself_is_left() -> None:
    tree = EndlessTree()
    found = walk(tree)
    assert tree.listings == 4
    assert (found.entries, found.loops) == (4, 3)
    assert found.images is not None and found.images.kind is CountKind.BOUND
    assert Failed(stage=Stage.COUNT, reason=Reason.LIMIT) in found.unknowns


def test_folders_of_one_name_below_each_other_are_no_loop() -> None:
    root: Folder = {b"a": {b"a": {b"a": {b"IM1": dicom(1, 1)}}}}
    found = walk(MemoryTree(root))
    assert found.loops == 0
    assert found.images is not None and found.images.value == 1


class EverNewTree(EndlessTree):
    """Every folder has a thousand new ones."""

    numbers = itertools.count()

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        self.listings += 1
        yield b"?"
        for _ in range(1000):
            if not take(Entry(b"%d" % next(self.numbers), Kind.FOLDER)):
                return Listed(Reason.STOPPED)
        return Listed()


def test_a_tree_without_end_ends_with_the_budget() -> None:
    found = walk(EverNewTree())
    assert found.entries == TERMS.answers
    assert found.images is None
    assert Failed(stage=Stage.COUNT, reason=Reason.BUDGET) in found.unknowns


class ManyTree(EndlessTree):
    """One folder with so many names."""

    names = 1_000_000

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        yield b"?"
        for number in range(self.names):
            if not take(Entry(b"IM%07d" % number, Kind.FILE, 5000)):
                return Listed(Reason.STOPPED)
        return Listed()


def test_the_memory_that_a_folder_takes_does_not_grow_with_its_names() -> None:
    peaks = []
    for names in (10_000, 40_000):
        tree = ManyTree()
        tree.names = names
        tracemalloc.start()
        try:
            found = walk(tree, replace(TERMS, answers=2_000_000, requests=500, census=False), in_clear=True)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert found.entries == names
        assert found.images is not None and found.images.high == names
    assert peaks[1] < peaks[0] + (1 << 20)


class LyingTree(MemoryTree):
    """Answers reads with too much, too little, or nothing."""

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        pieces = yield from super().read(wanted)
        return [piece * 3 if isinstance(piece, bytes) else piece for piece in pieces][: len(pieces) // 2]


def test_a_door_that_answers_with_the_wrong_lengths_breaks_nothing() -> None:
    root, truth = made_up(5)
    found = walk(LyingTree(root))
    assert found.images is not None
    assert found.images.low <= truth.images


_FOLDERS = st.recursive(
    st.binary(max_size=300),
    lambda below: st.dictionaries(st.binary(min_size=1, max_size=8).filter(lambda n: b"/" not in n), below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_FOLDERS, st.integers(0, 12), st.integers(1, 60))
def test_any_tree_gives_a_result(root: Folder | bytes, lost_after: int, requests: int) -> None:
    found = walk(
        MemoryTree(root if isinstance(root, Mapping) else {b"x": root}, lost_after=lost_after),
        replace(TERMS, requests=requests),
    )
    what = seen(found)
    assert payload.load(Found, payload.dump(found)) == replace(found, shown=b"")
    assert Verdict.UNKNOWN not in (what.access.list, what.access.read) or what.unknowns


def test_the_same_key_draws_the_same_sample() -> None:
    root: Folder = {b"x%d" % number: random.Random(number).randbytes(200) for number in range(900)}
    drawn = []
    for _ in range(2):
        tree = MemoryTree(root)
        walk(tree, replace(TERMS, requests=300))
        drawn.append([one.path for one in tree.reads])
    assert drawn[0] == drawn[1]


class _NoTails(MemoryTree):
    """Answers for the beginning of a file only."""

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        pieces = yield from super().read(wanted)
        return [Reason.LIMIT if one.start else piece for one, piece in zip(wanted, pieces, strict=True)]


@pytest.mark.parametrize(("kind", "is_known"), [(MemoryTree, True), (_NoTails, False)])
def test_a_long_header_is_read_on_and_asked_for_once(kind: type[MemoryTree], is_known: bool) -> None:
    data = dicom(1, 1, PatientComments="x" * 5_000)
    tree = kind({b"long.dcm": data, b"short.dcm": dicom(1, 2)})

    found = walk(tree)

    assert (found.proven, found.headers, found.images and found.images.value) == (2, 2, 2)
    assert found.odd_headers == (0 if is_known else 1)
    assert len([one for one in tree.reads if one.start]) == 1


# -- how gently ---------------------------------------------------------------------------------------------------------


class Tiring(MemoryTree):
    """Each file takes 0.01 s, from some file on `slower` times as long; then it is well again."""

    def __init__(self, root: Folder, slower: float) -> None:
        super().__init__(root)
        self.slower, self.now = slower, 0.0
        self.asked: list[int] = []

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        is_tired = 2 <= len(self.asked) < 6
        self.now += len(wanted) * 0.01 * (self.slower if is_tired else 1.0)
        self.asked.append(len(wanted))
        return (yield from super().read(wanted))


@pytest.mark.parametrize(
    ("slower", "steps"), [(1.9, [128] * 9), (5.0, [128, 128, 64, 32, 64, 32, 64, 128, 128])], ids=["steady", "tired"]
)
def test_from_a_server_that_slows_down_less_is_asked_at_once(slower: float, steps: list[int]) -> None:
    tree = Tiring({f"{number}.dcm".encode(): dicom(1, number) for number in range(1300)}, slower)
    walking = Walk(tree, replace(TERMS, depth=Depth.COUNT), in_clear=False, clock=lambda: tree.now)
    drive(walking.run())
    assert tree.asked[1 : 1 + len(steps)] == steps, "behind the few that are read first"
    assert sum(tree.asked[1:]) == 1300


def test_no_more_bytes_are_read_than_may_be() -> None:
    root = {b"%d.dcm" % number: dicom(1, number) for number in range(300)}
    walking = Walk(MemoryTree(root), TERMS, in_clear=False, most_bytes=1)
    drive(walking.run())
    found = walking.found()
    assert 0 < found.read < 300
    assert Failed(stage=Stage.COUNT, reason=Reason.BUDGET) in found.unknowns
    assert walk(MemoryTree(root)).read == 300


@pytest.mark.parametrize("most_bytes", [1, 1 << 40])
def test_bytes_that_may_not_be_read_are_nothing_that_a_larger_budget_would_show(most_bytes: int) -> None:
    root = {b"%d.dcm" % number: dicom(1, number) for number in range(300)}
    walking = Walk(MemoryTree(root), replace(TERMS, requests=200), in_clear=False, most_bytes=most_bytes)
    drive(walking.run())
    assert walking.found().is_cut == (most_bytes > 1)
