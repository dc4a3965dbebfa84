"""The Traffic Light Protocol 2.0 (FIRST): whom a report may be passed on to."""

from __future__ import annotations

from leadapron.errors import InputError
from leadapron.report.inert import plain

TLP = ("TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER", "TLP:GREEN", "TLP:CLEAR")

DEFAULT_TLP = "TLP:AMBER+STRICT"

PUBLIC_TLP = "TLP:CLEAR"
"""Of what was made for publication."""


def tlp_label(text: str) -> str:
    """One of `TLP`; the prefix may be left out, case makes no difference. Raises `InputError`."""
    label = f"TLP:{text.upper().removeprefix('TLP:')}"
    if label not in TLP:
        raise InputError(f"no marking {plain(text)!r}; choose one of {', '.join(TLP)}")
    return label
