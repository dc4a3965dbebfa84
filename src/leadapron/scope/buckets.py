"""Buckets that a grant names, and where each is asked: one thing at one place, not the whole of the place.

A provider's address serves the buckets of everybody. What is granted is the bucket: its host is resolved like a name, the
connection goes to one of its addresses at one port, and only questions about this bucket are asked there.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from leadapron.model import Address
from leadapron.scope.special import unmapped

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MAX_RESOURCE = 48
"""Characters: the name of a job has room for 64 with what stands before it."""
AMAZON, GOOGLE, AZURE_SUFFIX = "s3.amazonaws.com", "storage.googleapis.com", "blob.core.windows.net"


class Store(enum.StrEnum):
    """The scheme under which a scope names a bucket of it."""

    S3 = "s3"
    AZURE = "az"
    GOOGLE = "gs"
    WEB = "web"
    """no store, but a folder of a web server, which a scope names by its URL"""


class Origin(NamedTuple):
    """Where HTTP is spoken."""

    is_tls: bool
    host: str
    """a lower-case name, or an address in its canonical form"""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme, standard = ("https", 443) if self.is_tls else ("http", 80)
        return f"{scheme}://{host}" if self.port == standard else f"{scheme}://{host}:{self.port}"


class Spot(NamedTuple):
    """An address and the one port of it that a grant opens, and the name that led there; "" where an address did."""

    address: Address
    port: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """`name` of the bucket, of the container below `account`, or the path of a web folder, with a slash at both ends."""

    store: Store
    name: str
    account: str = ""
    origin: Origin

    def __str__(self) -> str:
        """As the scope names it: a bucket without its endpoint, a web folder as its URL."""
        if self.store is Store.WEB:
            return f"{self.origin}{self.name}"
        return f"{self.store}://{self.account}/{self.name}" if self.account else f"{self.store}://{self.name}"

    @property
    def resource(self) -> str:
        """What its service is called: as `str`, where that is short enough for the name of a job."""
        text = str(self)
        if len(text) <= MAX_RESOURCE:
            return text
        mark = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        return f"{text[: MAX_RESOURCE - len(mark) - 1]}~{mark}"

    @property
    def provider(self) -> str:
        """Whose host is asked: `AMAZON`, `GOOGLE`, `AZURE_SUFFIX`; "" for any other."""
        if self.store is Store.WEB:
            return ""
        host = self.origin.host
        suffixes = {".amazonaws.com": AMAZON, f".{GOOGLE}": GOOGLE, f".{AZURE_SUFFIX}": AZURE_SUFFIX}
        return next((name for suffix, name in suffixes.items() if f".{host}".endswith(suffix)), "")

    @property
    def is_in_host(self) -> bool:
        """Whether the host is that of the bucket (S3), or of the account (Azure): then it is no part of the path."""
        return self.origin.host.startswith(f"{self.account or self.name}.".lower())


def default_origin(store: Store, name: str, account: str) -> Origin:
    """The provider's own. A name with dots matches no wildcard certificate, so that Amazon's common host is asked for it."""
    if store is Store.AZURE:
        host = f"{account}.{AZURE_SUFFIX}"
    elif store is Store.GOOGLE:
        host = GOOGLE
    else:
        host = f"{name}.{AMAZON}" if _LABEL.fullmatch(name) else AMAZON
    return Origin(is_tls=True, host=host, port=443)


def spot_of(bucket: Bucket, pins: Mapping[str, Sequence[Address]]) -> Spot | None:
    """Where a bucket is asked: at the first address of its host, since all of them show the same bucket. None: the host was
    not resolved."""
    host, port = bucket.origin.host, bucket.origin.port
    try:
        return Spot(unmapped(ip_address(host)), port, "")
    except ValueError:
        pinned = pins.get(host, ())
        return Spot(unmapped(pinned[0]), port, host) if pinned else None


def spots(buckets: Iterable[Bucket], pins: Mapping[str, Sequence[Address]]) -> Iterator[Spot]:
    """Each once."""
    found = (spot_of(bucket, pins) for bucket in buckets)
    yield from dict.fromkeys(spot for spot in found if spot is not None)
