"""What goes into a sweep and what comes out of it: pieces, what became of them, settings, figures."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from leadapron.net.target import Outcome

SOURCE_PORTS = range(61000, 65536)
"""Above what Linux gives to its own connections unless it is told otherwise (32768 to 60999)."""

Addresses = npt.NDArray[np.uint32]
"""IPv4, in host order."""
Ports = npt.NDArray[np.uint16]
"""In host order."""


class Later(enum.Enum):
    LATER = "later"


LATER: Final = Later.LATER
"""In place of a piece: there is none right now, ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Targets at consecutive indices [start, stop) of a permutation, those of them that may be asked."""

    start: int
    stop: int
    addresses: Addresses
    ports: Ports
    places: npt.NDArray[np.uint32]
    """ascending: index - start of each. Those of [0, stop - start) that are missing are not asked"""
    rate: float | None = None
    """packets a second at most while it is asked, where that is less than the settings say"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What became of a piece."""

    start: int
    stop: int
    outcomes: Mapping[Outcome, int]
    """CONNECTED, REFUSED, UNREACHABLE, and TIMEOUT: silent, and asked to the end"""
    refused: npt.NDArray[np.uint32]
    """places that refused"""
    waiting: npt.NDArray[np.uint32]
    """places of which nothing is known, to be asked again some time: denied at the last moment, stopped, not sent, or
    their answers may have been lost"""


NextPiece = Callable[[], Piece | Literal[Later.LATER] | None]
"""The next piece, LATER, or None when there are no more. Pieces in flight never overlap."""
IndexOf = Callable[[Addresses, Ports], npt.NDArray[np.int64]]
"""The inverse of the permutation; -1: not in the space."""
Permits = Callable[[Addresses, Ports], npt.NDArray[np.bool_]]
"""The gate, asked for each batch right before it is sent."""


class Sink(Protocol):
    def answered(self, start: int, hits: Sequence[tuple[int, int, int]]) -> None:
        """(place, address, port) that accepted, of the piece at `start`, as they come; each once."""

    def closed(self, closed: Closed) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SynSettings:
    """How to ask. A packet is `packets.SIZE` bytes long as IP counts; the lower of the two rates holds."""

    packets_per_second: float
    bits_per_second: float | None = None
    """of IP packets, without the headers of the link"""
    probes: int = 1
    """how often a target is asked that does not answer"""
    cooldown: float = 8.0
    """seconds from the last question of a piece until silence counts"""
    source: IPv4Address | None = None
    """None: what the kernel would use on the way to each target"""
    source_ports: range = SOURCE_PORTS

    def __post_init__(self) -> None:
        if not (self.packets_per_second > 0 and (self.bits_per_second is None or self.bits_per_second > 0)):
            raise ValueError("a rate is greater than 0")
        if self.probes < 1 or self.cooldown < 0:
            raise ValueError("at least one probe, and no cool-down below 0")
        ports = self.source_ports
        if not ports or ports.step != 1 or ports.start < 1 or ports.stop > 65536:
            raise ValueError("source ports are a range within 1 to 65535")


@dataclass(frozen=True, slots=True, kw_only=True)
class SynStats:
    """What a sweep did, and what this machine let it do. Packets, but for `lost`."""

    sent: int
    sent_bytes: int
    """as IP counts"""
    accepted: int
    refused: int
    unreachable: int
    """answers that came in time, duplicates included"""
    duplicates: int
    late: int
    """valid, but their piece was closed"""
    invalid: int
    """not an answer to anything that this run asked"""
    dropped: int
    """answers that came while the ring was full"""
    lost: int
    """targets left waiting since answers to them may have been dropped, and asking again did not help"""
    not_sent: Mapping[str, int]
    """by the name of the `errno`; "denied": the gate said no at the last moment"""
    elapsed: float
    """seconds"""
    asking: float
    """seconds from the first packet to the last"""
    building: float
    sending: float
    receiving: float
    """seconds of processor time; `sending` of all threads that send"""
