"""From a web page to a product: by its title, its header fields, its body, its icon. Nothing that a peer sent comes out, as
in `leadapron.identify.match`."""

from __future__ import annotations

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


def _field(name: str) -> Callable[[Page], list[bytes]]:
    return lambda page: [value for each, value in page.fields if each == name.encode()]


_PLACES: dict[str, Callable[[Page], list[bytes]]] = {
    "title": _title,
    "icon": _icon,
    "body": lambda page: [page.body[:LOOKED_AT]],
}
