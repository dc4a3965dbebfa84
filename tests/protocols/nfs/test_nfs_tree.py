"""An export as a tree, in both versions, with peers that are complete, sparse and hostile."""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nfs_peer import Peer, drive

from leadapron.model import Completed, Reason
from leadapron.net.conversation import Lost
from leadapron.protocols.files.tree import Entry, Kind, Listed, Wanted
from leadapron.protocols.nfs.exchange import Channel
from leadapron.protocols.nfs.tree import NfsTree
from leadapron.protocols.nfs.wire import nfs3, nfs4
from leadapron.protocols.nfs.wire.files import Dialect
from leadapron.protocols.nfs.wire.xdr import hyper, opaque, uint

VERSIONS = pytest.mark.parametrize("dialect", [nfs3.VERSION_3, nfs4.VERSION_4], ids=["3", "4"])


def tree_of(peer: Peer, dialect: Dialect = nfs3.VERSION_3) -> NfsTree:
    exported = peer.exports[b"/public"][1]
    assert exported is not None
    return NfsTree(Channel(), dialect, peer._handle(exported))


def listed(
    tree: NfsTree, peer: Peer, *folder: bytes, most: int = 10**6, step: int = 1 << 20
) -> tuple[Listed, list[Entry]]:
    entries: list[Entry] = []

    def take(entry: Entry) -> bool:
        entries.append(entry)
        return len(entries) < most

    def converse() -> Generator[bytes, bytes, Any]:
        return Completed(result=(yield from tree.list(folder, take)))

    return drive(converse(), peer, step=step).result, entries


def read(tree: NfsTree, peer: Peer, *wanted: Wanted) -> list[Any]:
    def converse() -> Generator[bytes, bytes, Any]:
        return list((yield from tree.read(wanted)))

    return drive(converse(), peer)


@VERSIONS
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_a_folder_is_listed_with_kinds_and_sizes(dialect: Dialect, step: int) -> None:
    peer = Peer()
    ended, entries = listed(tree_of(peer, dialect), peer, step=step)
    assert ended == Listed()
    assert entries == [
        Entry(b"CT0001.dcm", Kind.FILE, 139),
        Entry(b"open", Kind.FOLDER, None, world_writable=True),
        Entry(b"link", Kind.OTHER),
        Entry(b"elsewhere", Kind.OTHER),
        Entry(b"notes.txt", Kind.FILE, 13),
    ]


@VERSIONS
def test_another_file_system_is_part_of_a_tree_that_crosses(dialect: Dialect) -> None:
    peer = Peer()
    exported = peer.exports[b"/public"][1]
    assert exported is not None
    tree = NfsTree(Channel(), dialect, peer._handle(exported), crosses=True)
    _, entries = listed(tree, peer)
    assert {entry.name: entry.kind for entry in entries}[b"elsewhere"] is Kind.FOLDER


@pytest.mark.parametrize("lack", [{"has_plus": False}, {"says_attributes": False}])
def test_what_a_listing_does_not_say_is_looked_up(lack: dict[str, bool]) -> None:
    sparse, full = Peer(**lack), Peer()  # type: ignore[arg-type]
    assert listed(tree_of(sparse), sparse) == listed(tree_of(full), full)


@pytest.mark.parametrize("status", [13, 2, 10006])
def test_a_listing_whose_entries_cannot_be_looked_up_is_not_whole(status: int) -> None:
    peer = Peer(says_attributes=False, failing={3: status})
    ended, entries = listed(tree_of(peer), peer)
    assert ended.why is Reason.TRUNCATED
    assert {entry.kind for entry in entries} == {Kind.OTHER}
    assert len(entries) == 5


@VERSIONS
def test_a_read_only_export_is_not_writable_whatever_the_modes_say(dialect: Dialect) -> None:
    peer = Peer(writable=False)
    _, entries = listed(tree_of(peer, dialect), peer)
    assert not any(entry.world_writable for entry in entries)
    assert [kind for kind in peer.asked if kind[2] == 4] == ([(100003, 3, 4)] if dialect is nfs3.VERSION_3 else [])


@VERSIONS
def test_pieces_are_read_side_by_side_and_past_the_largest_read(dialect: Dialect) -> None:
    peer = Peer()
    pieces = read(
        tree_of(peer, dialect),
        peer,
        Wanted((b"CT0001.dcm",), 128, 4),
        Wanted((b"open", b"deep", b"MR0001.dcm"), 10, 150_000),
        Wanted((b"notes.txt",), 8, 100),
        Wanted((b"nothing",), 0, 4),
        Wanted((b"notes.txt",), 0, 0),
        Wanted((b"..",), 0, 1),
    )
    assert pieces == [b"DICM", b"x" * 150_000, b"notes", Reason.EMPTY, b"", Reason.LIMIT]


def test_reads_go_out_together() -> None:
    peer = Peer()
    tree = tree_of(peer)
    listed(tree, peer)
    sent: list[bytes] = []

    def counted() -> Generator[bytes, bytes, Any]:
        inner = tree.read([Wanted((b"CT0001.dcm",), at, 4) for at in range(20)])
        try:
            out = next(inner)
            while True:
                sent.append(out)
                out = inner.send((yield out))
        except StopIteration as stop:
            return stop.value

    assert len(drive(counted(), peer)) == 20
    assert len([each for each in sent if each]) == 1


