"""The world as it is: ranges, servers, boxes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from leadapron.lab.world.holdings import Holdings
from leadapron.lab.world.studies import Whose

PORTS = (104, 2761, 4242, 11112)
"""Where DICOM is looked for, and spoken in clear."""


class Kind(enum.Enum):
    """What a server does to a stranger."""

    OPEN = "open"
    BARE = "without study-level numbers"
    """as DCMTK's dcmqrscp"""
    MIRROR = "copies of another server"
    CAPS_AT_100 = "caps at 100"
    CAPS_AT_500 = "caps at 500"
    CAPS_AT_1000 = "caps at 1000"
    SLOW = "slow"
    DIES = "dies in the middle, for good"
    FALTERS = "dies in the middle, for a while"

    RESETS = "resets connections"
    REJECTS = "rejects associations"
    KNOWS_ITS_TITLE = "rejects an unknown called title"
    KNOWS_ITS_CALLERS = "rejects an unknown calling title"
    REFUSES = "refuses queries by status"
    ABORTS = "aborts queries"
    """as Orthanc"""

    @property
    def lists(self) -> bool:
        """Whether a stranger can list what it holds."""
        return self not in REFUSALS


CAPS = {Kind.CAPS_AT_100: 100, Kind.CAPS_AT_500: 500, Kind.CAPS_AT_1000: 1000}
REFUSALS = frozenset(
    (Kind.RESETS, Kind.REJECTS, Kind.KNOWS_ITS_TITLE, Kind.KNOWS_ITS_CALLERS, Kind.REFUSES, Kind.ABORTS)
)


class BoxKind(enum.Enum):
    """What every address of a range does at every port."""

    SILENT = "accepts and says nothing"
    HANGS_UP = "accepts and hangs up"
    ALIKE = "accepts associations, all alike"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Addresses of one country, of which nearly all are silent, or with `resets` refuse connections."""

    network: IPv4Network
    country: str
    resets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server at one endpoint. `holdings` also of those that show nobody what they hold.

    `pause`: seconds before each answer of a slow one; `per_second`: the answers that it then gives.
    """

    address: IPv4Address
    port: int
    country: str
    kind: Kind
    whose: Whose
    holdings: Holdings
    pause: float = 0.0
    per_second: float = 0.0

    @property
    def is_genuine(self) -> bool:
        return self.whose is Whose.PATIENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A range in which everything answers alike: no server stands there."""

    network: IPv4Network
    country: str
    kind: BoxKind


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`countries_by`: name, version and date of the database that says which country a range is in."""

    seed: int
    scale: int
    countries_by: str
    ranges: tuple[Range, ...]
    servers: tuple[Server, ...]
    boxes: tuple[Box, ...]

    @property
    def addresses(self) -> int:
        return sum(each.network.num_addresses for each in self.ranges)

    @property
    def exposed(self) -> tuple[Server, ...]:
        """What an audit has to find."""
        return tuple(server for server in self.servers if server.kind.lists)
