"""The scope as the program knows it: who lets us go where, until when, how deep.

`load_scope` reads it from its file. Everything here has passed every check of `leadapron.scope.file`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

from leadapron.model import Depth, Vantage
from leadapron.scope.buckets import Bucket
from leadapron.scope.doors import doors_with_ports
from leadapron.scope.mmdb import Kind
from leadapron.scope.our_listener import OurListener
from leadapron.scope.window import Window

Network = IPv4Network | IPv6Network
"""Never an IPv4-mapped IPv6 network: those are written as IPv4."""

DEFAULT_SOURCE_PORTS = (61_000, 65_535)
"""Above those that Linux gives to connections by itself (`net.ipv4.ip_local_port_range`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    name: str
    email: str
    calling_aet: str = "LEADAPRON"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The file of one day that says which networks a country or an autonomous system has."""

    file: str
    """its name, without the folder"""
    kind: str
    """mmdb; or delegated: statistics of a regional internet registry"""
    title: str
    """what its maker calls it, or the registry"""
    date: dt.date
    """when it was built; the last day that it tells of"""
    sha256: str
    networks: int
    """that were taken from it: merged, and without special-purpose blocks"""
    addresses4: int
    """IPv4 addresses in them"""

    def __str__(self) -> str:
        made = f"{self.title}, {self.date}" if self.title else f"{self.date}"
        held = f"{self.networks:,} networks, {self.addresses4:,} IPv4 addresses"
        return f"{self.file} ({made}), SHA-256 {self.sha256}, {held}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A written authorisation."""

    id: str
    owner: str
    party: str = ""
    basis: str
    """owner, partner, statutory"""
    granted_by: str
    reference: str = ""
    document: str = ""
    """the file as the scope names it, relative to the scope file"""
    document_sha256: str = ""
    valid_from: dt.date
    """the first day (UTC) on which the grant holds"""
    valid_until: dt.date
    """the last day (UTC) on which the grant holds"""
    country: str = ""
    depth: Depth
    networks: tuple[Network, ...] = ()
    """where there is a snapshot, those that were taken from it"""
    countries: tuple[str, ...] = ()
    """ISO 3166-1 alpha-2: whose networks were taken"""
    as_numbers: tuple[int, ...] = ()
    snapshot: Snapshot | None = None
    names: tuple[str, ...] = ()
    """lower case, without the last dot"""
    buckets: tuple[Bucket, ...] = ()
    """and web folders: each opens one port of one address of its host, for questions about it alone"""
    exclude: tuple[Network, ...] = ()
    """holds against every grant, not only this one, in force or not"""
    wide: bool = False
    called_aets: tuple[str, ...] = ()
    calling_aets: tuple[str, ...] = ()
    well_known_titles: bool = False
    cleartext_census: bool = False
    blank_login: bool = False
    key_pair: tuple[Path, Path] | None = None
    """a client certificate and its key, in PEM: shown to servers of TLS that let nobody in without one"""

    @property
    def taken(self) -> tuple[str, ...]:
        """Whose networks come from the snapshot: `DE`, `AS64500`."""
        return (*self.countries, *(f"AS{number}" for number in self.as_numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Networks inside grants with gentler rules."""

    name: str
    networks: tuple[Network, ...]
    max_depth: Depth | None = None
    window: Window | None = None
    gap_seconds: float = 0.0
    """between two connections to any host of the zone"""

    def is_open(self, now: dt.datetime) -> bool:
        """Whether the zone may be touched at `now` (aware)."""
        return self.window is None or self.window.closes(now) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """By what images are told to be ours, wherever they lie."""

    uid_roots: tuple[str, ...] = ()
    """without their last dot"""
    issuers: tuple[str, ...] = ()
    """of patient IDs (PS3.3 C.7.1.1, Issuer of Patient ID)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports of targets, by door; every other port is denied. A door that is not named is not looked for."""

    by_door: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: default_ports())

    @classmethod
    def of(cls, **by_door: tuple[int, ...]) -> Ports:
        return cls(by_door=by_door)

    @property
    def all(self) -> tuple[int, ...]:
        """Each once."""
        return tuple(dict.fromkeys(port for ports in self.by_door.values() for port in ports))

    def doors_at(self, port: int) -> tuple[str, ...]:
        """The doors that are looked for at a port."""
        return tuple(name for name, ports in self.by_door.items() if port in ports)


def default_ports() -> dict[str, tuple[int, ...]]:
    return {name: door.ports for name, door in doors_with_ports().items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Connections a second: overall, and to one /24 (IPv4) or /48 (IPv6)."""

    connections_per_second: float = 500.0
    per_network: float = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one service may be asked for."""

    associations: int = 12
    queries: int = 40
    answers: int = 20_000
    """of a query, or entries of listings"""
    requests: int = 2_000
    """to a server of files: listings, and files that are looked into"""
    seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTerms:
    """How ports are looked for. What the gate permits and the pace of one network hold whatever the method."""

    method: str = "auto"
    """auto (SYN packets where the process may send them and a grant is wide, else connections), syn, connect"""
    packets_per_second: float | None = None
    """SYN packets; None: as many as the pace has connections a second (`Scope.packets_per_second`)"""
    bits_per_second: float | None = None
    """at the level of IP: headers and all, without what the link adds"""
    probes: int = 1
    """SYN packets to one address and port, 1 to 5"""
    cooldown_seconds: float = 8.0
    """for which answers are waited for after the last packet, 1 to 60"""
    source_address: IPv4Address | None = None
    """None: the one that the routing table gives"""
    source_ports: tuple[int, int] = DEFAULT_SOURCE_PORTS
    """first and last"""
    processes: int = 1
    """of the sweep by connections, 1 to 64"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Where those whom a survey meets can read what it is, and how they leave it."""

    opt_out: str
    """the e-mail address that they write to"""
    page: Path
    """the file with the text of the web page"""
    text: str
    """what stood in it when the scope was read; not empty"""
    url: str = ""
    """where the page is shown"""
    exclusions: Path | None = None
    """the file of dated exclusions"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A network that somebody asked a survey to leave alone. Holds against every grant."""

    network: Network
    since: dt.datetime
    """UTC. It holds whatever this says"""
    because: str
    asked_by: str = ""
    """who asked: is published nowhere"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionFiles:
    """MMDB files of the operator, in place of the database that ships; each was sound when the scope was read."""

    country: Path | None = None
    city: Path | None = None
    asn: Path | None = None

    def named(self) -> dict[Kind, Path]:
        return {kind: path for kind in Kind if (path := getattr(self, kind.value)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    version: int
    id: str
    contact: Contact
    vantage: Vantage
    grants: tuple[Grant, ...]
    zones: tuple[Zone, ...] = ()
    mine: Mine = Mine()
    ports: Ports
    pace: Pace
    budget: Budget
    sweep: SweepTerms = SweepTerms()
    survey: Survey | None = None
    """there where a grant is wide"""
    infrastructure: tuple[tuple[str, int], ...] = ()
    """our own endpoints: host (address in its canonical form, or lower-case name) and port; the listener's too"""
    listener: OurListener | None = None
    attribution: AttributionFiles = AttributionFiles()
    exclusions: tuple[Exclusion, ...] = ()
    """of the survey, in the order in which they were asked for"""
    exclusions_sha256: str = ""
    """of their networks, in this order; "" without any"""
    sha256: str
    """of the bytes of the file; where there are snapshots, of that and theirs (see `identity`)"""
    path: Path

    @property
    def digests(self) -> tuple[str, str]:
        """What two readings differ in. Only the first tells runs apart: exclusions come while a run goes on."""
        return self.sha256, self.exclusions_sha256

    @property
    def packets_per_second(self) -> float:
        """Of a sweep by SYN packets; it may be above the pace of connections."""
        return self.sweep.packets_per_second or self.pace.connections_per_second

    @property
    def names(self) -> tuple[str, ...]:
        """Every name to resolve before the gate is armed: the grants', those of hosts of buckets, and the
        infrastructure's, each once."""
        granted = (name for grant in self.grants for name in grant.names)
        hosts = (bucket.origin.host for bucket in self.buckets)
        ours = (host for host, _ in self.infrastructure)
        return tuple(dict.fromkeys([*granted, *(host for host in (*hosts, *ours) if not is_literal(host))]))

    @property
    def excluded(self) -> Iterator[Network]:
        """What no grant opens: the exclusions of the grants, and those of the survey."""
        for grant in self.grants:
            yield from grant.exclude
        for exclusion in self.exclusions:
            yield exclusion.network

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        return tuple(grant.snapshot for grant in self.grants if grant.snapshot is not None)

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Of all grants, each once."""
        return tuple(dict.fromkeys(bucket for grant in self.grants for bucket in grant.buckets))

    def grant(self, grant_id: str) -> Grant:
        """Raises KeyError."""
        for grant in self.grants:
            if grant.id == grant_id:
                return grant
        raise KeyError(grant_id)


def identity(sha256: str, snapshots: Iterable[Snapshot]) -> str:
    """What tells scopes apart: the SHA-256 of the file, and where it takes networks from others, one of these as well. A
    newer snapshot has another space, in which no run of the older one can go on."""
    digests = [snapshot.sha256 for snapshot in snapshots]
    return hashlib.sha256("\n".join([sha256, *digests]).encode()).hexdigest() if digests else sha256


def is_literal(host: str) -> bool:
    """Whether `host`, in the form that a scope holds, is an address and not a name."""
    return ":" in host or host.replace(".", "").isdigit()


def load_scope(path: Path, *, today: dt.date | None = None) -> Scope:
    """Read and check a scope file.

    `today` (UTC, by default the current day) decides which grants have expired. Raises ScopeErrors with all mistakes.
    """
    from leadapron.scope.read import read_scope

    return read_scope(path, today=today or dt.datetime.now(dt.UTC).date())
