"""The types that cross stages: frozen, slotted, keyword-only dataclasses without I/O.

Values of patients cannot enter this model: what a peer says arrives here as numbers, as members of the closed enums
below, or as `Token`s (product names of our own catalogue, UIDs of implementations).
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, NewType, TypeVar

Address = IPv4Address | IPv6Address

Token = NewType("Token", str)
"""A peer's text that passed `token()`: a closed character set and length, so that it cannot carry a person's data."""

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")


def uid_token(raw: bytes) -> Token | None:
    """`raw` as a UID of at most 64 characters (PS3.5 section 9.1), or None."""
    text = raw.rstrip(b"\0 ").decode("ascii", "replace")
    return Token(text) if len(text) <= 64 and _UID.fullmatch(text) else None


class Depth(enum.IntEnum):
    """How far a grant lets us go. Ordered: a deeper one includes the shallower ones."""

    CONNECT = 1
    """complete a TCP handshake"""
    TALK = 2
    """protocol handshake, banner, C-ECHO"""
    COUNT = 3
    """list and count"""
    CENSUS = 4
    """which attributes are populated, on a sample"""


class VantageKind(enum.StrEnum):
    """Where we look from."""

    INTERNET = "internet"
    PARTNER_VPN = "partner-vpn"
    OFFICE = "office"
    CLINICAL = "clinical"


class Stage(enum.StrEnum):
    """Where an attempt ended."""

    CONNECT = "connect"
    TLS = "tls"
    HANDSHAKE = "handshake"
    """the first exchange of the protocol, e.g. A-ASSOCIATE"""
    TALK = "talk"
    """a harmless exchange after it, e.g. C-ECHO"""
    LIST = "list"
    COUNT = "count"
    CENSUS = "census"


class Reason(enum.StrEnum):
    """Why an attempt did not complete. Closed: a new reason is a change of the report's schema."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    """RST, or FIN before the answer was whole"""
    ABORTED = "aborted"
    """the protocol's own abort (A-ABORT)"""
    PROTOCOL = "protocol"
    """bytes that are not this protocol, or break it"""
    TLS = "tls"
    AUTH = "auth"
    TRUNCATED = "truncated"
    LIMIT = "limit"
    """a cap of the peer, or a bound of ours"""
    EMPTY = "empty"
    """a success without answers: nothing there, or filtered"""
    MIDDLEBOX = "middlebox"
    OUT_OF_SCOPE = "out_of_scope"
    BUDGET = "budget"
    STOPPED = "stopped"
    BUG = "bug"
    """ours, not theirs"""


class Verdict(enum.StrEnum):
    """One of the five accesses of a service."""

    PROVEN = "proven"
    OFFERED = "offered"
    """negotiated, not exercised"""
    REFUSED = "refused"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"


class CountKind(enum.StrEnum):
    EXACT = "exact"
    BOUND = "bound"
    """at least `low`; at most `high` where that is known"""
    ESTIMATE = "estimate"
    """95 % interval `low`..`high` from a sample"""


class CountSource(enum.StrEnum):
    CLAIMED = "claimed"
    """the server's own number"""
    ENUMERATED = "enumerated"
    """we counted answers"""
    SAMPLED = "sampled"


class Severity(enum.StrEnum):
    """Ordered by `rank`."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info … 4 for critical."""
        return ("info", "low", "medium", "high", "critical").index(self.value)


class FindingStatus(enum.StrEnum):
    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"
    """only after a positive refusal, or an explicit re-check from the same kind of vantage"""
    NOT_OBSERVED = "not_observed"
    REOPENED = "reopened"
    MOVED = "moved"
    """its service answers elsewhere now, where the same finding goes on"""


class RunStatus(enum.StrEnum):
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INCOMPLETE = "incomplete"
    BLIND = "blind"
    """nothing could be seen: not the same as nothing exposed"""


