"""Lists of files: whole, byte by byte, cut and hostile. The writer is a second one, after flist.c."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.files.tree import Entry, Kind, Path
from leadapron.protocols.rsync.flist import MAX_MESSAGE, MAX_PATH, Channel, FileList
from seeds import seeds

REGULAR, DIRECTORY, LINK = 0o100644, 0o040755, 0o120777
Item = tuple[bytes, int, int]
"""Path, size, mode."""


def encode(items: list[Item], *, error: int = 0, protocol: int = 29) -> bytes:
    """As send_file_entry does, with what entries share with the one before."""
    out, last, last_mode = bytearray(), b"", None
    for name, size, mode in items:
        shared = 0
        while shared < min(len(name), len(last), 255) and name[shared] == last[shared]:
            shared += 1
        rest = name[shared:]
        flags = (1 << 5 if shared else 0) | (1 << 6 if len(rest) > 255 else 0) | (1 << 1 if mode == last_mode else 0)
        if not flags:
            flags = 1 << 6 if mode != DIRECTORY else 1 << 0
        out.append(flags)
        if shared:
            out.append(shared)
        out += struct.pack("<I", len(rest)) if flags & 1 << 6 else bytes([len(rest)])
        out += rest
        out += struct.pack("<i", size) if size < 1 << 31 else struct.pack("<iq", -1, size)
        out += struct.pack("<i", 1_700_000_000)
        if not flags & 1 << 1:
            out += struct.pack("<i", mode)
        last, last_mode = name, mode
    return bytes(out) + b"\0" + struct.pack("<i", error)


def frames(data: bytes, size: int = 1000, tag: int = 0) -> bytes:
    pieces = [data[place : place + size] for place in range(0, len(data), size)]
    return b"".join(struct.pack("<I", (7 + tag) << 24 | len(piece)) + piece for piece in pieces)


def read(*pieces: bytes, protocol: int = 29) -> tuple[list[tuple[Path, Entry]], FileList]:
    files = FileList(protocol)
    return [found for piece in pieces for found in files.receive(piece)], files


ITEMS: list[Item] = [
    (b".", 4096, DIRECTORY),
    (b"a.dcm", 12, REGULAR),
    (b"study", 4096, DIRECTORY),
    (b"study/one", 5 << 30, REGULAR),
    (b"study/two", 0, REGULAR),
    (b"study/link", 7, LINK),
    (b"study/" + b"n" * 300, 3, REGULAR),
]
FOUND = [
    ((), Entry(b"a.dcm", Kind.FILE, 12)),
    ((), Entry(b"study", Kind.FOLDER)),
    ((b"study",), Entry(b"one", Kind.FILE, 5 << 30)),
    ((b"study",), Entry(b"two", Kind.FILE, 0)),
    ((b"study",), Entry(b"link", Kind.OTHER)),
    ((b"study",), Entry(b"n" * 300, Kind.FILE, 3)),
]


@pytest.mark.parametrize("protocol", [27, 28, 29])
def test_a_list_whole_and_byte_by_byte(protocol: int) -> None:
    raw = encode(ITEMS)
    found, files = read(raw, protocol=protocol)
    assert found == FOUND
    assert files.error is False
    again, _ = read(*(raw[place : place + 1] for place in range(len(raw))), protocol=protocol)
    assert again == found


def test_a_list_that_is_cut_has_no_end() -> None:
    raw = encode(ITEMS)
    for length in range(len(raw)):
        found, files = read(raw[:length])
        assert files.error is None
        assert found == FOUND[: len(found)]


@pytest.mark.parametrize(("error", "seen"), [(0, False), (1, True), (2, False), (3, True)])
def test_the_server_says_that_it_could_not_read_everything(error: int, seen: bool) -> None:
    assert read(encode(ITEMS, error=error))[1].error is seen


def test_extended_flags() -> None:
    raw = b"\x04\x10" + b"\x01a" + struct.pack("<iii", 1, 2, REGULAR) + b"\0" + struct.pack("<i", 0)
    assert read(raw)[0] == [((), Entry(b"a", Kind.FILE, 1))]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x20\x05",  # shares five bytes with nothing
        b"\x40" + struct.pack("<i", MAX_PATH + 1),
        b"\x40" + struct.pack("<i", -1),
        b"\x04\x02\x01a",  # hard links, which were not asked for
    ],
)
def test_what_breaks_the_list(raw: bytes) -> None:
    with pytest.raises(WireError):
        read(raw + b"\0" * 8)


@pytest.mark.parametrize("name", [b"/etc/passwd", b"../up", b"a/../b", b"a//b", b"nul\0", b"x" * 1025, b"", b"a/"])
def test_odd_names_are_left_out_and_counted(name: bytes) -> None:
    found, files = read(encode([(name, 1, REGULAR), (b"fine", 1, REGULAR)]))
    assert [entry.name for _, entry in found] == [b"fine"]
    assert files.odd == 1


names = st.binary(min_size=1, max_size=300).filter(lambda name: not set(name) & {0x2F, 0} and name not in (b".", b".."))


@given(st.lists(st.tuples(st.lists(names, min_size=1, max_size=3), st.integers(0, 1 << 50)), max_size=8))
def test_what_was_written_is_read(raw: list[tuple[list[bytes], int]]) -> None:
    items = [(b"/".join(path), size, REGULAR) for path, size in raw]
    found, files = read(encode(items))
    assert [((*folder, entry.name), entry.size) for folder, entry in found] == [
        (tuple(path), size) for path, size in raw
    ]
    assert files.error is False


@given(st.lists(st.binary(max_size=80), max_size=12), st.sampled_from([27, 29]))
@seeds(
    [
        ([encode(ITEMS)], 29),
        ([frames(encode(ITEMS)[:-6])], 29),
        ([encode(ITEMS)[:-5] + b"\x40" + struct.pack("<i", -1) + bytes(8)], 29),
        ([frames(b'opendir "SYNTHETIC" failed: Permission denied (13)', tag=1)], 27),
        ([b"@ERROR: the server refuses\n"], 29),
    ]
)
def test_any_bytes_give_files_or_the_one_error(pieces: list[bytes], protocol: int) -> None:
    channel, files = Channel(), FileList(protocol)
    try:
        for piece in pieces:
            list(files.receive(piece))
            list(files.receive(channel.receive(piece)))
    except WireError:
        return
    assert len(files._unread) <= sum(map(len, pieces)) * 2


def test_frames_whole_and_byte_by_byte() -> None:
    raw = frames(b"abcdef", 4) + frames(b'opendir "SYNTHETIC" failed: Permission denied (13)', tag=1) + frames(b"gh")
    channel = Channel()
    assert channel.receive(raw) == b"abcdefgh"
    assert channel.is_denied
    again = Channel()
    assert b"".join(again.receive(raw[place : place + 1]) for place in range(len(raw))) == b"abcdefgh"
    assert again.is_denied


def test_empty_frames_and_other_messages_say_nothing() -> None:
    channel = Channel()
    assert channel.receive(struct.pack("<I", 7 << 24) + frames(b"note", tag=2) + frames(b"x")) == b"x"
    assert not channel.is_denied


@pytest.mark.parametrize("word", [0, 6 << 24, (7 + 1) << 24 | MAX_MESSAGE + 1])
def test_frames_that_are_none(word: int) -> None:
    with pytest.raises(WireError):
        Channel().receive(struct.pack("<I", word) + b"x")
