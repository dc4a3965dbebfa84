"""Listings as real servers write them: whole, byte by byte, cut, and as nobody should write them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.files.tree import Entry, Kind
from leadapron.protocols.listing.formats import LOOKED_AT, Format, format_of
from leadapron.protocols.listing.page import MAX_IDLE, Listing
from seeds import seeds

DATA = Path(__file__).parent / "data"
FORMATS = {
    "nginx": Format.NGINX,
    "nginx-json": Format.NGINX_JSON,
    "nginx-xml": Format.NGINX_XML,
    "apache-plain": Format.APACHE_PLAIN,
    "apache-fancy": Format.APACHE_FANCY,
    "apache-table": Format.APACHE_TABLE,
    "lighttpd": Format.LIGHTTPD,
    "caddy": Format.CADDY,
    "rclone": Format.RCLONE,
    "http-server": Format.PYTHON,
    "wsgidav": Format.OTHER,
}
NO_SIZES = {Format.APACHE_PLAIN, Format.LIGHTTPD, Format.PYTHON}
ROOT = {b"empty": Kind.FOLDER, b"studies": Kind.FOLDER, b"IM000001": Kind.FILE, b"first.dcm": Kind.FILE}
SIZES = {b"IM000001": 644, b"first.dcm": 652, b"notes.txt": 30}
LONG = b"SYNTHETIC-a-name-of-a-file-that-is-longer-than-what-the-listings-of-most-servers-show-of-it.dcm"
STUDIES = {b"SYNTHETIC 0": Kind.FOLDER, LONG: Kind.FILE, "SYNTHETIC^1 a&b <c> 100% #ü'.dcm".encode(): Kind.FILE}

IIS = (
    b"<html><head><title>pacs.example - /dicom/</title></head><body><H1>pacs.example - /dicom/</H1><hr>\r\n\r\n"
    b'<pre><A HREF="/">[To Parent Directory]</A><br><br>'
    b' 9/13/2020 12:26 PM        &lt;dir&gt; <A HREF="/dicom/SYNTHETIC%200/">SYNTHETIC 0</A><br>'
    b' 9/13/2020 12:26 PM          644 <A HREF="/dicom/IM000001">IM000001</A><br>'
    b" 9/13/2020  1:26 AM           30 <A HREF=\"/dicom/a&amp;b'.txt\">a&amp;b'.txt</A><br></pre><hr></body></html>"
)
"""As the documentation of its module for directory browsing shows it."""

CAPTURES = [
    (file, FORMATS[name], is_root)
    for is_root, kind in ((True, "root"), (False, "studies"))
    for file in sorted(DATA.glob(f"*-{kind}.*"))
    if "propfind" not in file.name and (name := file.name.split(f"-{kind}.")[0]) in FORMATS
]


def read(data: bytes, base: bytes = b"/", *, piece: int = 1 << 20) -> tuple[list[Entry], Reason | None, Listing]:
    listing, entries = Listing(base), list[Entry]()
    for start in range(0, len(data), piece):
        entries += listing.feed(data[start : start + piece])
    last, why = listing.finish()
    return entries + last, why, listing


def test_every_format_of_the_captures_is_read() -> None:
    assert {known for _, known, _ in CAPTURES} == set(FORMATS.values())


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize(("file", "known", "is_root"), CAPTURES, ids=[each[0].name for each in CAPTURES])
def test_a_real_listing_gives_its_files_and_folders(file: Path, known: Format, is_root: bool, piece: int) -> None:
    data = file.read_bytes()
    if file.suffix == ".json" and known is Format.CADDY:
        known = Format.CADDY_JSON

    entries, why, listing = read(data, b"/" if is_root else b"/studies/", piece=piece)

    assert (listing.format, why, listing.odd) == (known, None, 0)
    found = {entry.name: entry.kind for entry in entries if entry.name not in (b".hidden", b"notes.txt")}
    assert found == (ROOT if is_root else STUDIES)
    assert len(entries) == len({entry.name for entry in entries})
    if is_root:
        sizes = {entry.name: entry.size for entry in entries if entry.name in SIZES}
        assert sizes == (dict.fromkeys(SIZES) if known in NO_SIZES else SIZES)
    assert all(entry.size is None for entry in entries if entry.kind is Kind.FOLDER)


@pytest.mark.parametrize(("file", "known", "is_root"), CAPTURES, ids=[each[0].name for each in CAPTURES])
def test_a_listing_that_is_cut_is_not_whole(file: Path, known: Format, is_root: bool) -> None:
    data = file.read_bytes()
    whole, _, _ = read(data, b"/" if is_root else b"/studies/")
    for length in range(0, len(data) - 24, max(1, len(data) // 97)):
        entries, why, listing = read(data[:length], b"/" if is_root else b"/studies/")
        assert why is (Reason.PROTOCOL if listing.format is None else Reason.TRUNCATED), length
        assert {entry.name for entry in entries} <= {entry.name for entry in whole}


def test_iis_writes_the_size_before_the_name() -> None:
    entries, why, listing = read(IIS, b"/dicom/")
    assert (listing.format, why) == (Format.IIS, None)
    assert entries == [
        Entry(b"SYNTHETIC 0", Kind.FOLDER),
        Entry(b"IM000001", Kind.FILE, 644),
        Entry(b"a&b'.txt", Kind.FILE, 30),
    ]
    assert read(IIS, b"/dicom/", piece=1)[0] == entries


def test_an_icon_that_is_a_link_is_no_second_file() -> None:
    page = (
        b"<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre>"
        b'<a href="?C=N;O=D">Name</a><hr>'
        b'<a href="a.dcm"><img src="/icons/unknown.gif"></a> <a href="a.dcm">a.dcm</a>  2020-09-13 12:26  652   \n'
        b'<a href="b.dcm"><img src="/icons/unknown.gif"></a> <a href="b.dcm">b.dcm</a>  2020-09-13 12:26  1.2K  \n'
        b"</pre></body></html>"
    )
    entries, _, listing = read(page)
    assert listing.format is Format.APACHE_FANCY
    assert entries == [Entry(b"a.dcm", Kind.FILE, 652), Entry(b"b.dcm", Kind.FILE)]


def page_of(*links: bytes) -> bytes:
    rows = b"\n".join(b'<a href="%s">x</a>        13-Sep-2020 12:26         1' % link for link in links)
    return b"<html><title>Index of /</title><h1>Index of /</h1><hr><pre>%s\n</pre></html>" % rows


def test_what_leads_elsewhere_is_no_entry() -> None:
    elsewhere = (
        *(b"../", b"..", b"../../etc/passwd", b"/etc/passwd", b"//pacs.example/x", b"http://pacs.example/x"),
        *(b"https://198.18.0.9/a.dcm", b"javascript:alert(1)", b"ftp://pacs.example/a", b"mailto:x@pacs.example"),
        *(b"?C=M;O=A", b"a.dcm?x=1", b"a.dcm#x", b"#x", b"", b"./", b".", b"a/b", b"a/../b", b"./a/b/"),
    )
    entries, why, listing = read(page_of(*elsewhere, b"a.dcm"))
    assert ([entry.name for entry in entries], why, listing.odd) == ([b"a.dcm"], None, 0)


def test_names_that_are_none_are_counted_as_odd() -> None:
    entries, _, listing = read(page_of(b"%2e%2e/", b"a%2Fb", b"a%00b", b"a" * 1025, b"%2e%2e%2fetc", b"a.dcm"))
    assert ([entry.name for entry in entries], listing.odd) == ([b"a.dcm"], 5)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html><title>Archive of radiology</title><a href='a.dcm'>a</a></html>",
        b"<html><body><div id=app></div><script src=/main.js></script></body></html>",
        b'{"status": "ok"}',
        b"[]",
        b'[{"id": 1, "name": "SYNTHETIC"}]',
        b"\x1f\x8b\x08\x00" + bytes(range(256)) * 20,
        b"<?xml version='1.0'?><ListBucketResult></ListBucketResult>",
    ],
)
def test_a_page_that_is_no_listing_is_none(page: bytes) -> None:
    assert format_of(page) is None
    assert read(page)[:2] == ([], Reason.PROTOCOL)


@pytest.mark.parametrize("empty", [b"[]", b"[\r\n]", b"[\r\n\r\n]\n"])
def test_an_empty_array_is_an_empty_folder_where_others_were_arrays(empty: bytes) -> None:
    listing = Listing(b"/", may_be_empty_json=True)
    assert listing.feed(empty) == []
    assert listing.finish() == ([], None)


def test_json_that_is_no_listing_of_files_is_odd_or_refused() -> None:
    first = b'[{ "name":"a", "type":"file", "mtime":"x", "size":1 },'
    entries, why, listing = read(
        first
        + b'{"name":".."},{"name":"a/b"},{"type":"file"},{"name":"\\ud800"},{"name":"b","size":-5},'
        + b'{"name":"c","size":true},{"name":"d","type":"other"},{"name":"e","size":%s}]' % (b"9" * 5000)
    )
    assert [entry[:3] for entry in entries] == [
        (b"a", Kind.FILE, 1),
        (b"b", Kind.FILE, None),
        (b"c", Kind.FILE, None),
        (b"d", Kind.OTHER, None),
    ]
    assert (listing.odd, why) == (5, None)


@pytest.mark.parametrize("bad", [b"7]", b'"x"]', b"[[[[", b"{[", b"}"])
def test_json_with_something_else_than_objects_is_none(bad: bytes) -> None:
    first = b'[{ "name":"a", "type":"file", "mtime":"x", "size":1 },'
    assert read(first + bad)[1] in (Reason.PROTOCOL, Reason.TRUNCATED)
    assert read(first + b"{}]")[1] is None


@pytest.mark.parametrize(("count", "why"), [(9_999, None), (10_000, Reason.LIMIT), (10_001, None)])
def test_as_many_as_caddy_ever_lists_may_be_more(count: int, why: Reason | None) -> None:
    objects = [f'{{"name":"{number}.dcm","size":644,"url":"./{number}.dcm"}}' for number in range(count)]
    entries, found, _ = read(f"[{','.join(objects)}]".encode())
    assert (len(entries), found) == (count, why)


def rows(count: int) -> bytes:
    return b"".join(b'<a href="IM%08d">IM</a>     13-Sep-2020 12:26    1234\n' % number for number in range(count))


HEAD = b"<html><head><title>Index of /</title></head><body><h1>Index of /</h1><hr><pre><a href='../'>../</a>\n"


def test_a_million_names_in_one_folder_take_no_memory() -> None:
    listing, block = Listing(b"/"), rows(1000)
    count = len(listing.feed(HEAD))
    for _ in range(980):
        count += len(listing.feed(block))
    tracemalloc.start()
    for _ in range(20):
        count += len(listing.feed(block))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 999_999  # the last one still waits for the end of its row
    assert peak < 2 << 20
    held = [*vars(listing).values(), *vars(listing._rows).values()]
    assert sum(len(each) for each in held if isinstance(each, bytes | bytearray | list)) < 64 << 10


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (HEAD, b"<p>nothing here "),
        (HEAD, b"<a href="),
        (HEAD, b"<"),
        (HEAD, b"<a x>"),
        (b'[{ "name":"a", "type":"file", "mtime":"x" },', b'{"name":"aaaaaaa'),
        (b'[{ "name":"a", "type":"file", "mtime":"x" },', b" "),
        (b'<?xml version="1.0"?>\n<list>', b"<file>" * 9),
        (b"<html>", b"<p>a page that never says what it is"),
    ],
)
def test_what_never_comes_to_an_entry_is_left(start: bytes, more: bytes) -> None:
    listing = Listing(b"/")
    block = more * (8192 // len(more))
    pieces = (start, *[block] * (2 * (MAX_IDLE + LOOKED_AT) // len(block)))
    with pytest.raises(WireError):
        list(map(listing.feed, pieces))


BASES = st.sampled_from([b"/", b"/dicom/"])
STARTS = st.sampled_from(
    [b"", HEAD, b'[{ "name":"a", "type":"file", "mtime":"x" },', b'<?xml version="1.0"?><list>', IIS[:120]]
)
SCRAPS = st.lists(
    st.sampled_from(
        (
            *(
                b"<a ",
                b"<a href=",
                b'"',
                b"'",
                b">",
                b"</a>",
                b"../",
                b"%2e",
                b"&#",
                b"&#x110000;",
                b"a.dcm",
                b"{",
                b"}",
            ),
            *(
                b'"name":',
                b"[",
                b"]",
                b",",
                b"\\",
                b"\\ud800",
                b"<file>",
                b"</file>",
                b"<directory size=",
                b"\0",
                b"\xff",
            ),
        )
    )
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)


@given(BASES, STARTS, SCRAPS, st.integers(1, 50))
@seeds((b"/", b"", file.read_bytes(), 50) for file in sorted(DATA.glob("*.*")))
def test_any_bytes_give_entries_or_the_one_error(base: bytes, start: bytes, scraps: bytes, piece: int) -> None:
    try:
        entries, _, _ = read(start + scraps, base, piece=piece)
    except WireError:
        return
    for entry in entries:
        assert entry.name not in (b"", b".", b"..")
        assert b"/" not in entry.name
        assert b"\0" not in entry.name
        assert entry.size is None or entry.size >= 0


NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: name not in (b".", b"..") and not {*b"/\0"} & {*name})


@given(st.lists(st.tuples(NAMES, st.booleans()), unique_by=lambda each: each[0], max_size=12), st.integers(1, 99))
def test_what_is_escaped_for_a_page_is_read_back(files: list[tuple[bytes, bool]], piece: int) -> None:
    links = [quote(name, safe="").encode() + (b"/" if is_folder else b"") for name, is_folder in files]
    entries, why, _ = read(page_of(*links), piece=piece)
    assert [(entry.name, entry.kind is Kind.FOLDER) for entry in entries] == files
    assert why is None


@given(st.lists(st.text(min_size=1, max_size=40).filter(lambda n: n.isprintable() and "/" not in n), unique=True))
def test_what_is_written_as_json_is_read_back(files: list[str]) -> None:
    files = [name for name in files if name not in (".", "..")]
    first = '[{ "name":"first", "type":"file", "mtime":"x" }'
    more = "".join("," + json.dumps({"name": name, "size": 7}) for name in files)
    entries, why, _ = read(f"{first}{more}]".encode(), piece=13)
    assert [entry.name.decode() for entry in entries[1:]] == files
    assert why is None
