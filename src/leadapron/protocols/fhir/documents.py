"""What FHIR servers answer, as numbers and members of our own tables: JSON only (HL7 FHIR R4, sections 3.1.0 and 5.2).

Every reader takes any bytes, and gives a result or `WireError`. Nothing of an entry leaves but that there is one.
"""

from __future__ import annotations

import enum
import functools
import json
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

from leadapron.errors import WireError
from leadapron.protocols.versions import stated_version

MAX_TOTAL = 1 << 40
"""A larger total is none."""

_RELEASE = re.compile(r"([0-9])\.([0-9])(?:\.[0-9]{1,3})?(?:-[0-9a-z]{1,12})?")
_RELEASES: Mapping[str, int] = {"0": 2, "1": 2, "3": 3, "4": 4, "5": 5}
"""By the first digit of fhirVersion: DSTU2 is 0.5 to 1.0, STU3 3.0, R4 and R4B 4.0 to 4.3, R5 5.0."""


class Kind(enum.StrEnum):
    """What a resource is, as far as this door asks."""

    CAPABILITY = "capability"
    """CapabilityStatement; Conformance in DSTU2"""
    BUNDLE = "bundle"
    OUTCOME = "outcome"
    """OperationOutcome: why it was not done"""


_KINDS: Mapping[str, Kind] = {
    "CapabilityStatement": Kind.CAPABILITY,
    "Conformance": Kind.CAPABILITY,
    "Bundle": Kind.BUNDLE,
    "OperationOutcome": Kind.OUTCOME,
}


class Resource(NamedTuple):
    kind: Kind
    content: Mapping[str, Any]


class Software(NamedTuple):
    """`release` of the standard, 0 where it is none that we know; `product` of our table; `version` of the software."""

    release: int = 0
    product: str = ""
    version: str = ""


class Tally(NamedTuple):
    """Of a Bundle. `total`: -1 where it states none that can be believed; `entries` that came with it."""

    total: int
    entries: int


def resource(body: bytes) -> Resource:
    """Raises WireError for what is no JSON, and for a resource of another type."""
    try:
        content = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None
    name = content.get("resourceType") if isinstance(content, dict) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WireError("no resource that was asked for")
    return Resource(kind, content)


def software(statement: Mapping[str, Any]) -> Software:
    """What a CapabilityStatement says of itself (section 5.2.2)."""
    stated = statement.get("fhirVersion")
    found = _RELEASE.fullmatch(stated) if isinstance(stated, str) else None
    release = _RELEASES.get(found[1], 0) if found is not None else 0
    named = statement.get("software")
    if not isinstance(named, dict) or not isinstance(name := named.get("name"), str):
        return Software(release)
    product = servers().get(name, "")
    return Software(release, product, stated_version(named.get("version")) if product else "")


def tally(bundle: Mapping[str, Any]) -> Tally:
    """How many match (Bundle.total, section 3.1.1.4): stated, and sent."""
    total, entries = bundle.get("total"), bundle.get("entry")
    is_sound = isinstance(total, int) and not isinstance(total, bool) and 0 <= total < MAX_TOTAL
    count = sum(1 for each in entries if _is_match(each)) if isinstance(entries, list) else 0
    return Tally(total if is_sound and isinstance(total, int) else -1, count)


def _is_match(entry: object) -> bool:
    """Not an outcome about the search, and not what was included with a match (Bundle.entry.search.mode)."""
    if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
        return False
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    return mode in (None, "match") and entry["resource"].get("resourceType") != "OperationOutcome"


@functools.cache
def servers() -> Mapping[str, str]:
    """The products, by what they call themselves."""
    file = resources.files("leadapron.protocols.fhir") / "servers.toml"
    return {each["name"]: each["product"] for each in tomllib.loads(file.read_text("utf-8"))["server"]}
