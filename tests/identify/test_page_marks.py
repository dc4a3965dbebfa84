"""The marks of web pages: each is told by its example, and icons by both of their hashes."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.identify.catalogue import PageMark, page_marks
from leadapron.identify.match import CONFIDENCES
from leadapron.identify.pages import icon_mmh3, match_page, murmur3
from leadapron.model import Product
from leadapron.protocols.base import Page

PORTAL = (Path(__file__).parents[2] / "docs" / "portal.md").read_text("utf-8")
ICON = b"\0\0\1\0an icon that is none"
HASHES = frozenset({"icon", "icon_mmh3"})

each_mark = pytest.mark.parametrize(
    "mark", page_marks(), ids=[f"{mark.id}-{mark.where}-{place}" for place, mark in enumerate(page_marks())]
)


def page_of(mark: PageMark) -> Page:
    """A page that shows the example of a mark, where it looks for it."""
    example = mark.example.encode()
    if mark.where == "title":
        return Page(status=200, body=b"<html><head><title>" + example + b"</title></head></html>")
    if mark.where == "body":
        return Page(status=200, body=b"<html><body>" + example + b"</body></html>")
    return Page(status=200, fields=[(mark.where.encode(), example)])


@each_mark
def test_the_example_of_a_mark_is_recognised(mark: PageMark) -> None:
    if mark.where in HASHES:
        assert re.fullmatch("[0-9a-f]{32}" if mark.where == "icon" else "-?[0-9]{1,10}", mark.example)
        assert mark.pattern.fullmatch(mark.example.encode())
        return
    found = match_page(page_of(mark))

    if mark.role == "toolkit":
        assert found.toolkit == f"{mark.name} {mark.reads}".strip()
    else:
        assert mark.name in (found.name, *found.candidates)
        assert not found.name or found.version == mark.reads


@each_mark
def test_a_mark_says_where_it_is_known_from_and_how(mark: PageMark) -> None:
    assert mark.confidence in CONFIDENCES
    assert "/" in mark.source or "." in mark.source, "a place that can be looked up"
    assert "recall" not in mark.source


@each_mark
def test_a_mark_does_not_fit_what_says_nothing(mark: PageMark) -> None:
    for text in (b"", b"Welcome", b"<html><body><h1>It works!</h1></body></html>"):
        assert mark.pattern.search(text) is None


def test_only_a_page_that_a_honeypot_copies_is_of_two_products() -> None:
    """A tie is no guess: what shows the copied page is neither."""
    ties = {
        found.candidates for mark in page_marks() if mark.where not in HASHES if (found := match_page(page_of(mark)))
    }
    assert ties == {(), ("DICOMHawk", "Fujifilm Synapse PACS")}


def test_every_portal_is_a_line_of_the_documentation_and_every_line_is_a_portal() -> None:
    folder = resources.files("leadapron.protocols") / "portal" / "products"
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    documented = re.findall(r"^\| `([a-z0-9-]+)` \|", PORTAL.partition("## What is recognised")[2], re.MULTILINE)
    assert sorted(f"{name}.toml" for name in documented) == files


@pytest.mark.parametrize(
    ("data", "seed", "number"),
    [
        (b"", 0, 0x00000000),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B),
        (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634),
        (b"\x21\x43", 0, 0xA0F7B07A),
        (b"\x21", 0, 0x72661CF4),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"\0", 0, 0x514E28B7),
        (b"hello", 0, 0x248BFA47),
        (b"hello, world", 0, 0x149BBB7F),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)
def test_murmur3_gives_the_published_vectors(data: bytes, seed: int, number: int) -> None:
    assert murmur3(data, seed) == number


def test_the_hash_of_an_icon_is_of_its_base64_in_lines_and_signed() -> None:
    """The number that the `mmh3` package (5.2) gives for `codecs.encode(icon, "base64")`."""
    assert icon_mmh3(bytes(range(256)) * 3) == 1836528006
    assert b"\n" in base64.encodebytes(bytes(60)).strip()


@given(st.binary(max_size=400))
def test_the_hash_of_any_icon_is_a_signed_number_of_32_bits(icon: bytes) -> None:
    assert -(1 << 31) <= icon_mmh3(icon) < 1 << 31


@pytest.mark.parametrize(
    ("where", "number"),
    [("icon", hashlib.md5(ICON, usedforsecurity=False).hexdigest()), ("icon_mmh3", str(icon_mmh3(ICON)))],
)
def test_an_icon_is_told_by_either_hash(where: str, number: str) -> None:
    (orthanc, *_) = [mark for mark in page_marks() if mark.where == "icon"]
    mark = replace(orthanc, where=where, pattern=re.compile(f"^{number}$".encode()))

    assert match_page(Page(status=200, icon=ICON), [mark]).name == mark.name
    assert match_page(Page(status=200, icon=ICON + b"x"), [mark]) == Product()
    assert match_page(Page(status=200), [mark]) == Product()


def test_the_largest_icon_is_hashed_in_bounded_time() -> None:
    began = time.process_time()
    icon_mmh3(bytes(64 << 10))
    assert time.process_time() - began < 1.0


@given(
    st.binary(max_size=300), st.lists(st.tuples(st.just(b"server"), st.binary(max_size=40)), max_size=3), st.binary()
)
def test_any_page_gives_a_result_in_our_own_words(body: bytes, fields: list[tuple[bytes, bytes]], icon: bytes) -> None:
    found = match_page(Page(status=200, fields=fields, body=body, icon=icon))
    names = {mark.name for mark in page_marks()}

    assert {found.name, *found.candidates} <= names | {""}
    assert not found.toolkit or any(found.toolkit.startswith(name) for name in names)
    assert re.fullmatch(r"[0-9A-Za-z.,-]{0,54}", found.version)


@pytest.mark.parametrize(
    "filler", [b"<title", b"<title>", b"<meta ", b'<meta name="application-name" ', b"JBoss-", b" "]
)
def test_a_page_of_one_word_over_and_over_is_looked_at_in_bounded_time(filler: bytes) -> None:
    body = filler * ((256 << 10) // len(filler))
    began = time.process_time()
    match_page(Page(status=200, fields=[(b"server", body[: 16 << 10])], body=body))
    assert time.process_time() - began < 5.0
