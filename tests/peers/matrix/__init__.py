"""The matrix of doors: what each is tried on, open, locked and hostile, with the truth of what is to be seen there.

One module a door, of its name; `PEERS` are its real servers, `HOSTILE` those that mean harm. The truth is written by hand:
from what the server was given, and from the door's page. `tests/peers/test_matrix.py` audits all of them and compares;
`pages.py` writes the table of each door's page.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadapron.scope.doors import doors
from matrix.cells import Hostile, Peer, State

EXCUSED: Mapping[tuple[str, State], str] = {
    ("hl7", State.LOCKED): "MLLP knows no login, and whoever may not talk is not answered.",
    (
        "iscsi",
        State.LOCKED,
    ): "a lock is one of targets, and they are not asked for; tgt lets anyone ask which there are.",
}
"""Cells that a door does not have, and why."""
MADE_UP: Mapping[str, str] = {
    "hl7": "no server can be installed that says anything to a block without content",
}
"""Doors whose open and locked servers are ours, and why."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a door is tried on."""

    peers: Sequence[Peer]
    hostile: Sequence[Hostile]

    def states(self, *, real: bool = False) -> set[State]:
        """Of all servers, or of the real ones."""
        servers = self.peers if real else (*self.peers, *self.hostile)
        return {cell.state for each in servers for cell in each.cells if cell.state is not None}


def row(door: str) -> Row | None:
    """None: the door has no module here."""
    if importlib.util.find_spec(f"matrix.{door}") is None:
        return None
    module = importlib.import_module(f"matrix.{door}")
    return Row(peers=module.PEERS, hostile=module.HOSTILE)


def matrix() -> dict[str, Row]:
    """By door."""
    return {door: found for door in doors() if (found := row(door)) is not None}
