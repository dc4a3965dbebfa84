"""A run held against the truth of a world. Pure: from the truth document and the view of a run to what differs.

A server of the truth is found where the run says that it is exposed. A count is held by its interval; an estimate of one
server names 95 % of them only, so that those which miss are shown and fail nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from leadapron.model import (
    Count,
    CountKind,
    Endpoint,
    Observation,
    Reason,
    RunStatus,
    Unique,
    Unknown,
    Verdict,
)
from leadapron.report.view import View

TOLERANCE = 0.01
"""Of a total."""
PATIENTS = "patients"

Key = tuple[int, int]
"""Address as a number, and port."""

_PLACE = re.compile(r"([0-9.]+)-([0-9.]+) port ([0-9]+)|([0-9.]+):([0-9]+)|([0-9.]+), every open port")
"""An unknown of an endpoint, of a range at a port, of every port of a host (`leadapron.discover.middlebox`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A number of the truth, and what the run says. `is_judged` False: for information."""

    name: str
    """as the JSON report calls it, or a country"""
    truth: int
    found: Count | None
    is_judged: bool = True

    @property
    def error(self) -> float | None:
        """Of the value, relative to the truth; None where the run does not say, or the truth is nothing."""
        if self.found is None or not self.truth:
            return None if self.found is None or self.found.value else 0.0
        return self.found.value / self.truth - 1

    @property
    def is_inside(self) -> bool:
        """Whether the truth lies in the interval that the run states."""
        return self.found is not None and inside(self.found, self.truth)

    @property
    def is_good(self) -> bool:
        error = self.error
        return self.is_inside and error is not None and abs(error) <= TOLERANCE


def inside(count: Count, truth: int) -> bool:
    return count.low <= truth and (count.high is None or truth <= count.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """An exposed server of the truth, and what the run says of it instead."""

    endpoint: str
    country: str
    kind: str
    images: int
    why: str
    """not looked for, not swept, silent, refused, middlebox, or unknown, with stage and reason"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What the run says of an endpoint that is not so."""

    endpoint: str
    says: str
    truth: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryHeld:
    """Images, as reported, of the exposed servers of one country."""

    code: str
    servers: int
    servers_found: int
    images: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`estimates_missed` of `estimates`: counts of single servers whose 95 % interval does not hold the truth."""

    run: str
    status: str
    exposed: int
    found: int
    missed: tuple[Missed, ...]
    false_alarms: tuple[Wrong, ...]
    genuineness: tuple[Wrong, ...]
    """taken for other than they are, of those that were judged"""
    not_judged: int
    """found, and nobody said whose records they show"""
    countries_wrong: tuple[Wrong, ...]
    counts_wrong: tuple[Wrong, ...]
    estimates: int
    estimates_missed: int
    totals: tuple[Held, ...]
    countries: tuple[CountryHeld, ...]

    @property
    def is_good(self) -> bool:
        wrong = (self.missed, self.false_alarms, self.genuineness, self.countries_wrong, self.counts_wrong)
        return not any(wrong) and all(held.is_good for held in self.totals if held.is_judged)


def compare(truth: Mapping[str, Any], view: View, reached: Collection[Endpoint] = ()) -> Comparison:
    """`truth`: a document of `leadapron.lab.world.truth`; `reached`: the endpoints that the run's sweep found open."""
    servers = {_key(server["address"], server["port"]): server for server in truth["servers"]}
    seen: defaultdict[Key, list[Observation]] = defaultdict(list)
    for item in view.services:
        seen[_of(item.service.endpoint)].append(item.observation)
    exposed = {key: server for key, server in servers.items() if server["exposed"]}
    found = {key: server for key, server in exposed.items() if any(each.exposed for each in seen[key])}
    says = _Says(view, seen, reached)
    counts = [pair for key, server in found.items() for pair in _counts(server, seen[key])]
    verdicts = {key: _verdict(seen[key]) for key in found}
    estimates = [each for each, count in counts if count.kind is CountKind.ESTIMATE]
    return Comparison(
        run=view.run.id,
        status=view.run.status.value,
        exposed=len(exposed),
        found=len(found),
        missed=tuple(
            Missed(
                endpoint=_text(server),
                country=server["country"],
                kind=server["kind"],
                images=server["images"],
                why=says.of(key),
            )
            for key, server in exposed.items()
            if key not in found
        ),
        false_alarms=tuple(_false_alarms(seen, servers)),
        genuineness=tuple(wrong for key, server in found.items() for wrong in _genuineness(server, seen[key])),
        not_judged=sum(verdict in ("", "unknown") for verdict in verdicts.values()),
        countries_wrong=tuple(_countries_wrong(found, seen)),
        counts_wrong=tuple(wrong for wrong, count in counts if wrong and count.kind is not CountKind.ESTIMATE),
        estimates=len(estimates),
        estimates_missed=sum(wrong is not None for wrong in estimates),
        totals=tuple(_totals(truth["totals"], view, has_patients=PATIENTS in verdicts.values())),
        countries=tuple(_countries(truth["countries"], view)),
    )


def _key(address: str, port: int) -> Key:
    return int(IPv4Address(address)), port


def _of(endpoint: Endpoint) -> Key:
    return int(endpoint.address), endpoint.port


def _text(server: Mapping[str, Any]) -> str:
    return f"{server['address']}:{server['port']}"


# -- what the run says of a server that it did not find ----------------------------------------------------------------


class _Says:
    def __init__(self, view: View, seen: Mapping[Key, list[Observation]], reached: Collection[Endpoint]) -> None:
        self._run, self._seen = view.run, seen
        self._reached = {_of(endpoint) for endpoint in reached}
        self._at: defaultdict[Key, list[Unknown]] = defaultdict(list)
        self._ranges: list[tuple[int, int, int | None, Unknown]] = []
        for unknown in view.unknowns:
            self._take(unknown)

    def _take(self, unknown: Unknown) -> None:
        if (match := _PLACE.match(unknown.endpoint)) is None:
            return
        first, last, port, address, at, host = match.groups()
        if address:
            self._at[_key(address, int(at))].append(unknown)
        else:
            low, high = (int(IPv4Address(end)) for end in (first or host, last or host))
            self._ranges.append((low, high, int(port) if port else None, unknown))

    def of(self, key: Key) -> str:
        """In plain words."""
        address, port = key
        unknowns = self._at.get(key, []) + [
            unknown for low, high, at, unknown in self._ranges if low <= address <= high and at in (None, port)
        ]
        if any(unknown.reason is Reason.MIDDLEBOX for unknown in unknowns):
            return "middlebox: taken for a part of one"
        if verdicts := {observation.access.list for observation in self._seen.get(key, ())}:
            if verdicts == {Verdict.REFUSED}:
                return "refused"
            return _reasons(unknowns) if unknowns else f"unknown: list is {', '.join(sorted(verdicts))}"
        if unknowns:
            return _reasons(unknowns)
        if self._run.ports and port not in self._run.ports:
            return "not looked for: no port of the scope"
        if key in self._reached:
            return "unknown: reached, and not spoken to"
        if self._run.status is not RunStatus.COMPLETE:
            return f"not swept, or silent: the run is {self._run.status.value}"
        return "silent, closed, or not in the scope"


def _reasons(unknowns: Iterable[Unknown]) -> str:
    reasons = dict.fromkeys(f"{unknown.stage.value}, {unknown.reason.value}" for unknown in unknowns)
    return f"unknown: {'; '.join(reasons)}"


# -- what it says that is not so ---------------------------------------------------------------------------------------


def _verdict(observations: Iterable[Observation]) -> str:
    """On the records of the exposed service of an endpoint; "" where there is none."""
    judged = [each.genuineness.verdict for each in observations if each.exposed and each.genuineness is not None]
    return judged[0] if judged else ""


def _false_alarms(seen: Mapping[Key, list[Observation]], servers: Mapping[Key, Mapping[str, Any]]) -> Iterator[Wrong]:
    """Exposed where nothing is, and patients where there are none."""
    for key, observations in sorted(seen.items()):
        if not any(each.exposed for each in observations):
            continue
        server = servers.get(key)
        says = f"exposed, {_verdict(observations) or 'not judged'}"
        if server is None:
            yield Wrong(endpoint=f"{IPv4Address(key[0])}:{key[1]}", says=says, truth="no server is there")
        elif not server["exposed"]:
            yield Wrong(endpoint=_text(server), says=says, truth=server["kind"])
        elif _verdict(observations) == PATIENTS and not server["genuine"]:
            yield Wrong(endpoint=_text(server), says=says, truth=server["whose"])


def _genuineness(server: Mapping[str, Any], observations: Iterable[Observation]) -> Iterator[Wrong]:
    """Another kind of records than there are; those that would be patients are false alarms already."""
    verdict = _verdict(observations)
    if verdict not in ("", "unknown", PATIENTS, server["whose"]):
        yield Wrong(endpoint=_text(server), says=verdict, truth=server["whose"])


def _countries_wrong(found: Mapping[Key, Mapping[str, Any]], seen: Mapping[Key, list[Observation]]) -> Iterator[Wrong]:
    for key, server in found.items():
        says = {each.owner.country for each in seen[key] if each.exposed}
        if says != {server["country"]}:
            yield Wrong(endpoint=_text(server), says=", ".join(sorted(says)) or "none", truth=server["country"])


def _counts(server: Mapping[str, Any], observations: Iterable[Observation]) -> Iterator[tuple[Wrong | None, Count]]:
    """Each count of a server, and what is wrong about it."""
    for observation in observations:
        if not observation.exposed:
            continue
        for name in ("studies", "images"):
            count: Count | None = getattr(observation.counts, name)
            if count is None:
                continue
            is_wrong = not inside(count, server[name])
            says = f"{count.kind.value} {count.low} to {'?' if count.high is None else count.high} {name}"
            truth = f"{server[name]} {name}"
            yield Wrong(endpoint=_text(server), says=says, truth=truth) if is_wrong else None, count


# -- totals ------------------------------------------------------------------------------------------------------------


def _totals(truth: Mapping[str, Any], view: View, *, has_patients: bool) -> Iterator[Held]:
    """Images as reported, each once, and of patients; those of patients are judged where the run told any: without a census
    only decoys are told. Studies are for information: a server that caps hides those without a date, which may be many small
    ones."""
    totals, unique = view.totals, view.totals.unique or Unique()
    studies, images = truth["studies"], truth["images"]
    yield Held(name="images", truth=images["raw"], found=totals.images)
    yield Held(name="unique_images", truth=images["unique"], found=unique.images)
    for name, count, found in (
        ("genuine_images", images["genuine_raw"], totals.genuine_images),
        ("unique_genuine_images", images["genuine_unique"], unique.genuine_images),
    ):
        yield Held(name=name, truth=count, found=found, is_judged=has_patients)
    yield Held(name="studies", truth=studies["raw"], found=totals.studies, is_judged=False)
    yield Held(name="unique_studies", truth=studies["unique"], found=unique.studies, is_judged=False)


def _countries(truth: Mapping[str, Any], view: View) -> Iterator[CountryHeld]:
    """Those of the truth and those of the run, the largest first."""
    servers = Counter[str]()
    places = {
        _of(item.service.endpoint): item.observation.owner.country for item in view.services if item.observation.exposed
    }
    servers.update(places.values())
    nothing = {"servers": 0, "images": 0}
    codes = sorted({*truth, *servers}, key=lambda code: (-truth.get(code, nothing)["images"], code))
    for code in codes:
        known, found = truth.get(code, nothing), view.totals.countries.get(code)
        yield CountryHeld(
            code=code,
            servers=known["servers"],
            servers_found=servers[code],
            images=Held(name=code, truth=known["images"], found=found.images if found else None),
        )
