"""A tree over HTTP, against servers that answer as they should, and as they should not."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from itertools import repeat

import pytest

from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import Lost
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Wanted
from leadapron.protocols.http.exchange import Client
from leadapron.protocols.listing.remote import hosts_of
from leadapron.protocols.listing.tree import ListingTree
from protocols.listing.streaming import Serve, endless, response, streamed

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080, name="pacs.example")
FILE = bytes(range(256)) * 8


def page(*links: str, title: str = "/") -> bytes:
    rows = "".join(f'<a href="{link}">x</a>        13-Sep-2020 12:26       644\n' for link in ("../", *links))
    return f"<html><title>Index of {title}</title><h1>Index of {title}</h1><hr><pre>{rows}</pre></html>".encode()


def listed(
    serve: Serve, folder: Path = (), *, root: bytes = b"/", most: int = 1 << 30, requests: int = 40
) -> tuple[Listed, list[Entry], list[bytes]]:
    entries: list[Entry] = []

    def take(entry: Entry) -> bool:
        entries.append(entry)
        return len(entries) < most

    tree = ListingTree(Client(HERE, requests=requests), HERE, root)
    found, asked = streamed(tree.list(folder, take), serve)
    return found, entries, asked


def always(answer: bytes) -> Serve:
    return lambda _method, _target: [answer]


def test_a_folder_is_asked_for_with_its_name_escaped() -> None:
    found, entries, asked = listed(always(response(page("a%20b.dcm", "c/"))), (b"SYNTHETIC^1 \xff", b"a?b#c%"))
    assert asked == [b"/SYNTHETIC%5E1%20%FF/a%3Fb%23c%25/"]
    assert entries == [Entry(b"a b.dcm", Kind.FILE, 644), Entry(b"c", Kind.FOLDER)]
    assert found == Listed()


def test_links_of_whole_urls_count_where_they_name_the_server_itself() -> None:
    links = ("http://pacs.example:8080/dicom/a", "/dicom/b", "http://198.18.0.1:8080/dicom/c", "http://other/dicom/d")
    _, entries, _ = listed(always(response(page(*links))), root=b"/dicom/")
    assert [entry.name for entry in entries] == [b"a", b"b", b"c"]
    assert b"pacs.example" in hosts_of(HERE)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (response(b"", 401), Reason.AUTH),
        (response(b"", 403), Reason.AUTH),
        (response(b"", 404), Reason.EMPTY),
        (response(b"", 410), Reason.EMPTY),
        (response(b"", 429), Reason.LIMIT),
        (response(b"", 503), Reason.LIMIT),
        (response(b"", 500), Reason.PROTOCOL),
        (response(b"", 204), Reason.PROTOCOL),
        (response(page("a"), 206), Reason.PROTOCOL),
        (response(b"", 302, b"Location: /elsewhere/"), Reason.PROTOCOL),
        (response(b"<html><title>Archive</title></html>"), Reason.PROTOCOL),
        (response(b""), Reason.PROTOCOL),
        (response(gzip.compress(page("a")), 200, b"Content-Encoding: gzip"), Reason.PROTOCOL),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL),
        (b"HTTP/1.1 200 x\r\n" + b"X: y\r\n" * 20_000, Reason.PROTOCOL),
    ],
)
def test_what_is_no_listing_is_none_and_says_why(answer: bytes, why: Reason) -> None:
    found, entries, _ = listed(always(answer), (b"studies",))
    assert (found, entries) == (Listed(why), [])


def test_a_listing_that_ends_in_the_middle_is_truncated() -> None:
    whole = page(*(f"IM{number:05}" for number in range(4000)))
    cut = b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[: len(whole) // 2]
    found, entries, _ = listed(always(cut))
    assert found == Listed(Reason.TRUNCATED)
    assert 1000 < len(entries) < 4000
    found, entries, _ = listed(always(endless() + whole[: len(whole) // 2]))
    assert found == Listed(Reason.TRUNCATED)
    found, entries, _ = listed(always(endless() + whole))
    assert (found, len(entries)) == (Listed(), 4000)


def test_who_has_enough_is_not_sent_the_rest() -> None:
    sent = 0

    def serve(_method: bytes, _target: bytes) -> Iterator[bytes]:
        nonlocal sent
        yield endless() + page("first").split(b"</pre>")[0]
        for number in range(10**9):
            sent += 1
            yield b'<a href="IM%d">x</a>        13-Sep-2020 12:26         7\n' % number

    found, entries, _ = listed(serve, most=5000)
    assert (found, len(entries)) == (Listed(Reason.STOPPED), 5000)
    assert sent < 10_000


BLOCK = b"0" * (64 << 10)


def chunks(chunk: bytes) -> Callable[[bytes, bytes], Iterable[bytes]]:
    def serve(_method: bytes, _target: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n"
        yield from repeat(chunk, 1 << 20)

    return serve


def headers(_method: bytes, _target: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 x\r\n"
    yield from repeat(b"X-SYNTHETIC: " + b"y" * 1000 + b"\r\n", 1 << 20)


@pytest.mark.parametrize(
    "serve",
    [
        headers,
        chunks(b"10000\r\n" + BLOCK + b"\r\n"),
        chunks(b"fffffffffffffff\r\n" + BLOCK),
        chunks(b"1\r\n<\r\n"),
        chunks(b"ffffffffffffffffffff\r\n"),
        chunks(BLOCK),
    ],
    ids=["a gigabyte of headers", "large chunks", "one huge chunk", "tiny chunks", "a length too long", "no chunks"],
)
def test_what_does_not_end_is_left(serve: Serve) -> None:
    found, entries, _ = listed(serve)
    assert found.why in (Reason.PROTOCOL, Reason.LIMIT)
    assert entries == []


# -- redirects of the root ---------------------------------------------------------------------------------------------


def moved(places: dict[bytes, bytes]) -> Serve:
    def serve(_method: bytes, target: bytes) -> list[bytes]:
        if target in places:
            return [response(b"", 302, b"Location: " + places[target])]
        return [response(page("a.dcm"))]

    return serve


@pytest.mark.parametrize("location", [b"/dicom/", b"http://198.18.0.1:8080/dicom/", b"http://pacs.example:8080/dicom/"])
def test_the_root_may_lie_elsewhere_on_the_same_server(location: bytes) -> None:
    found, entries, asked = listed(moved({b"/": location}))
    assert (found, [entry.name for entry in entries], asked) == (Listed(), [b"a.dcm"], [b"/", b"/dicom/"])


@pytest.mark.parametrize(
    "location",
    [
        *(b"http://198.18.0.9:8080/dicom/", b"http://other.example/", b"//other.example/", b"https://pacs.example/"),
        *(b"ftp://pacs.example:8080/", b"/login?next=/", b"http://pacs.example:99999/", b"http://[::1/", b"/", b""),
        b"\xff\xfe/",
    ],
)
def test_a_redirect_out_of_the_origin_is_not_followed(location: bytes) -> None:
    found, entries, asked = listed(moved({b"/": location}))
    assert (found, entries, asked) == (Listed(Reason.PROTOCOL), [], [b"/"])


def test_redirects_in_a_circle_end() -> None:
    found, entries, asked = listed(moved({b"/": b"/a/", b"/a/": b"/b/", b"/b/": b"/"}))
    assert (found, entries) == (Listed(Reason.PROTOCOL), [])
    assert len(asked) <= 3


# -- pieces of files ---------------------------------------------------------------------------------------------------


def read(serve: Serve, *wanted: Wanted) -> tuple[list[bytes | Reason], list[bytes]]:
    tree = ListingTree(Client(HERE), HERE)
    pieces, asked = streamed(tree.read(wanted), serve)
    return list(pieces), asked


def test_pieces_come_in_their_order() -> None:
    def serve(_method: bytes, target: bytes) -> list[bytes]:
        return [response(FILE[:4] + target, 206)]

    wanted = [Wanted((b"SYNTHETIC 0", b"IM%d" % number), 0, 100) for number in range(40)]
    pieces, asked = read(serve, *wanted)
    assert asked == [b"/SYNTHETIC%%200/IM%d" % number for number in range(40)]
    assert pieces == [FILE[:4] + target for target in asked]


@pytest.mark.parametrize(
    ("answer", "piece"),
    [
        (response(FILE[128:132], 206), FILE[128:132]),
        (response(FILE), FILE[128:132]),
        (response(b"", 416), b""),
        (response(FILE[:100]), b""),
        (response(b"", 401), Reason.AUTH),
        (response(b"", 404), Reason.EMPTY),
        (response(b"", 429), Reason.LIMIT),
        (response(b"", 302, b"Location: http://other.example/"), Reason.PROTOCOL),
        (b"\0\0\0\0", Reason.PROTOCOL),
    ],
)
def test_a_piece_or_why_there_is_none(answer: bytes, piece: bytes | Reason) -> None:
    assert read(always(answer), Wanted((b"a",), 128, 4))[0] == [piece]


def test_of_a_file_that_comes_whole_no_more_is_held_than_was_wanted() -> None:
    def serve(_method: bytes, _target: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n" % (1 << 40)
        yield from repeat(BLOCK, 1 << 20)

    pieces, asked = read(serve, Wanted((b"a",), 0, 132), Wanted((b"b",), 0, 132))
    assert pieces == [BLOCK[:132], BLOCK[:132]]
    assert asked == [b"/a", b"/b"]


def test_a_target_that_is_too_long_is_not_asked_for() -> None:
    deep = (b"\xff" * 1000,) * 4
    pieces, asked = read(always(response(FILE, 206)), Wanted(deep, 0, 4), Wanted((b"a",), 0, 4))
    assert (pieces, asked) == ([Reason.LIMIT, FILE[:4]], [b"/a"])
    assert listed(always(response(page())), deep)[::2] == (Listed(Reason.LIMIT), [])


def test_no_more_requests_go_out_than_there_are_left() -> None:
    assert listed(always(response(page())), requests=0)[::2] == (Listed(Reason.LIMIT), [])
    tree = ListingTree(Client(HERE, requests=1), HERE)
    pieces, asked = streamed(tree.read([Wanted((b"a",), 0, 4), Wanted((b"b",), 0, 4)]), always(response(b"abcd", 206)))
    assert (list(pieces), asked) == ([b"abcd", Reason.LIMIT], [b"/a"])


def test_what_ends_the_connection_goes_through() -> None:
    steps = ListingTree(Client(HERE), HERE).list((), lambda _entry: True)
    next(steps)
    with pytest.raises(Lost):
        steps.throw(Lost(Reason.TIMEOUT))
