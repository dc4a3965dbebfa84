"""What the gate answers: a permit, or a denial with its reason."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from leadapron.model import Address, Depth


class Denied(enum.StrEnum):
    """Why an address is not touched."""

    NO_GRANT = "no_grant"
    EXCLUDED = "excluded"
    SPECIAL = "special_purpose"
    """a special-purpose block inside a granted network that no grant names by itself"""
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    WINDOW = "window"
    DEPTH = "depth"
    PORT = "port"
    NARROWED = "narrowed"
    """the scope file, read again while the run goes on, denies what the first one permitted"""
    NAME = "name"
    """a host name: names are resolved once, before the run"""
    FAMILY = "family"
    """neither IPv4, IPv6 nor a local socket, or a raw one"""
    SEAT = "seat"
    """a worker of a cluster that may have lost its seat to another: who holds it now asks"""


REASONS: tuple[Denied | None, ...] = (None, *Denied)
"""What the numbers of `Gate.denials4` mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Issued by the gate only. Dial before `expires` (UTC), or ask again."""

    address: Address
    port: int
    depth: Depth
    """how deep the gate lets us go there, not only what was asked for"""
    grant: str
    zone: str = ""
    gap_seconds: float = 0.0
    """between two connections to any host of the zone"""
    expires: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    reason: Denied
    explanation: str
    """one sentence for people, with the grant or zone that decided"""
