"""What may be kept of a version that a server states in a text of its own."""

from __future__ import annotations

import re

_VERSION = re.compile(
    r"([0-9]{1,5}(?:\.[0-9]{1,6}){0,4}[a-z]?(?:[-.](?:SNAPSHOT|RELEASE|Final|alpha|beta|rc)[.-]?[0-9]{0,3})?)"
    r"(?:[-+.~ ][!-~]{0,40})?"
)
_WITHOUT_NUMBER = frozenset({"mainline"})
"""Builds of Orthanc between two versions."""


def stated_version(value: object) -> str:
    """Its numbers, and what is known to stand behind them; "" for any other text. Behind a number may stand what its
    operator wrote there, and a word of letters and digits may be a name: neither is kept."""
    if not isinstance(value, str):
        return ""
    if value in _WITHOUT_NUMBER:
        return value
    found = _VERSION.fullmatch(value)
    return found[1] if found is not None else ""
