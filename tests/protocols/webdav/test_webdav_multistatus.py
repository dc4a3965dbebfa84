"""Answers to PROPFIND as real servers write them: whole, byte by byte, cut, and as nobody should write them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.protocols.files.tree import Entry, Kind
from leadapron.protocols.webdav.multistatus import MAX_DEPTH, MAX_IDLE, MAX_NAMES, Multistatus
from seeds import seeds

DATA = Path(__file__).parents[1] / "listing" / "data"
CAPTURES = sorted(DATA.glob("*-root.propfind.xml")) + sorted(DATA.glob("*-studies.propfind.xml"))
ROOT = {
    b"empty": (Kind.FOLDER, None),
    b"studies": (Kind.FOLDER, None),
    b"IM000001": (Kind.FILE, 644),
    b"first.dcm": (Kind.FILE, 652),
    b"notes.txt": (Kind.FILE, 30),
}
LONG = b"SYNTHETIC-a-name-of-a-file-that-is-longer-than-what-the-listings-of-most-servers-show-of-it.dcm"
STUDIES = {
    b"SYNTHETIC 0": (Kind.FOLDER, None),
    LONG: (Kind.FILE, 652),
    "SYNTHETIC^1 a&b <c> 100% #ü'.dcm".encode(): (Kind.FILE, 652),
}


def read(data: bytes, base: bytes = b"/", *, piece: int = 1 << 20) -> tuple[list[Entry], Reason | None, Multistatus]:
    multistatus, entries = Multistatus(base, {b"pacs.example"}), list[Entry]()
    for start in range(0, len(data), piece):
        entries += multistatus.feed(data[start : start + piece])
    last, why = multistatus.finish()
    return entries + last, why, multistatus


def test_five_servers_were_captured() -> None:
    assert len(CAPTURES) == 10


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("file", CAPTURES, ids=[file.name for file in CAPTURES])
def test_a_real_answer_gives_its_files_and_folders(file: Path, piece: int) -> None:
    is_root = "-root." in file.name
    entries, why, multistatus = read(file.read_bytes(), b"/" if is_root else b"/studies/", piece=piece)
    found = {entry.name: (entry.kind, entry.size) for entry in entries if entry.name != b".hidden"}
    assert found == (ROOT if is_root else STUDIES)
    assert (why, multistatus.odd) == (None, 0)


def test_the_folders_of_an_orthanc_have_no_slash() -> None:
    entries, _, _ = read((DATA / "orthanc-0.propfind.xml").read_bytes(), b"/webdav/")
    assert {entry.name for entry in entries} == {b"by-dates", b"by-patients", b"by-studies", b"by-uids", b"uploads"}
    assert {entry.kind for entry in entries} == {Kind.FOLDER}


@pytest.mark.parametrize("file", CAPTURES, ids=[file.name for file in CAPTURES])
def test_an_answer_that_is_cut_is_not_whole(file: Path) -> None:
    data = file.read_bytes().rstrip()
    for length in range(0, len(data) - 1, max(1, len(data) // 67)):
        _, why, multistatus = read(data[:length])
        assert why is (Reason.TRUNCATED if multistatus.is_begun else Reason.PROTOCOL), length


def answer(*hrefs: str, inside: str = "<resourcetype/>") -> bytes:
    responses = "".join(
        f"<response><href>{escape(href)}</href><propstat><prop>{inside}</prop></propstat></response>" for href in hrefs
    )
    return f'<?xml version="1.0"?><multistatus xmlns="DAV:">{responses}</multistatus>'.encode()


def test_what_leads_elsewhere_is_no_entry() -> None:
    elsewhere = (
        *("/", "/dicom", "/dicom/", "/dicom/../x", "/etc/passwd", "//other/dicom/a", "http://other/dicom/a"),
        *("ftp://pacs.example/dicom/a", "/dicom/a/b", "/dicom/a?x", "/dicom/a#x", "/dicom/.", "/dicom/..", ""),
    )
    entries, why, multistatus = read(answer(*elsewhere, "http://pacs.example/dicom/in", "/dicom/in2"), b"/dicom/")
    assert ([entry.name for entry in entries], why, multistatus.odd) == ([b"in", b"in2"], None, 0)


def test_names_that_are_none_are_counted_as_odd() -> None:
    entries, _, multistatus = read(answer("/%2e%2e", "/a%2fb", "/a%00", "/" + "a" * 1025, "/" + "a" * 99_999, "/a"))
    assert ([entry.name for entry in entries], multistatus.odd) == ([b"a"], 5)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7", 7),
        (" 7\n", 7),
        ("", None),
        ("-7", None),
        ("7x", None),
        ("٧", None),
        ("9" * 5000, None),
        (str(2**62), None),
    ],
)
def test_a_size_that_is_none_is_not_believed(text: str, size: int | None) -> None:
    entries, _, _ = read(answer("/a", inside=f"<getcontentlength>{text}</getcontentlength>"))
    assert entries == [Entry(b"a", Kind.FILE, size)]


def test_a_link_in_a_property_is_not_that_of_the_file() -> None:
    entries, _, _ = read(answer("/a", inside="<owner><href>/SYNTHETIC</href></owner>"))
    assert [entry.name for entry in entries] == [b"a"]


LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"lol") for n in range(10))


@pytest.mark.parametrize(
    "document",
    [
        b'<?xml version="1.0"?><!DOCTYPE x [' + LAUGHS + b']><multistatus xmlns="DAV:">&l9;</multistatus>',
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><multistatus xmlns="DAV:">&e;</multistatus>',
        b'<!DOCTYPE x SYSTEM "http://198.18.0.9/x.dtd"><multistatus xmlns="DAV:"/>',
        b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://198.18.0.9/"> %p;]><multistatus xmlns="DAV:"/>',
        b'<multistatus xmlns="DAV:">&undefined;</multistatus>',
        b"<multistatus/>",
        b"<html><body>SYNTHETIC</body></html>",
        b"not XML",
        b'<?xml version="1.0" encoding="utf-7"?><multistatus xmlns="DAV:"/>',
        b'<?xml version="1.0" encoding="no-such"?><multistatus xmlns="DAV:"/>',
        b'<?xml version="1.0" encoding="big5"?><multistatus xmlns="DAV:"/>',
        b'<multistatus xmlns="DAV:"></multistatus><multistatus xmlns="DAV:"></multistatus>',
        b'<multistatus xmlns="DAV:">' + b"<a>" * (MAX_DEPTH + 1),
        b'<multistatus xmlns="DAV:">' + b"".join(b"<a%d/>" % number for number in range(MAX_NAMES + 1)),
        b'<multistatus xmlns="DAV:">' + b"".join(b'<a b%d="x"/>' % number for number in range(MAX_NAMES + 1)),
    ],
    ids=range(15),
)
def test_what_is_no_multistatus_is_refused_and_no_error_holds_any_of_it(document: bytes) -> None:
    with pytest.raises(WireError) as raised:
        read(document)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert "lol" not in str(raised.value)


@pytest.mark.parametrize(
    "more", [b"<prop/>", b"x", b" ", b"<!-- x -->", b"<!-- ", b"<prop ", b"<?x ?>", b"<![CDATA[x]]>", b"<response>"]
)
def test_what_never_comes_to_a_response_is_left(more: bytes) -> None:
    multistatus, block = Multistatus(b"/"), more * (16384 // len(more))
    pieces = (b'<multistatus xmlns="DAV:">', *[block] * (2 * MAX_IDLE // len(block)))
    with pytest.raises(WireError):
        list(map(multistatus.feed, pieces))


def test_many_names_in_one_folder_take_no_memory() -> None:
    def block(number: int) -> bytes:
        hrefs = [f"/IM{number:06}{each:03}" for each in range(1000)]
        return answer(*hrefs).split(b'"DAV:">')[1].removesuffix(b"</multistatus>")

    multistatus = Multistatus(b"/")
    multistatus.feed(b'<multistatus xmlns="DAV:">')
    count = sum(len(multistatus.feed(block(number))) for number in range(40))
    tracemalloc.start()
    count += sum(len(multistatus.feed(block(number))) for number in range(40, 60))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 2 << 20


SCRAPS = st.lists(
    st.sampled_from(
        [
            b'<multistatus xmlns="DAV:">',
            b"</multistatus>",
            b"<response>",
            b"</response>",
            b"<href>",
            b"</href>",
            b"/a",
            b"%2e",
            b"<collection/>",
            b"<getcontentlength>",
            b"</getcontentlength>",
            b"9",
            b"&#0;",
            b"&amp;",
            b"<!DOCTYPE",
            b"<!--",
            b"-->",
            b"<![CDATA[",
            b"]]>",
            b"\x00",
            b"\xff",
            b"<?xml version='1.0' encoding='",
        ]
    )
    | st.binary(max_size=6),
    max_size=40,
).map(b"".join)


@given(st.sampled_from([b"", b'<multistatus xmlns="DAV:">', b"\xfe\xff"]), SCRAPS, st.integers(1, 50))
@seeds((b"", file.read_bytes(), 50) for file in sorted(DATA.glob("*.xml")))
def test_any_bytes_give_entries_or_the_one_error(start: bytes, scraps: bytes, piece: int) -> None:
    try:
        entries, _, _ = read(start + scraps, piece=piece)
    except WireError:
        return
    for entry in entries:
        assert entry.name not in (b"", b".", b"..")
        assert b"/" not in entry.name


NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: name not in (b".", b"..") and not {*b"/\0"} & {*name})


@given(st.lists(NAMES, unique=True, max_size=12), st.integers(1, 99))
def test_what_is_escaped_is_read_back(names: list[bytes], piece: int) -> None:
    entries, why, _ = read(answer(*(f"/d/{quote(name, safe='')}" for name in names)), b"/d/", piece=piece)
    assert ([entry.name for entry in entries], why) == (names, None)
