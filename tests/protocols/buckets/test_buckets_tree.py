"""A bucket as a tree: every key is found where its slashes put it, and no peer holds the walk up for ever."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from ipaddress import ip_address
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversing import Server, converse
from leadapron.model import Endpoint, Reason
from leadapron.protocols.buckets.tree import MAX_BARREN, BucketTree
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Tree, Wanted, is_a_name
from leadapron.protocols.http.exchange import Client
from leadapron.scope.parse import bucket
from protocols.buckets.made_up_store import MadeUpStore, response

T = TypeVar("T")

HERE = Endpoint(address=ip_address("10.0.0.5"), port=9000)
SCANS = bucket("s3://scans@http://10.0.0.5:9000")


def tree(requests: int = 1000) -> BucketTree:
    return BucketTree(Client(HERE, requests=requests), SCANS)


def run(steps: Generator[bytes, bytes, T], server: Server, piece: int = 1 << 16) -> T:
    return converse(steps, server, piece=piece)[0]


def listed(
    store: Server, folder: Path = (), *, inside: BucketTree | None = None, most: int = 10**6, piece: int = 1 << 16
) -> tuple[Listed, list[Entry]]:
    entries: list[Entry] = []

    def take(entry: Entry) -> bool:
        entries.append(entry)
        return len(entries) < most

    return run((inside or tree()).list(folder, take), store, piece), entries


def all_files(store: Server, inside: BucketTree) -> dict[Path, int | None]:
    found: dict[Path, int | None] = {}
    queue: list[Path] = [()]
    while queue:
        folder = queue.pop()
        why, entries = listed(store, folder, inside=inside)
        assert why == Listed()
        for entry in entries:
            path = (*folder, entry.name)
            if entry.kind is Kind.FOLDER:
                queue.append(path)
            else:
                found[path] = entry.size
    return found


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("Cc", "Cs")), min_size=1, max_size=5
)
keys = st.lists(names.filter(lambda name: name not in (".", "..") and name.isprintable()), min_size=1, max_size=3)


@given(st.lists(keys, max_size=12), st.integers(1, 4), st.integers(1, 3000))
def test_every_object_is_found_where_its_key_puts_it(made: list[list[str]], page: int, piece: int) -> None:
    paths = {tuple(part.encode() for part in parts) for parts in made}
    store = MadeUpStore({b"/".join(path): b"x" * len(path) for path in paths}, page=page)
    inside = tree()
    assert all_files(store, inside) == {path: len(path) for path in paths}
    assert inside.odd == 0
    why, _ = listed(store, (), piece=piece)
    assert why == Listed()


def test_the_mark_of_a_folder_is_no_file() -> None:
    store = MadeUpStore({b"a/": b"", b"a/b.dcm": b"x"})
    body = store.listing({"prefix": "a/", "max-keys": "1000"})
    assert b"<Key>a/</Key>" in body
    assert listed(store, (b"a",)) == (Listed(), [Entry(b"b.dcm", Kind.FILE, 1)])


@pytest.mark.parametrize("key", ["../x.dcm", "/x.dcm", "./x", "a//b", "x" * 1025, ".."])
def test_a_key_that_is_no_path_is_counted_and_left_alone(key: str) -> None:
    store = MadeUpStore({key.encode(): b"x", b"good.dcm": b"x"})
    inside = tree()
    folder: Path = (b"a",) if key.startswith("a/") else ()
    _, entries = listed(store, folder, inside=inside)
    assert [entry.name for entry in entries] == ([] if folder else [b"good.dcm"])
    assert inside.odd == 1
    assert not any(b".." in target for _, target in store.asked)


def page_of(inner: str) -> tuple[bytes, bool]:
    return response(200, f"<ListBucketResult>{inner}</ListBucketResult>".encode()), True


def truncated(token: object, inner: str = "") -> tuple[bytes, bool]:
    return page_of(f"{inner}<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")


def test_a_listing_that_turns_in_a_circle_ends() -> None:
    assert listed(lambda _: truncated("same", "<Contents><Key>x</Key></Contents>"))[0] == Listed(Reason.LIMIT)


def test_empty_pages_without_end_end() -> None:
    numbers = itertools.count()
    assert listed(lambda _: truncated(next(numbers)))[0] == Listed(Reason.LIMIT)
    assert next(numbers) == MAX_BARREN + 1


def test_pages_without_end_end_with_the_budget_or_with_who_takes() -> None:
    numbers = itertools.count()

    def endless(_: bytes) -> tuple[bytes, bool]:
        number = next(numbers)
        return truncated(number, f"<Contents><Key>{number}</Key></Contents>")

    why, entries = listed(endless, inside=tree(requests=20))
    assert (why, len(entries)) == (Listed(Reason.LIMIT), 20)
    why, entries = listed(endless, most=7)
    assert (why, len(entries)) == (Listed(Reason.STOPPED), 7)


def test_keys_outside_of_the_folder_are_odd() -> None:
    inside = tree()
    page = page_of(
        "<Contents><Key>a/x</Key></Contents><Contents><Key>b/x</Key></Contents><Contents><Key>a/b/x</Key></Contents>"
        "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>a/d</Prefix></CommonPrefixes>"
    )
    _, entries = listed(lambda _: page, (b"a",), inside=inside)
    assert entries == [Entry(b"x", Kind.FILE)]
    assert inside.odd == 4


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (response(403, b"<Error><Code>AccessDenied</Code></Error>"), Reason.AUTH),
        (response(404, b"<Error><Code>NoSuchBucket</Code></Error>"), Reason.EMPTY),
        (
            response(301, b"", b"x-amz-bucket-region: eu-west-1", b"Location: http://192.0.2.1/scans"),
            Reason.OUT_OF_SCOPE,
        ),
        (response(503, b"<Error><Code>SlowDown</Code></Error>"), Reason.LIMIT),
        (response(500), Reason.PROTOCOL),
        (response(200, b"<html>a page</html>", b"Content-Type: application/xml"), Reason.PROTOCOL),
        (response(200, b'{"items": []}', b"Content-Type: application/json"), Reason.PROTOCOL),
        (response(200, b"<!DOCTYPE a><ListBucketResult/>"), Reason.PROTOCOL),
        (response(200, b"<ListBucketResult>", length=1000), Reason.TRUNCATED),
        (response(200, b"x" * 1000, length=1 << 30), Reason.TRUNCATED),
        (b"SSH-2.0-x\r\n\r\n", Reason.PROTOCOL),
        (b"", Reason.RESET),
    ],
)
def test_what_is_no_listing_says_why(answer: bytes, why: Reason) -> None:
    assert listed(lambda _: (answer, False)) == (Listed(why), [])


def test_a_page_that_is_larger_than_any_page_is_a_limit() -> None:
    body = b"<ListBucketResult>" + b"<!-- x -->" * (2 << 20)
    assert listed(lambda _: (response(200, body), False))[0] == Listed(Reason.LIMIT)


# -- pieces -------------------------------------------------------------------------------------------------------------


def test_pieces_come_in_their_order_with_a_reason_where_there_is_none() -> None:
    store = MadeUpStore({b"a b/x%.dcm": b"0123456789", b"shut": b"x"}, closed=frozenset({b"shut"}))
    wanted = [
        Wanted((b"a b", b"x%.dcm"), 2, 4),
        Wanted((b"shut",), 0, 4),
        Wanted((b"gone",), 0, 4),
        Wanted((b"a b", b"x%.dcm"), 10, 4),
        Wanted((b"a b", b"x%.dcm"), 8, 4),
    ]
    assert run(tree().read(wanted), store) == [b"2345", Reason.AUTH, Reason.EMPTY, b"", b"89"]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (500, Reason.PROTOCOL),
        (409, Reason.PROTOCOL),
        *((status, Reason.LIMIT) for status in (413, 414, 429, 503)),
        *((status, Reason.AUTH) for status in (401, 403, 407, 511)),
        *((status, Reason.EMPTY) for status in (404, 410)),
    ],
)
def test_a_status_that_is_no_piece_says_why(status: int, why: Reason) -> None:
    assert run(tree().read([Wanted((b"x",), 0, 4)]), lambda _: (response(status), True)) == [why]


def test_what_the_budget_leaves_is_a_limit() -> None:
    store = MadeUpStore({b"x": b"0123"})
    pieces = run(tree(requests=1).read([Wanted((b"x",), 0, 4)] * 2), store)
    assert pieces == [b"0123", Reason.LIMIT] or pieces == [Reason.LIMIT, Reason.LIMIT]


@given(st.binary(max_size=400))
def test_any_answer_is_an_end(answer: bytes) -> None:
    entries: list[Entry] = []
    inside: Tree = tree()
    why = run(inside.list((), lambda entry: bool(entries.append(entry)) or True), lambda _: (answer, False))
    assert isinstance(why, Listed)
    assert all(is_a_name(entry.name) for entry in entries)


@given(st.binary(max_size=300))
def test_any_body_of_a_page_is_an_end(body: bytes) -> None:
    assert isinstance(listed(lambda _: (response(200, body), True), inside=tree(requests=5))[0], Listed)