@VERSIONS
def test_it_stops_where_it_is_told_to(dialect: Dialect) -> None:
    peer = Peer()
    ended, entries = listed(tree_of(peer, dialect), peer, most=1)
    assert ended.why is Reason.STOPPED
    assert len(entries) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (13, Reason.AUTH),
        (1, Reason.AUTH),
        (70, Reason.EMPTY),
        (20, Reason.EMPTY),
        (5, Reason.PROTOCOL),
        (10008, Reason.LIMIT),
    ],
)
def test_a_folder_that_does_not_list_has_its_reason(status: int, reason: Reason) -> None:
    peer = Peer(failing={17: status})
    assert listed(tree_of(peer), peer) == (Listed(reason), [])
    peer = Peer(failing={6: status})
    assert read(tree_of(peer), peer, Wanted((b"CT0001.dcm",), 0, 4)) == [reason]


@pytest.mark.parametrize("procedure", [1, 17])
def test_an_export_that_wants_another_login_is_closed(procedure: int) -> None:
    peer = Peer(denies=frozenset({procedure}))
    assert listed(tree_of(peer), peer) == (Listed(Reason.AUTH), [])


def reply(body: bytes) -> bytes:
    return uint(1) + uint(0) * 4 + body


def of_pages(page: bytes) -> Peer:
    """Always the same page."""

    class Same(Peer):
        def _page(self, folder: Any, cookie: int, *, plain: bool) -> bytes:
            return page

    return Same()


ITEM = uint(1) + hyper(9) + opaque(b"name") + hyper(9) + uint(0) + uint(0)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (bytes(8) + ITEM + uint(0) + uint(0), Reason.LIMIT),
        (bytes(8) + uint(0) + uint(0), Reason.LIMIT),
        (bytes(8) + ITEM, Reason.PROTOCOL),
        (bytes(8) + uint(7), Reason.PROTOCOL),
        (bytes(8) + uint(1) + hyper(9) + uint(2**31) + b"name", Reason.LIMIT),
        (bytes(8) + uint(1) + hyper(9) + opaque(b"n") + hyper(9) + uint(0) + uint(1) + opaque(bytes(65)), Reason.LIMIT),
    ],
    ids=["repeats its cookie", "never ends", "truncated", "no boolean", "a huge name", "a long handle"],
)
def test_a_hostile_page_ends_the_listing(page: bytes, reason: Reason) -> None:
    peer = of_pages(page)
    ended, _ = listed(tree_of(peer), peer)
    assert ended.why is reason


def test_pages_without_end_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapron.protocols.nfs.tree._MAX_PAGES", 50)

    class Endless(Peer):
        def _page(self, folder: Any, cookie: int, *, plain: bool) -> bytes:
            return bytes(8) + uint(1) + hyper(1) + opaque(b"again") + hyper(cookie + 1) + uint(0) * 2 + uint(0) * 2

    peer = Endless()
    ended, entries = listed(tree_of(peer), peer)
    assert ended.why is Reason.LIMIT
    assert len(entries) == 50


@pytest.mark.parametrize("name", [b"a/b", b"", b"a\0b", b"x" * 1025])
def test_a_name_that_is_none_is_left_out_and_counted(name: bytes) -> None:
    page = bytes(8) + uint(1) + hyper(9) + opaque(name) + hyper(9) + uint(0) * 2 + uint(0) + uint(1)
    peer = of_pages(page)
    tree = tree_of(peer)
    assert listed(tree, peer) == (Listed(), [])
    assert tree.odd == 1


def test_more_data_than_was_asked_for_is_not_taken() -> None:
    class Generous(Peer):
        def _version_3(self, procedure: int, reader: Any) -> bytes:
            if procedure != 6:
                return super()._version_3(procedure, reader)
            return uint(0) + uint(0) + uint(9) + uint(1) + opaque(b"123456789")

    peer = Generous()
    assert read(tree_of(peer), peer, Wanted((b"notes.txt",), 0, 4)) == [Reason.LIMIT]


def test_data_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapron.protocols.nfs.tree._MAX_PARTS", 10)

    class Dripping(Peer):
        def _version_3(self, procedure: int, reader: Any) -> bytes:
            if procedure != 6:
                return super()._version_3(procedure, reader)
            return uint(0) + uint(0) + uint(1) + uint(0) + opaque(b"1")

    peer = Dripping()
    assert read(tree_of(peer), peer, Wanted((b"notes.txt",), 0, 100)) == [Reason.LIMIT]


def test_a_lost_connection_goes_through() -> None:
    tree = tree_of(Peer())
    steps = tree.list((), lambda _: True)
    next(steps)
    with pytest.raises(Lost):
        steps.throw(Lost(Reason.RESET))


@VERSIONS
@given(data=st.data())
def test_whatever_comes_is_a_result(dialect: Dialect, data: st.DataObject) -> None:
    """Replies whose bodies are cut, changed or anything at all."""

    def tamper(record: bytes) -> bytes:
        kind = data.draw(st.integers(0, 3))
        if kind == 0:
            return record[: data.draw(st.integers(0, len(record)))]
        if kind == 1:
            return record[:24] + data.draw(st.binary(max_size=200))
        if kind == 2:
            at = data.draw(st.integers(0, max(0, len(record) // 4 - 1))) * 4
            return record[:at] + struct.pack(">I", data.draw(st.integers(0, 2**32 - 1))) + record[at + 4 :]
        return record

    peer = Peer(tamper=tamper)
    tree = tree_of(peer, dialect)

    def converse() -> Generator[bytes, bytes, Any]:
        try:
            ended = yield from tree.list((), lambda _: True)
            pieces = yield from tree.read([Wanted((b"notes.txt",), 0, 20), Wanted((b"open", b"deep"), 0, 4)])
        except Lost:
            return None
        return ended, pieces

    result = drive(converse(), peer)
    if result is not None:
        ended, pieces = result
        assert isinstance(ended, Listed)
        assert len(pieces) == 2
        assert all(isinstance(piece, bytes | Reason) for piece in pieces)
