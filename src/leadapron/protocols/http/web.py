"""What a door is that opens over HTTP, and what all of them share: the front page that was seen first, and their jobs."""

from __future__ import annotations

import enum
import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

from leadapron.model import (
    Access,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import HELLO, Attempts
from leadapron.protocols.base import Case, Identify, Page
from leadapron.protocols.http.exchange import Client
from leadapron.scope.doors import doors

UNAUTHORISED, FORBIDDEN, NOT_FOUND = 401, 403, 404
LOCKED = frozenset({UNAUTHORISED, FORBIDDEN, 407, 511})
"""Statuses that refuse who asks, and not what is asked for (RFC 9110 section 15.5, RFC 6585)."""


BUSY = frozenset({413, 429, 503})
"""Statuses that say that less, or later, may be asked for (RFC 9110 sections 15.5.14 and 15.6.4, RFC 6585 section 4)."""


_LEAST_SECONDS = 1.0
"""For which a look is begun."""


class Challenge(enum.StrEnum):
    """The scheme of the first WWW-Authenticate (RFC 9110 section 11.6.1)."""

    NONE = "none"
    BASIC = "basic"
    DIGEST = "digest"
    BEARER = "bearer"
    NEGOTIATE = "negotiate"
    OTHER = "other"


class Leads(enum.StrEnum):
    """Where the front page sends who asks for it. Only to the same place it is followed."""

    NOWHERE = "nowhere"
    HERE = "here"
    TO_TLS = "to_tls"
    """to the same host, inside TLS"""
    AWAY = "away"
    """to another host, which is never followed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The page that a stranger gets who asks for `/`, and how the server answers for what cannot be there."""

    status: int
    product: Product = field(default_factory=Product)
    challenge: Challenge = Challenge.NONE
    leads: Leads = Leads.NOWHERE
    has_password_field: bool = False
    answers_anything: bool = False
    """a path that does not exist gets a page as well: what is found there is told by its content alone"""
    refuses_anything: bool = False
    """a path that does not exist is refused, as all may be: a refusal does not tell one path from another"""
    seen: Mapping[str, int | bool] = field(default_factory=dict)
    """what the doors saw in the page, `listing.format` and the like"""
    requests: int = 0

    @property
    def is_locked(self) -> bool:
        return self.status in LOCKED


@dataclass(frozen=True, slots=True, kw_only=True)
class WebJob:
    """What the jobs of all doors over HTTP have. `requests` is what is left of the budget of the service."""

    name: str
    endpoint: Endpoint
    depth: Depth = Depth.TALK
    limits: Limits = field(default_factory=Limits)
    contact: str = ""
    requests: int = 40
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def client(self) -> Client:
        return Client(self.endpoint, contact=self.contact, requests=self.requests)


Look = TypeVar("Look", bound=WebJob)


class WebDoor(ABC):
    """One door over HTTP. Its attempts are named after it: `dicomweb.look`, `dicomweb.count:/dicom-web`. What stands behind
    the colon is the resource."""

    name: ClassVar[str]
    rank: ClassVar[int]
    """whose look comes first: the most telling for the fewest requests. They share one budget (`left_to_look`)"""
    results: ClassVar[Mapping[str, type[Any]]]

    def look(self, page: Page) -> Mapping[str, int | bool]:  # noqa: ARG002
        """What the front page says to this door, by names that begin with its own: `listing.format`. Pure; never raises for
        what a peer sent."""
        return {}

    def has_to_look(self, front: Front) -> bool:  # noqa: ARG002
        """Whether this door has something to look for behind a front page. Pure."""
        return True

    @abstractmethod
    def next_job(self, case: Case, attempts: Attempts, front: Front, identify: Identify) -> Job[Any] | None:
        """The next job, or None when there is nothing left to ask. Its look is called `look_of` it, and asked within
        `left_to_look`. Pure."""

    @abstractmethod
    def conclude(self, case: Case, attempts: Attempts, front: Front) -> Sequence[Observation]:
        """The services that were seen. Pure."""


class Left(NamedTuple):
    """Of the budget for looking."""

    requests: int
    seconds: float


def look_of(door: str) -> str:
    """The name of the job that finds out where a door opens."""
    return f"{door}.look"


def left_to_look(case: Case, attempts: Attempts) -> Left | None:
    """What the looks of all doors may still ask of an endpoint, whose front page and looks `attempts` are: `queries`, and
    `seconds`. None: nothing. What counts and walks behind something that was found has budgets of its own."""
    looks = [look_of(door) for door in web_doors()]
    made = (attempts[name] for name in (HELLO, *looks) if name in attempts)
    asked = sum(getattr(each.result, "requests", 0) for each in made if isinstance(each, Completed))
    seconds = sum(float(case.attempts[name].get("seconds", 0.0)) for name in looks if name in case.attempts)
    left = Left(requests=case.terms.queries - asked, seconds=case.terms.seconds - seconds)
    return left if left.requests > 0 and left.seconds >= _LEAST_SECONDS else None


def look_within(
    kind: type[Look],
    door: str,
    case: Case,
    attempts: Attempts,
    *,
    most: int,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    **own: Any,
) -> Look | None:
    """The look of a door, as far as the budget reaches that all share; None: it is spent. `most` requests. `own`: the other
    fields of the job."""
    left = left_to_look(case, attempts)
    if left is None:
        return None
    return kind(
        name=look_of(door),
        endpoint=case.endpoint,
        depth=Depth.COUNT,
        contact=case.terms.contact,
        requests=min(most, left.requests),
        limits=replace(limits, deadline=left.seconds, idle_timeout=20.0),
        **own,
    )


@functools.cache
def web_doors() -> Mapping[str, WebDoor]:
    """Every door over HTTP, by name: `DOOR` of `protocols/<name>/door.py`."""
    names = [name for name, door in doors().items() if door.over == "http"]
    found: dict[str, WebDoor] = {}
    for name in names:
        door = importlib.import_module(f"leadapron.protocols.{name}.door").DOOR
        if not isinstance(door, WebDoor) or door.name != name:
            raise TypeError(f"protocols/{name}/door.py: DOOR is no WebDoor of that name")
        found[name] = door
    return found


def reached(case: Case, protocol: str, resource: str, access: Access, **more: Any) -> Observation:
    """An observation of a service over HTTP. `more`: its other fields."""
    service = Service(endpoint=case.endpoint, protocol=protocol, resource=resource)
    return Observation(service=service, access=access, owner=case.terms.owner, **more)


def list_verdict(status: int) -> tuple[Verdict, Failed | None]:
    """What the status of an answer without content says about `list`; why, where it says nothing."""
    if status in LOCKED:
        return Verdict.REFUSED, None
    reason = Reason.LIMIT if status in BUSY else Reason.PROTOCOL
    return Verdict.UNKNOWN, Failed(stage=Stage.LIST, reason=reason, detail=f"status {status}")


def read_behind(listed: Verdict) -> Verdict:
    """The verdict on `read` where a list of studies is offered with the images behind it, which are never retrieved."""
    return _READ.get(listed, Verdict.UNKNOWN)


_READ = {
    Verdict.PROVEN: Verdict.OFFERED,
    Verdict.REFUSED: Verdict.REFUSED,
    Verdict.NOT_ASKED: Verdict.NOT_ASKED,
}
