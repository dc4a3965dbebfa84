"""From implementation class UID and version name to a product, or to candidates: a tie is no guess.

The UID names whoever compiled the stack, which is often an unmodified toolkit (Orthanc shows itself as DCMTK). So
toolkit and product are told apart. Nothing that a peer sent comes out: names are the catalogue's, a version is made of
what the groups of a matching pattern caught, in a closed character set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from leadapron.identify.catalogue import Fingerprint, fingerprints
from leadapron.identify.pages import match_page
from leadapron.model import Product

_VERSION = re.compile(rb"[0-9A-Za-z]{1,8}(?:[.,-][0-9A-Za-z]{1,8}){0,5}")
MAX_TITLES = 5
CONFIDENCES = ("source", "sample", "table", "secondary")
"""The best first."""


def match(
    implementation_uid: str | None,
    version_name: bytes | None,
    *,
    called_titles: Collection[str] = (),
    port: int | None = None,  # noqa: ARG001 - weighs ties in later catalogues
    catalogue: Iterable[Fingerprint] | None = None,
) -> Product:
    """What the peer is. `called_titles`: the titles, not those of nobody, that it let in.

    `catalogue`, in whatever order: the shipped one, unless another is given.
    """
    entries = fingerprints() if catalogue is None else catalogue
    fitting = [entry for entry in _longest(entries, implementation_uid or "") if _fits(entry, version_name)]
    certain = [entry for entry in fitting if _is_certain(entry, called_titles)]
    toolkit = _only(entry for entry in certain if entry.role == "toolkit")
    toolkit_name = f"{toolkit.name} {_version(toolkit, version_name)}".strip() if toolkit else ""
    product = _only(entry for entry in certain if entry.role != "toolkit")
    if product is not None:
        return Product(
            name=product.name,
            version=_version(product, version_name),
            confidence="secondary" if product.needs_title else product.confidence,
            toolkit=toolkit_name,
        )
    candidates = tuple(sorted({entry.name for entry in fitting if toolkit is None or entry.id != toolkit.id}))
    return Product(toolkit=toolkit_name, confidence=toolkit.confidence if toolkit else "", candidates=candidates)


def _only(entries: Iterable[Fingerprint]) -> Fingerprint | None:
    """The entry of the one product that is left, the most exact of several; None where two products are left."""
    left = sorted(entries, key=_exactness)
    return left[0] if left and len({entry.id for entry in left}) == 1 else None


def _exactness(entry: Fingerprint) -> tuple[bool, int, bool, bytes, tuple[str, str, str]]:
    pattern = entry.version.pattern if entry.version else b""
    return not pattern, CONFIDENCES.index(entry.confidence), entry.needs_title, pattern, entry.examples


def default_titles() -> tuple[str, ...]:
    """Documented default called titles, at most five, for scopes with `well_known_titles = true`."""
    titles = dict.fromkeys(title for entry in fingerprints() for title in entry.default_titles)
    return tuple(titles)[:MAX_TITLES]


def _longest(entries: Iterable[Fingerprint], uid: str) -> list[Fingerprint]:
    """The entries with the longest prefix of `uid` that is whole or ends at a dot."""
    found = [entry for entry in entries if f"{uid}.".startswith(f"{entry.uid_prefix}.")]
    longest = max((len(entry.uid_prefix) for entry in found), default=0)
    return [entry for entry in found if len(entry.uid_prefix) == longest]


def _fits(entry: Fingerprint, version_name: bytes | None) -> bool:
    return version_name is None or entry.version is None or entry.version.fullmatch(version_name) is not None


def _is_certain(entry: Fingerprint, called_titles: Collection[str]) -> bool:
    if entry.needs_title:
        return any(title in entry.default_titles for title in called_titles)
    return not entry.ambiguous


def _version(entry: Fingerprint, version_name: bytes | None) -> str:
    if version_name is None or entry.version is None:
        return ""
    caught = entry.version.fullmatch(version_name)
    if caught is None or not caught.groups():
        return ""
    text = b".".join(group for group in caught.groups() if group)
    return text.decode("ascii") if _VERSION.fullmatch(text) else ""


class _Identify:
    """Both ways to tell a product, as the protocols want them. There is one, also behind a pickle."""

    def __reduce__(self) -> str:
        return "IDENTIFY"

    __call__ = staticmethod(match)
    page = staticmethod(match_page)


IDENTIFY = _Identify()
