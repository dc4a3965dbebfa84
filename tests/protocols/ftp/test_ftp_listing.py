"""Listings in the forms that servers have: whole, byte by byte, cut and hostile."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.files.tree import Entry, Kind, is_a_name
from leadapron.protocols.ftp.listing import MAX_LINE, Listing, read_list_line, read_mlsd_line
from seeds import seeds

FILE, FOLDER, OTHER = Kind.FILE, Kind.FOLDER, Kind.OTHER


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (b"-rw-r--r--    1 0        0            1234 Nov 27 10:00 a.dcm", Entry(b"a.dcm", FILE, 1234)),
        (b"-rw-rw-rw-    1 ftp ftp 0 Jan  1  2020 b", Entry(b"b", FILE, 0, world_writable=True)),
        (b"drwxr-xr-x    2 0 0 4096 Nov 27 10:00 two words", Entry(b"two words", FOLDER)),
        (b"drwxrwxrwt    2 0 0 4096 Nov 27 10:00 incoming", Entry(b"incoming", FOLDER, world_writable=True)),
        (b"-rw-r--r-- 1 0 0 7 Nov 27 10:00  leading", Entry(b" leading", FILE, 7)),
        (b"-rw-r--r-- 1 0 0 7 Nov 27 10:00 a -> b", Entry(b"a -> b", FILE, 7)),
        (b"lrwxrwxrwx 1 0 0 7 Nov 27 10:00 link -> /etc", Entry(b"link", OTHER)),
        (b"crw-rw-rw- 1 root root 1, 3 Nov 27 10:00 null", Entry(b"null", OTHER)),
        (b"-rw-r--r--+ 1 domain users group 99 27 Nov 2024 c", Entry(b"c", FILE, 99)),
        (b"-rw-r--r-- 1 0 0 7 2026-11-27 10:00 iso", Entry(b"iso", FILE, 7)),
        (b"-rw-r--r-- 1 0 7 Nov 27 10:00 nogroup", Entry(b"nogroup", FILE, 7)),
        (b"11-27-26  10:00AM       <DIR>          studies", Entry(b"studies", FOLDER)),
        (b"11-27-2026  10:00AM          1,234,567 a.dcm", Entry(b"a.dcm", FILE, 1234567)),
        (b"11-27-26  10:00PM       <JUNCTION>     j", Entry(b"j", OTHER)),
    ],
)
def test_lines_of_list(line: bytes, entry: Entry) -> None:
    assert read_list_line(line) == entry


@pytest.mark.parametrize(("line", "meant"), [(b"total 12", True), (b"hello", False), (b"-rw-r--r-- x", False)])
def test_lines_of_list_without_an_entry(line: bytes, meant: bool) -> None:
    assert read_list_line(line) is meant


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (b"type=file;size=12;modify=20261127100000;perm=r; a.dcm", Entry(b"a.dcm", FILE, 12)),
        (b"Type=file;Size=12;Perm=adfrw; a b", Entry(b"a b", FILE, 12, world_writable=True)),
        (b"type=file;size=12;perm=adfr; a.dcm", Entry(b"a.dcm", FILE, 12)),  # as ProFTPD says of a read-only one
        (b"type=file;size=12;perm=adfrw; a.dcm", Entry(b"a.dcm", FILE, 12, world_writable=True)),
        (b"type=dir;perm=el; d", Entry(b"d", FOLDER)),
        (b"type=dir;perm=elcm; d", Entry(b"d", FOLDER, world_writable=True)),
        (b"type=dir;perm=flp; d", Entry(b"d", FOLDER)),
        (b"type=OS.unix=symlink;perm=; l", Entry(b"l", OTHER)),
        (b"type=file;size=-1; x", Entry(b"x", FILE)),
        (b"type=file;size=99999999999999999999; x", Entry(b"x", FILE)),
        (b"type=file;  leading", Entry(b" leading", FILE)),
    ],
)
def test_lines_of_mlsd(line: bytes, entry: Entry) -> None:
    assert read_mlsd_line(line) == entry


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (b"type=cdir;perm=el; /", True),
        (b"type=pdir; ..", True),
        (b"hello world", False),
        (b"a=b;", False),
        (b" x", False),
    ],
)
def test_lines_of_mlsd_without_an_entry(line: bytes, meant: bool) -> None:
    assert read_mlsd_line(line) is meant


def listed(*pieces: bytes, mlsd: bool = True) -> tuple[list[Entry], Listing]:
    listing = Listing(read_mlsd_line if mlsd else read_list_line)
    entries = [entry for piece in pieces for entry in listing.receive(piece)]
    return entries + list(listing.end()), listing


WHOLE = (
    b"type=cdir; /\r\ntype=file;size=1; one\r\ntype=dir; ..\r\ntype=dir; .\r\ntype=file; ../up\r\n"
    b"type=file; /etc/passwd\r\ntype=file; nul\0\r\nnonsense\r\ntype=file;size=2; last"
)


def test_a_listing_whole_and_byte_by_byte() -> None:
    entries, listing = listed(WHOLE)
    assert [entry.name for entry in entries] == [b"one", b"last"]
    assert (listing.odd, listing.unreadable, listing.entries) == (3, 1, 2)
    again, same = listed(*(WHOLE[place : place + 1] for place in range(len(WHOLE))))
    assert again == entries
    assert (same.odd, same.unreadable) == (3, 1)


def test_a_line_that_does_not_end_is_left_out_and_counted() -> None:
    listing = Listing(read_mlsd_line)
    piece = b"x" * 65536
    for _ in range(1024):
        assert list(listing.receive(piece)) == []
        assert len(listing._unread) <= MAX_LINE
    assert [entry.name for entry in listing.receive(b"\r\ntype=file; after\r\n")] == [b"after"]
    assert listing.unreadable == 1


def test_a_long_name_is_left_out() -> None:
    entries, listing = listed(b"type=file; " + b"n" * 1025 + b"\r\ntype=file; " + b"n" * 1024 + b"\r\n")
    assert [len(entry.name) for entry in entries] == [1024]
    assert listing.odd == 1


@pytest.mark.parametrize(
    "line",
    [
        b"-rwxrwxrwx" + b" " * 2000,
        b"-rwxrwxrwx" + b" 1" * 1000,
        b"-rwxrwxrwx" + b" 1 Nov" * 300,
        b"11-27-26  10:00AM" + b" " * 2000,
        b"a=b;" * 500 + b" x",
    ],
)
def test_a_line_costs_little_whatever_is_in_it(line: bytes) -> None:
    begun = time.process_time()
    for _ in range(100):
        read_list_line(line)
        read_mlsd_line(line)
    assert time.process_time() - begun < 1.0


@given(st.lists(st.binary(max_size=80), max_size=10), st.booleans())
@seeds(
    [
        ([b"drwxr-xr-x   2 root     root         4096 Nov 28 09:24 empty\r\n"], False),  # ProFTPD
        (
            [
                b"modify=20261128092455;perm=adfr;size=646;type=file;unique=FE00U9B64D8;UNIX.group=0;UNIX.groupname=nogroup;",
                b"UNIX.mode=0644;UNIX.owner=0;UNIX.ownername=nobody; IM000000\r\n",
            ],
            True,
        ),
        ([b"type=dir; ../etc\r\n", b"type=dir; a\0b\r\n"], True),
        ([b"type=file;size=99999999999999999999; x\r\n"], True),
    ]
)
def test_any_bytes_give_entries_with_names(pieces: list[bytes], mlsd: bool) -> None:
    entries, _ = listed(*pieces, mlsd=mlsd)
    assert all(is_a_name(entry.name) and b"\r" not in entry.name and b"\n" not in entry.name for entry in entries)
    assert all(entry.size is None or entry.size >= 0 for entry in entries)


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"\r\n/\0")), st.integers(0, 1 << 62))
def test_what_was_written_is_read(name: bytes, size: int) -> None:
    if name in (b".", b".."):
        return
    (entry,), _ = listed(b"type=file;size=%d; %s\r\n" % (size, name))
    assert (entry.name, entry.size) == (name, size)
    (entry,), _ = listed(b"-rw-r--r-- 1 0 0 %d Nov 27 10:00 %s\r\n" % (size, name), mlsd=False)
    assert (entry.name, entry.size) == (name, size)
