"""The stateless SYN sweep: IPv4, at the limit of the kernel, in plain Python and numpy.

    engine ─► asking ─► source, cookie, packets ─► sender ─► the kernel
       │                                                        │
       └────► hearing ◄─ answers ◄─ ring ◄─ filter ◄────────────┘
                 └────► flight: one byte a target

`cookie`, `packets`, `answers`, `filter`, `bucket` and `flight` open nothing and read no clock of their own.
"""

from leadapron.net.syn.engine import SynEngine
from leadapron.net.syn.piece import LATER, Closed, Later, Piece, Sink, SynSettings, SynStats
from leadapron.net.syn.raw import can_sweep_raw

__all__ = [
    "LATER",
    "Closed",
    "Later",
    "Piece",
    "Sink",
    "SynEngine",
    "SynSettings",
    "SynStats",
    "can_sweep_raw",
]
