"""From a web page to a product: by its title, its header fields, its body, its icon. Nothing that a peer sent comes out, as
in `leadapron.identify.match`."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable

from leadapron.identify.catalogue import PageMark, page_marks
from leadapron.model import Product
from leadapron.protocols.base import Page

LOOKED_AT = 256 << 10
"""Bytes of a body."""
_TITLE = re.compile(rb"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_VERSION = re.compile(rb"[0-9A-Za-z]{1,8}(?:[.,-][0-9A-Za-z]{1,8}){0,5}")


def match_page(page: Page, catalogue: Iterable[PageMark] | None = None) -> Product:
    """A product of which all marks that fit are: with several, none, and all of them are candidates. Web servers and
    frameworks (`toolkit`) are told beside the product."""
    seen: dict[str, list[bytes]] = {}
    fitting: list[tuple[PageMark, str]] = []
    for mark in page_marks() if catalogue is None else catalogue:
        texts = seen.setdefault(mark.where, _PLACES.get(mark.where, _field(mark.where))(page))
        found = next((found for text in texts if (found := mark.pattern.search(text)) is not None), None)
        if found is not None:
            fitting.append((mark, _version(found)))
    products = [each for each in fitting if each[0].role != "toolkit"]
    toolkit = _named([each for each in fitting if each[0].role == "toolkit"])
    names = sorted({mark.name for mark, _ in products})
    if len(names) != 1:
        return Product(candidates=tuple(names), toolkit=toolkit)
    best = min(products, key=lambda each: (not each[1], _CONFIDENCES.index(each[0].confidence)))
    return Product(name=names[0], version=best[1], confidence=best[0].confidence, toolkit=toolkit)


_CONFIDENCES = ("source", "sample", "table", "secondary")


def _named(toolkits: list[tuple[PageMark, str]]) -> str:
    """The first by its name, with the version that it states."""
    texts = sorted(f"{mark.name} {version}".strip() for mark, version in toolkits)
    return texts[0] if texts else ""


def _version(found: re.Match[bytes]) -> str:
    text = b".".join(group for group in found.groups() if group)
    return text.decode("ascii") if _VERSION.fullmatch(text) else ""


def _title(page: Page) -> list[bytes]:
    found = _TITLE.search(page.body[:LOOKED_AT])
    return [] if found is None else [html.unescape(found[1].decode("utf-8", "replace")).strip().encode()]


def _icon(page: Page) -> list[bytes]:
    return [hashlib.md5(page.icon, usedforsecurity=False).hexdigest().encode()] if page.icon else []


def _icon_mmh3(page: Page) -> list[bytes]:
    return [str(icon_mmh3(page.icon)).encode()] if page.icon else []


def icon_mmh3(icon: bytes) -> int:
    """The hash under which search engines keep icons: of its Base64 in lines of 76 characters (RFC 2045), signed."""
    number = murmur3(base64.encodebytes(icon))
    return number - (1 << 32) if number >> 31 else number


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 for 32 bits (Austin Appleby, `MurmurHash3_x86_32`), unsigned."""
    state = seed
    blocks = len(data) & ~3
    for place in range(0, blocks, 4):
        state = _rotated(state ^ _scrambled(int.from_bytes(data[place : place + 4], "little")), 13)
        state = (state * 5 + 0xE6546B64) & _MASK
    state ^= _scrambled(int.from_bytes(data[blocks:], "little"))
    state ^= len(data)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & _MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & _MASK
    return state ^ state >> 16


_MASK = 0xFFFFFFFF


def _scrambled(block: int) -> int:
    return (_rotated((block * 0xCC9E2D51) & _MASK, 15) * 0x1B873593) & _MASK


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> 32 - bits) & _MASK


def _field(name: str) -> Callable[[Page], list[bytes]]:
    return lambda page: [value for each, value in page.fields if each == name.encode()]


_PLACES: dict[str, Callable[[Page], list[bytes]]] = {
    "title": _title,
    "icon": _icon,
    "icon_mmh3": _icon_mmh3,
    "body": lambda page: [page.body[:LOOKED_AT]],
}
