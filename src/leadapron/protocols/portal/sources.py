"""Where an OHIF viewer takes its data from, as its `app-config.js` says. Only what lies on the same server is ever asked.

The roots are a peer's text: they live within one job, and leave it as numbers.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin

from leadapron.model import Endpoint
from leadapron.protocols.dicomweb.finding import AETS, BASES
from leadapron.protocols.http.front import where_it_leads
from leadapron.protocols.http.web import Leads

MAX_CONFIG = 256 << 10
"""Bytes of a configuration that are read."""
MAX_ROOTS = 4
"""Roots on the same server that are asked."""

_COMMENT = re.compile(rb"^[ \t]*//[^\n]*$|/\*.{0,4096}?\*/", re.MULTILINE | re.DOTALL)
_ROOT = re.compile(rb"\bqidoRoot[\"']?\s{0,20}:\s{0,20}([\"'`])([!-~]{1,500}?)\1")
_PLAIN = re.compile(rb"(?:/[A-Za-z0-9._~-]{1,64}){0,12}")


class Sources(NamedTuple):
    here: tuple[str, ...]
    """paths on this server, without a slash at their end; "" is its root"""
    elsewhere: int


def sources(config: bytes, page: str, endpoint: Endpoint) -> Sources:
    """The roots of QIDO-RS in a configuration that lies beside `page`. Never raises."""
    here: dict[str, None] = {}
    elsewhere = 0
    for found in _ROOT.finditer(_COMMENT.sub(b"", config[:MAX_CONFIG])):
        path = _here(found[2].decode("ascii"), page, endpoint)
        if path is None:
            elsewhere += 1
        else:
            here[path] = None
    return Sources(tuple(here)[:MAX_ROOTS], elsewhere)


def _here(root: str, page: str, endpoint: Endpoint) -> str | None:
    """Its path on this server; None where it is on another, and for one that is more than a plain path."""
    try:
        joined = urljoin(page, root)
    except ValueError:
        return None
    leads, target = where_it_leads(joined.encode(), endpoint)
    path = target.rstrip(b"/")
    return path.decode() if leads is Leads.HERE and target and _PLAIN.fullmatch(path) else None


def is_looked_at(root: str) -> bool:
    """Whether the door of DICOMweb asks it anyway."""
    return root in BASES or root.startswith(f"{AETS}/")
