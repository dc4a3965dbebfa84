"""What a protocol is: a hello for the wide stage, and a plan that turns attempts into jobs or observations.

A protocol module never sees a connection, a store or a report. It returns jobs and reads results. Its plan is a pure
function of what is known, so that a run that was killed goes on from its stored attempts, asking nothing twice.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, runtime_checkable
from typing import Protocol as Interface

from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Observation, Owner, Product
from leadapron.net.conversation import Job
from leadapron.protocols import payload
from leadapron.protocols.health import last_looks, silent_checks
from leadapron.scope.buckets import Bucket

Payload = Mapping[str, Any]
"""A stored attempt: JSON of numbers, enum values and tokens (see `encode_attempt` of each protocol)."""


class Page(NamedTuple):
    """What a web server showed, to be told a product by: a peer's text, which stays where it was read."""

    status: int
    fields: Sequence[tuple[bytes, bytes]] = ()
    """of the head, names in small letters"""
    body: bytes = b""
    icon: bytes = b""
    """the favicon; b"" where there is none, or it was not asked for"""


class Identify(Interface):
    """`leadapron.identify.match.IDENTIFY`; handed in, because identification stands above the protocols."""

    def __call__(
        self,
        implementation_uid: str | None,
        version_name: bytes | None,
        *,
        called_titles: Collection[str] = (),
        port: int | None = None,
    ) -> Product: ...
    def page(self, page: Page) -> Product: ...


class Hello(NamedTuple):
    """The first exchange, the same for every target: what to send, when the answer is whole, how to leave."""

    request: bytes
    whole: Callable[[bytes], int]
    """0: more bytes are needed; 1: the answer is whole, or can only be wrong"""
    farewell: bytes
    max_answer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketTerms:
    """What its own grant allows about one bucket."""

    bucket: Bucket
    depth: Depth
    owner: Owner
    census: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the scope allows at one endpoint, and what its owner told us."""

    depth: Depth
    owner: Owner
    calling_aet: str
    contact: str = ""
    """where to ask back: goes to web servers with every request"""
    called_aets: tuple[str, ...] = ()
    """titles to try where a stranger's is rejected: the owner's, then well-known ones where the grant says so"""
    calling_aets: tuple[str, ...] = ()
    """titles of peers, which its owner told us to try from our address"""
    blank_login: bool = False
    """whether an empty name and passcode may be tried, once"""
    census: bool = False
    """whether a census may be taken in clear where `depth` goes so far: its answers are patient data on the wire"""
    buckets: tuple[BucketTerms, ...] = ()
    """that the scope names at the endpoint"""
    key_pair: tuple[Path, Path] | None = None
    """a client certificate that the owner gave us, and its key: files in PEM"""
    key: bytes = field(default=b"", repr=False)
    """of the run: what has to be compared between hosts is kept as hashes under it"""
    own_roots: tuple[str, ...] = ()
    """UID roots of who audits: what is below them is theirs, wherever it lies"""
    own_issuers: tuple[str, ...] = ()
    """likewise issuers of patient IDs"""
    associations: int = 12
    queries: int = 40
    answers: int = 20_000
    requests: int = 2_000
    seconds: float = 60.0
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def today(self) -> dt.date:
        """In UTC."""
        return self.now.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything known about one endpoint and protocol: the terms, and the attempts made, by job name."""

    endpoint: Endpoint
    terms: Terms
    attempts: Mapping[str, Payload]


@runtime_checkable
class Budgeted(Interface):
    """A result of what counts or walks. It knows under which budget it came about."""

    def was_cut(self, terms: Terms) -> bool:
        """By a budget of answers, requests or seconds, and those of `terms` go further."""
        ...


class Protocol(ABC):
    """One door, or several that open over one (HTTP). `name` is that of its folder."""

    name: ClassVar[str]
    results: ClassVar[Mapping[str, type[Any]]]
    """what its jobs return (see `leadapron.protocols.payload`), by the names under which attempts are stored"""

    def hello(self, calling: str) -> Hello | None:  # noqa: ARG002
        """The first exchange of every conversation, with the scope's calling title, where the wide stage can make it: the
        same bytes for every target. None: `next_job` makes it, as the job `hello`."""
        return None

    def read_hello(self, answer: bytes, endpoint: Endpoint, identify: Identify) -> Payload:
        """What the answer to the hello of the wide stage means. Never raises for what a peer sent."""
        raise NotImplementedError

    def encode_attempt(self, attempt: Attempt[Any], seconds: float = 0.0) -> Payload:
        """A finished job as a payload, `{"failed": …}` or under the name of its result, with the seconds for which it had
        a connection."""
        stored = payload.encode(attempt, self.results)
        return {**stored, "seconds": round(seconds, 3)} if seconds else stored

    def decoded(self, attempts: Mapping[str, Payload]) -> dict[str, Attempt[Any]]:
        """Stored attempts as what they were."""
        return {name: payload.decode(raw, self.results) for name, raw in attempts.items()}

    @abstractmethod
    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        """The next job, or None when there is nothing left to ask. Pure."""

    def speaks_otherwise(self, case: Case) -> bool:  # noqa: ARG002
        """Whether a peer that did not answer the hello speaks another way, e.g. TLS. Pure."""
        return False

    def cut_by_budget(self, case: Case) -> frozenset[str]:
        """The names of the attempts that an earlier budget cut, and the present terms would not, by what their results say
        (`Budgeted`); and the look after the server that came behind them. Pure."""
        cut = frozenset(
            name
            for name, attempt in self.decoded(case.attempts).items()
            if isinstance(attempt, Completed)
            and isinstance(attempt.result, Budgeted)
            and attempt.result.was_cut(case.terms)
        )
        return cut | last_looks(case.attempts) if cut else cut

    def no_longer_answers(self, case: Case) -> frozenset[str]:
        """The names of the attempts that say: it spoke to us, was asked, and now does not answer any more. Pure."""
        return silent_checks(self.decoded(case.attempts))

    def shown(self, attempt: Attempt[Any]) -> bytes:
        """The studies that an attempt listed, as records of `leadapron.protocols.shown`; empty where it listed none."""
        result = attempt.result if isinstance(attempt, Completed) else None
        shown = getattr(result, "shown", b"")
        return shown if isinstance(shown, bytes) else b""

    def service_of(self, job: str) -> tuple[str, str]:
        """The protocol and the resource of the service that a job with this name asked: `tree:share` asks `share`."""
        return self.name, job.partition(":")[2]

    @abstractmethod
    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        """The services that were seen, or why none could be. Pure."""
