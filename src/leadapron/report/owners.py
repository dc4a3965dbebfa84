"""To whom a finding is handed over: groups of services by country, autonomous system, grant or party."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from leadapron.errors import InputError
from leadapron.model import Finding, Observation, Owner, Service
from leadapron.report.inert import plain
from leadapron.report.view import service_identity

NOBODY = "unknown"
"""The name of the group of what is known to belong to none."""

_COUNTRY = re.compile(r"[A-Z]{2}")


class By(enum.StrEnum):
    COUNTRY = "country"
    AS = "as"
    GRANT = "grant"
    PARTY = "party"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Group:
    """`name` is what people call it. `stem` names its file: letters and digits of ASCII and `-`, one for each group."""

    name: str
    stem: str


def group(owner: Owner | None, by: By) -> Group:
    """A country is told by its code, an autonomous system by its number; grants and parties have names of their own."""
    if owner is not None:
        if by is By.COUNTRY and _COUNTRY.fullmatch(owner.country):
            return Group(name=owner.country, stem=owner.country)
        if by is By.AS and owner.as_number is not None:
            return Group(name=f"AS{owner.as_number}", stem=f"AS{owner.as_number}")
        if by is By.GRANT:
            return _named(owner.grant)
        if by is By.PARTY and owner.party:
            return _named(owner.party)
    return Group(name=NOBODY, stem=NOBODY)


def _named(name: str) -> Group:
    """A name may hold anything: what is left of it is told from others by eight digits of its SHA-256."""
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return Group(name=name, stem=f"{kept}-{digits}".removeprefix("-"))


class Observed:
    """Which observation a finding is about."""

    def __init__(self, observations: Iterable[Observation]) -> None:
        self._by_service: dict[object, Observation] = {}
        self._by_place: dict[object, Observation] = {}
        for seen in observations:
            self._by_service[service_identity(seen.service)] = seen
            self._by_place.setdefault(service_identity(seen.service)[:3], seen)

    def of(self, service: Service) -> Observation | None:
        """That of the service; where there is none, one at its port in its protocol, which has the same owner."""
        identity = service_identity(service)
        return self._by_service.get(identity) or self._by_place.get(identity[:3])

    def group(self, finding: Finding, by: By) -> Group:
        seen = self.of(finding.service)
        return group(None if seen is None else seen.owner, by)


def chosen(groups: Iterable[Group], only: Iterable[str]) -> set[Group]:
    """Those of these names, in any case; all, where none is named. Raises InputError for a name that no group has."""
    there = set(groups)
    by_name = {each.name.casefold(): each for each in there} | {each.name: each for each in there}
    wanted = {name: by_name.get(name) or by_name.get(name.casefold()) for name in only}
    for name, found in wanted.items():
        if found is None:
            shown = ", ".join(plain(each.name) for each in sorted(there)) or "none"
            raise InputError(f"--only {plain(name)!r}: nothing stands there in this run; there is: {shown}")
    return {found for found in wanted.values() if found is not None} or there
