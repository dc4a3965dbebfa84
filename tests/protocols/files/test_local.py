"""A folder of this machine: links are never followed, pipes hold nobody, and what may not be read is said so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_walk import walk

from file_trees import CANARY, dicom, made_up, on_disk
from leadapron.model import CountKind, Reason
from leadapron.protocols.files.local import LocalTree
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.tree import Entry, Kind, Listed, Wanted


def census(path: Path) -> Found:
    tree = LocalTree(path)
    try:
        return walk(tree)
    finally:
        tree.close()


def listed(tree: LocalTree, *folder: bytes) -> tuple[list[Entry], Listed]:
    entries: list[Entry] = []
    steps = tree.list(folder, lambda entry: entries.append(entry) or True)
    with pytest.raises(StopIteration) as ended:
        next(steps)
    return entries, ended.value.value


def read(tree: LocalTree, *path: bytes) -> bytes | Reason:
    with pytest.raises(StopIteration) as ended:
        next(tree.read([Wanted(path, 1, 3)]))
    (piece,) = ended.value.value
    return piece  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(3))
def test_a_folder_on_disk_is_counted_as_what_it_is(seed: int, tmp_path: Path) -> None:
    root, truth = made_up(seed)
    on_disk(root, tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    found = census(tmp_path)

    assert found.images is not None
    assert (found.images.kind, found.images.value) == (CountKind.EXACT, truth.images)
    assert before == sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))


def test_links_are_never_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "IM1").write_bytes(dicom(1, 1))
    (inside / "folder").symlink_to(outside)
    (inside / "IM2").symlink_to(outside / "IM1")
    (inside / "loop").symlink_to(inside)

    tree = LocalTree(inside)
    try:
        assert read(tree, b"IM2") is Reason.PROTOCOL
        assert read(tree, b"folder", b"IM1") is Reason.PROTOCOL
        assert listed(tree, b"folder") == ([], Listed(Reason.PROTOCOL))
    finally:
        tree.close()
    found = census(inside)
    assert (found.others, found.files, found.read) == (3, 0, 0)


def test_pipes_do_not_hold_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "IM1")
    tree = LocalTree(tmp_path)
    try:
        assert read(tree, b"IM1") is Reason.PROTOCOL
        assert [entry.kind for entry in listed(tree)[0]] == [Kind.OTHER]
    finally:
        tree.close()


def test_pieces_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"01234567")
    tree = LocalTree(tmp_path)
    try:
        assert read(tree, b"a") == b"123"
        assert read(tree, b"b") is Reason.EMPTY
        assert listed(tree, b"none") == ([], Listed(Reason.EMPTY))
    finally:
        tree.close()


def test_names_that_are_no_text_are_names(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe.dcm")).write_bytes(dicom(1, 1))
    found = census(tmp_path)
    assert found.images is not None and found.images.value == 1


def test_what_anyone_may_write_is_counted(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / CANARY).mkdir()
    (tmp_path / CANARY).chmod(0o1777)
    assert census(tmp_path).writable == 1


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    root, _ = made_up(2)
    on_disk(root, tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    census(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
