"""From implementation class UID and version name to a product, or to candidates: a tie is no guess.

The UID names whoever compiled the stack, which is often an unmodified toolkit (Orthanc shows itself as DCMTK). So
toolkit and product are told apart. Nothing that a peer sent comes out: names are the catalogue's, a version is made of
what the groups of a matching pattern caught, in a closed character set.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from leadapron.identify.catalogue import Fingerprint, fingerprints
from leadapron.model import Product

_VERSION = re.compile(rb"[0-9A-Za-z]{1,8}(?:[.,-][0-9A-Za-z]{1,8}){0,5}")
MAX_TITLES = 5


def match(
    implementation_uid: str | None,
    version_name: bytes | None,
    *,
    called_titles: Collection[str] = (),
    port: int | None = None,  # noqa: ARG001 - weighs ties in later catalogues
) -> Product:
    """What the peer is. `called_titles`: the titles, not those of nobody, that it let in."""
    fitting = [entry for entry in _longest(implementation_uid or "") if _fits(entry, version_name)]
    toolkits = [entry for entry in fitting if entry.role == "toolkit"]
    products = [entry for entry in fitting if entry.role != "toolkit"]
    certain = [entry for entry in products if _is_certain(entry, called_titles)]
    toolkit = toolkits[0] if len(toolkits) == 1 else None
    toolkit_name = f"{toolkit.name} {_version(toolkit, version_name)}".strip() if toolkit else ""
    if len(certain) == 1:
        product = certain[0]
        return Product(
            name=product.name,
            version=_version(product, version_name),
            confidence="secondary" if product.needs_title else product.confidence,
            toolkit=toolkit_name,
        )
    candidates = tuple(sorted({entry.name for entry in products}))
    return Product(toolkit=toolkit_name, confidence=toolkit.confidence if toolkit else "", candidates=candidates)


def default_titles() -> tuple[str, ...]:
    """Documented default called titles, at most five, for scopes with `well_known_titles = true`."""
    titles = dict.fromkeys(title for entry in fingerprints() for title in entry.default_titles)
    return tuple(titles)[:MAX_TITLES]


def _longest(uid: str) -> list[Fingerprint]:
    """The entries with the longest prefix of `uid` that is whole or ends at a dot."""
    found = [entry for entry in fingerprints() if f"{uid}.".startswith(f"{entry.uid_prefix}.")]
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