FINAL = frozenset({RunStatus.COMPLETE, RunStatus.BLIND})
"""A run that ended so does not go on."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Endpoint:
    """An address and port, and the granted name that led there ("" where none did)."""

    address: Address
    port: int
    name: str = ""

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


CERTIFIED_BY = "+certificate"
"""Behind the resource of a service that only the client certificate of the scope opened: no AE title is so long."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Service:
    """What answers at an endpoint. Two titles on one port are two services.

    `resource` is the called AE title, path, share or bucket. It is ours (we asked for it), never a peer's text.
    """

    endpoint: Endpoint
    protocol: str
    resource: str = ""

    @property
    def is_certified(self) -> bool:
        return self.resource.endswith(CERTIFIED_BY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    reach: Verdict = Verdict.NOT_ASKED
    talk: Verdict = Verdict.NOT_ASKED
    list: Verdict = Verdict.NOT_ASKED
    read: Verdict = Verdict.NOT_ASKED
    write: Verdict = Verdict.NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many. `low` <= `value`; `high` None means that no upper bound is known."""

    value: int
    low: int
    high: int | None
    kind: CountKind
    source: CountSource

    @classmethod
    def exact(cls, value: int, source: CountSource = CountSource.ENUMERATED) -> Count:
        return cls(value=value, low=value, high=value, kind=CountKind.EXACT, source=source)

    @classmethod
    def at_least(cls, value: int, source: CountSource = CountSource.ENUMERATED) -> Count:
        return cls(value=value, low=value, high=None, kind=CountKind.BOUND, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """None: not known. `worklist` counts scheduled procedure steps of a Modality Worklist."""

    patients: Count | None = None
    studies: Count | None = None
    series: Count | None = None
    images: Count | None = None
    worklist: Count | None = None

    @property
    def is_nothing(self) -> bool:
        """All was looked through, as with a share of files, and there is no image and no study."""
        return all(count is not None and count.high == 0 for count in (self.studies, self.images))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """What exposed services show together, each study once. `genuine_…`: those that show patients. None: not known."""

    studies: Count | None = None
    images: Count | None = None
    genuine_studies: Count | None = None
    genuine_images: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """In how many of `sampled` records each attribute (PS3.6 keyword) is populated. Numbers only."""

    sampled: int
    present: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Genuineness:
    """`verdict` is one of patients, test, deidentified, public-sample, honeypot, unknown; `score` 0..1."""

    verdict: str
    score: float
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What we take a service for. `name` "" with several `candidates`: a tie, not a guess."""

    name: str = ""
    version: str = ""
    confidence: str = ""
    """how the matching catalogue entry is known: source, sample, table, secondary"""
    candidates: tuple[str, ...] = ()
    toolkit: str = ""
    """the library that speaks on the wire, with its version where it says one"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who answers for a service: from the grant; place and AS from databases, the country of special-purpose space from
    the grant."""

    grant: str
    party: str = ""
    country: str = ""
    city: str = ""
    as_number: int | None = None
    as_name: str = ""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Generic[T]):
    """An attempt that reached its end. `result` holds numbers, enum members and tokens only."""

    result: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An attempt that did not. `detail` is our own text (never a peer's), for an engineer."""

    stage: Stage
    reason: Reason
    detail: str = ""


Attempt = Completed[T] | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What we could not see. `endpoint` may stand for a range (`198.18.0.0/24 port 104`); `count` of targets."""

    endpoint: str
    stage: Stage
    reason: Reason
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """All that a run learned about one service. The input of judging, and what the store keeps.

    `facts` are named numbers and booleans of the protocol (`called_title_enforced`, `contexts.find`), the evidence that
    controls judge by; each protocol documents its own. A fact that is not known is absent.
    """

    service: Service
    access: Access
    counts: Counts = field(default_factory=Counts)
    product: Product = field(default_factory=Product)
    owner: Owner
    facts: Mapping[str, int | bool] = field(default_factory=dict)
    unknowns: tuple[Failed, ...] = ()
    """each verdict `unknown`, and each count that is not exact, has its stage and reason here"""
    tls: Mapping[str, int | bool | str] | None = None
    """what is known of TLS where it is spoken inside it; None where it is in clear"""
    certified: bool = False
    """seen with the client certificate of the scope: a stranger does not see it"""
    census: Census | None = None
    genuineness: Genuineness | None = None
    middlebox: bool = False

    @property
    def exposed(self) -> bool:
        """`list` or `read` is proven to a stranger, whatever the genuineness, and it is not known that no image is there."""
        is_open = not (self.middlebox or self.certified) and Verdict.PROVEN in (self.access.list, self.access.read)
        return is_open and not self.counts.is_nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The same finding at the other place of a service that moved, and what shows that it is the same service."""

    key: str
    endpoint: Endpoint
    because: tuple[str, ...]
    """name, key, content, title: see `leadapron.assess.moved`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A control that a service breaks. `key` = hash of version, vantage kind, service identity and control."""

    key: str
    control: str
    title: str
    severity: Severity
    service: Service
    evidence: Mapping[str, int | bool | str]
    remedy: str
    status: FindingStatus = FindingStatus.NEW
    first_seen: dt.datetime | None = None
    """where the service was then, if it moved"""
    last_seen: dt.datetime | None = None
    moved_from: Moved | None = None
    moved_to: Moved | None = None


class DispositionKind(enum.StrEnum):
    """What was decided about a finding."""

    ACCEPTED = "accepted"
    """the risk is carried"""
    FALSE_POSITIVE = "false-positive"
    PLANNED = "planned"
    """the remedy has a date"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """A decision of the operator about the finding `key`. It hides nothing. `owner` and `why` are the operator's texts."""

    key: str
    kind: DispositionKind
    until: dt.date | None
    """the last day, UTC, on which it holds"""
    owner: str
    why: str
    recorded_at: dt.datetime
    recorded_by: str
    """the user of the machine"""

    def is_expired(self, today: dt.date) -> bool:
        return self.until is not None and today > self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    kind: VantageKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What a run looked for, and how gently it asked: connections a second, overall and to one network; the rest is the
    budget of a service."""

    connections_per_second: float
    per_network: float
    associations: int
    queries: int
    answers: int
    seconds: float
    requests: int = 0
    """for folders and pieces of files; 0: not known"""
    packets_per_second: float = 0
    """SYN packets; 0: ports were looked for by connections"""
    doors: tuple[str, ...] = ()
    """by name, without those that open over another; empty: not known"""


DENIED = "denied"
"""In `SweepFigures.not_sent`, in place of an error: the gate said no at the last moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFigures:
    """What sweeps in processes of their own did, over all processes of a run. Packets, where nothing else is said."""

    method: str
    """syn or connect; "": nothing was begun"""
    sent: int = 0
    """of connections: those that came to an end"""
    sent_bytes: int = 0
    """as IP counts"""
    duplicates: int = 0
    late: int = 0
    """answers whose time was over"""
    invalid: int = 0
    """answers to nothing that was asked"""
    dropped: int = 0
    """answers that found no room in this machine"""
    lost: int = 0
    """targets of which nothing is known for that reason"""
    not_sent: Mapping[str, int] = field(default_factory=dict)
    """by the name of the error"""
    seconds: float = 0.0
    asking: float = 0.0
    """of these, those from the first packet to the last"""
    building: float = 0.0
    sending: float = 0.0
    receiving: float = 0.0
    """of processor time, as all below"""
    cpu: float = 0.0
    memory: int = 0
    """bytes at most, of one process"""
    untold: int = 0
    """processes that were killed before they told their figures, or that have not come to their end: nothing else here
    counts them"""

    def with_cpu(self, cpu: float, memory: int) -> SweepFigures:
        return replace(self, cpu=cpu, memory=memory)

    def __add__(self, other: SweepFigures) -> SweepFigures:
        numbers = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name not in ("method", "not_sent", "memory")
        }
        not_sent = {
            name: self.not_sent.get(name, 0) + other.not_sent.get(name, 0)
            for name in sorted({*self.not_sent, *other.not_sent})
        }
        memory = max(self.memory, other.memory)
        return SweepFigures(method=other.method or self.method, not_sent=not_sent, memory=memory, **numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a name of the scope resolved to when the run began. For the run it stays that, also when it is resumed."""

    name: str
    addresses: tuple[Address, ...] = ()
    reason: Reason | None = None
    """why there are none"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run saw, in the numbers that are compared with those of the next."""

    servers: int
    exposed_servers: int
    studies: Count | None
    """that anyone can list, each once where that is known"""
    images: Count | None
    findings: Mapping[str, int]
    """by severity"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A system that an inventory names. `owner` None: the inventory has no owners; "": it has, and none for this one."""

    host: str
    """an address in its canonical form, or a lower-case name"""
    port: int
    title: str = ""
    owner: str | None = None


SNAPSHOT_OF = "snapshot."
"""In `Run.data`, before the id of a grant: the file that its networks were taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedFile:
    """A file of another scanner that a run was begun from. Nothing but its addresses and ports was read."""

    kind: str
    """what wrote it: list, zmap, masscan, nmap, censys, shodan"""
    sha256: str
    pairs: int
    """addresses and ports that it gave"""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """records that gave none, by reason"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A place that is asked again, and how deep its findings need us to look."""

    address: Address
    port: int
    depth: Depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A run that asks again what findings need, and sweeps one of `parts` shares of the space, `part` from 0."""

    since: str
    """the run that swept all of it"""
    part: int
    parts: int
    again: tuple[Again, ...] = ()
    """in the order of addresses. For the run it stays that, whatever becomes of the findings until it is resumed"""


AUDIT, VERIFY = "audit", "verify"
"""The kinds of runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One audit of one scope from one vantage. Times are UTC and aware."""

    id: str
    kind: str
    """audit, or verify: of one endpoint only, for a finding"""
    scope_id: str
    scope_sha256: str
    vantage: Vantage
    version: str
    started_at: dt.datetime
    finished_at: dt.datetime | None = None
    status: RunStatus = RunStatus.RUNNING
    why: str = ""
    """why it is not complete"""
    audit_head: str = ""
    endpoints_tried: int = 0
    endpoints_reached: int = 0
    ports: tuple[int, ...] = ()
    method: Method | None = None
    """None: not known"""
    pins: tuple[Pin, ...] = ()
    catalogue: str = ""
    """SHA-256 of the controls that it was judged by; "": not known"""
    data: Mapping[str, str] = field(default_factory=dict)
    """name and date of each source of places (country, city, asn), and of each snapshot (`SNAPSHOT_OF`) of networks with its
    digest and size; empty: not known"""
    unique: Unique | None = None
    """None: nothing is exposed, or nobody counted"""
    inventory: tuple[Expected, ...] = ()
    """the systems that there should be, as they were known when it began; empty: nobody said"""
    exclusions: int = 0
    """of a survey, when it began: later ones take nothing out of the space that it sweeps, and are not touched"""
    exclusions_sha256: str = ""
    """of these, as `Scope.exclusions_sha256`"""
    seeds: tuple[SeedFile, ...] = ()
    """not empty: it asks what these files name, and nothing else"""
    delta: Delta | None = None
    """None: it asks all that its scope, or its seeds, have"""
    sweep: SweepFigures | None = None
    """None: it was swept by the process that asked all else"""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """seconds of processor time by stage (discover, identify, and all else as assess), over all processes of the run"""
    summary: Summary | None = None
    """None: it has not come to its end, or an earlier version made it"""
