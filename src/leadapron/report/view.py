"""What a report says, before it is said in any format: one model for terminal, HTML, JSON and CSV."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadapron.model import (
    Count,
    CountKind,
    Disposition,
    Endpoint,
    Finding,
    FindingStatus,
    Observation,
    Reason,
    Run,
    RunStatus,
    Service,
    Severity,
    Stage,
    Unique,
    Unknown,
    Verdict,
)
from leadapron.report.concentration import SOURCES_BY_WEIGHT, Concentration, concentration

ACTIVE = frozenset({FindingStatus.NEW, FindingStatus.OPEN, FindingStatus.REOPENED})


def is_active(finding: Finding, run: Run) -> bool:
    """Whether the run saw it broken. Else it is history, was not seen this time, or lies outside of the run's scope:
    listed, but not counted."""
    return finding.status in ACTIVE and finding.last_seen in (None, run.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryTotals:
    """Of exposed services only."""

    services: int
    images: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorTotals:
    """Of one protocol, by which some servers answered."""

    servers: int
    exposed_servers: int
    images: Count | None
    """of its exposed services, as reported"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts are sums over exposed services, as reported: one archive behind two doors counts twice.

    `services` leaves middleboxes out. `servers` are distinct endpoints: two titles on one port are two services of one.
    `unique` has each study once, of all exposed services and of those that show patients; None where nobody counted.
    `genuine_images` are those of services that show patients; where some are not judged it is a bound, and None where none
    is.
    """

    endpoints_tried: int
    endpoints_reached: int
    services: int
    exposed_services: int
    servers: int
    exposed_servers: int
    listing: Mapping[Verdict, int]
    """the other servers: those that refused, that are unknown, that were not asked"""
    patients: Count | None
    studies: Count | None
    images: Count | None
    worklist: Count | None
    unique: Unique | None = None
    genuine_images: Count | None = None
    countries: Mapping[str, CountryTotals]
    doors: Mapping[str, DoorTotals]
    """by protocol, those with most open servers first"""
    concentration: Concentration | None = None
    """of the images, as reported; a server that serves only a worklist, or tells no number, is no part of it"""
    findings: Mapping[Severity, int]
    """active ones, the worst severity first, each severity present"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """A service with the findings that the run saw, the worst first. `severity` is that of the worst."""

    observation: Observation
    findings: tuple[Finding, ...]
    severity: Severity | None

    @property
    def service(self) -> Service:
        return self.observation.service


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlView:
    """The active findings of one control, the worst first."""

    control: str
    severity: Severity
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownView:
    """What could not be seen for one reason: `count` targets at `places`, which are sorted."""

    stage: Stage
    reason: Reason
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A disposition on the day of the report."""

    disposition: Disposition
    is_expired: bool
    """it no longer excuses the finding"""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Services: exposed ones first, then by severity and by what they hold. Findings: the worst first."""

    run: Run
    totals: Totals
    services: tuple[ServiceView, ...]
    findings: tuple[Finding, ...]
    controls: tuple[ControlView, ...]
    unknowns: tuple[Unknown, ...]
    unknown_groups: tuple[UnknownView, ...]
    history: tuple[Finding, ...]
    """findings of earlier runs that this run did not see broken: closed, not observed, or not looked at"""
    decisions: Mapping[str, Decision]
    """by the key of a finding; they mark findings, and change no number"""
    trend: tuple[Run, ...] = ()
    """runs of the same scope to compare with, the oldest first and this one last; empty where there are none"""
    party: str = ""
    """whose part of the scope this is; "": all of it"""

    @property
    def studies(self) -> Count | None:
        """That anyone can list: each once, where that is known."""
        unique = self.totals.unique
        return self.totals.studies if unique is None or unique.studies is None else unique.studies

    @property
    def images(self) -> Count | None:
        """Those behind `studies`."""
        unique = self.totals.unique
        return self.totals.images if unique is None or unique.images is None else unique.images

    @property
    def excused(self) -> frozenset[str]:
        """The keys of findings that fail no audit today."""
        return frozenset(key for key, decision in self.decisions.items() if not decision.is_expired)

    @property
    def decided(self) -> tuple[tuple[Finding, Decision], ...]:
        """The findings about which something was decided."""
        return tuple(
            (finding, self.decisions[finding.key]) for finding in self.findings if finding.key in self.decisions
        )

    @property
    def exposed(self) -> tuple[ServiceView, ...]:
        return tuple(service for service in self.services if service.observation.exposed)

    @property
    def refused(self) -> tuple[ServiceView, ...]:
        """A positive answer: no."""
        return tuple(service for service in self._not_exposed if service.observation.access.list is Verdict.REFUSED)

    @property
    def unsettled(self) -> tuple[ServiceView, ...]:
        """Neither exposed nor refused: asked without an answer that settles it, or not asked."""
        asked = _asked(item.observation for item in self.services)
        return tuple(
            item
            for item in self._not_exposed
            if item.observation.access.list is not Verdict.REFUSED and not _is_a_front(item.observation, asked)
        )

    @property
    def certified(self) -> tuple[ServiceView, ...]:
        """What our client certificate opened: in no total, since no stranger sees it."""
        return tuple(service for service in self.services if service.observation.certified)

    @property
    def _not_exposed(self) -> Iterable[ServiceView]:
        return (item for item in self.services if not item.observation.exposed and _is_a_strangers(item.observation))

    @property
    def unspoken(self) -> int:
        """Endpoints that were reached, and that the scope or a stop kept from being spoken to."""
        return self._at_handshake(Reason.OUT_OF_SCOPE, Reason.STOPPED)

    @property
    def alike(self) -> int:
        """Endpoints of middleboxes."""
        return self._at_handshake(Reason.MIDDLEBOX)

    def _at_handshake(self, *reasons: Reason) -> int:
        return sum(
            unknown.count for unknown in self.unknowns if unknown.stage is Stage.HANDSHAKE and unknown.reason in reasons
        )

    @property
    def is_settled(self) -> bool:
        """Whether the run is complete, and everything that was reached was spoken to and gave a clear answer.

        Without it nothing may be called clear. Of a part of the scope it is never known: silent places are nobody's.
        """
        whole = self.run.status is RunStatus.COMPLETE and not self.party
        return whole and not self.unsettled and not self.unspoken


def build_view(
    run: Run,
    observations: Iterable[Observation],
    findings: Iterable[Finding],
    unknowns: Iterable[Unknown],
    decisions: Mapping[str, Decision] | None = None,
) -> View:
    """The order of what is given makes no difference. Each observation's own unknowns join `unknowns`."""
    observed = tuple(observations)
    sorted_findings = tuple(sorted(findings, key=_finding_order))
    active = tuple(finding for finding in sorted_findings if is_active(finding, run))
    everything_unknown = _unknowns(observed, unknowns)
    return View(
        run=run,
        totals=_totals(run, observed, active),
        services=_services(observed, active),
        findings=sorted_findings,
        controls=_controls(active),
        unknowns=everything_unknown,
        unknown_groups=_unknown_groups(everything_unknown),
        history=tuple(finding for finding in sorted_findings if not is_active(finding, run)),
        decisions=decisions or {},
    )


def total(counts: Sequence[Count | None]) -> Count | None:
    """The sum. Exact only if every part is; a part that is None or without upper bound leaves the sum without one.

    None where no part is known.
    """
    known = [count for count in counts if count is not None]
    if not known:
        return None
    kinds = {count.kind for count in known}
    highs = [count.high for count in known if count.high is not None]
    unbounded = len(highs) < len(counts)
    kind = CountKind.EXACT
    if unbounded or CountKind.BOUND in kinds:
        kind = CountKind.BOUND
    elif CountKind.ESTIMATE in kinds:
        kind = CountKind.ESTIMATE
    return Count(
        value=sum(count.value for count in known),
        low=sum(count.low for count in known),
        high=None if unbounded else sum(highs),
        kind=kind,
        source=max((count.source for count in known), key=SOURCES_BY_WEIGHT.index),
    )


def place(endpoint: Endpoint) -> tuple[int, int, int, str]:
    """A sort key: IPv4 before IPv6, then by address, port and name."""
    return endpoint.address.version, int(endpoint.address), endpoint.port, endpoint.name


def _service_place(service: Service) -> tuple[tuple[int, int, int, str], str, str]:
    return place(service.endpoint), service.protocol, service.resource


def _finding_order(finding: Finding) -> tuple[Any, ...]:
    return -finding.severity.rank, finding.control, _service_place(finding.service), finding.key


def _totals(run: Run, observations: Sequence[Observation], active: Sequence[Finding]) -> Totals:
    services = [observation for observation in observations if _is_a_strangers(observation)]
    exposed = [observation for observation in services if observation.exposed]
    return Totals(
        endpoints_tried=run.endpoints_tried,
        endpoints_reached=run.endpoints_reached,
        services=len(services),
        exposed_services=len(exposed),
        servers=_servers(services),
        exposed_servers=_servers(exposed),
        listing=_listing(services),
        patients=_sum(exposed, "patients"),
        studies=_sum(exposed, "studies"),
        images=_sum(exposed, "images"),
        worklist=total([item.counts.worklist for item in exposed if item.counts.worklist is not None]),
        unique=run.unique,
        genuine_images=_genuine(exposed),
        countries=_countries(exposed),
        doors=_doors(services),
        concentration=concentration(item.counts.images for item in exposed),
        findings={severity: sum(finding.severity is severity for finding in active) for severity in Severity},
    )


def _is_a_strangers(observation: Observation) -> bool:
    return not (observation.middlebox or observation.certified)


def _servers(observations: Iterable[Observation]) -> int:
    return len({_server(observation) for observation in observations})


def _asked(observations: Iterable[Observation]) -> frozenset[object]:
    """Servers of which something was asked whether it lists."""
    return frozenset(_server(item) for item in observations if item.access.list is not Verdict.NOT_ASKED)


def _is_a_front(observation: Observation, asked: Collection[object]) -> bool:
    """Whether it is only the way to what was asked: a login, or a front page, with shares or paths behind it."""
    is_asked = observation.access.list is not Verdict.NOT_ASKED
    return not (is_asked or observation.service.resource) and _server(observation) in asked


def _server(observation: Observation) -> tuple[int, int, int]:
    return place(observation.service.endpoint)[:3]


def _listing(services: Sequence[Observation]) -> dict[Verdict, int]:
    by_server: dict[object, set[Verdict]] = defaultdict(set)
    asked = _asked(services)
    for item in services:
        if _is_a_front(item, asked):
            continue
        verdict = Verdict.PROVEN if item.exposed else item.access.list
        by_server[_server(item)].add(verdict)
    counted = Counter(map(_weakest, by_server.values()))
    return {verdict: counted[verdict] for verdict in (Verdict.REFUSED, Verdict.UNKNOWN, Verdict.NOT_ASKED)}


def _weakest(verdicts: set[Verdict]) -> Verdict:
    """What stands for a server with several services: it refused only if each of them did."""
    for verdict in (Verdict.PROVEN, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.REFUSED if verdicts == {Verdict.REFUSED} else Verdict.NOT_ASKED


def _sum(exposed: Iterable[Observation], name: str) -> Count | None:
    """Over archives: a server that only serves a worklist has no studies to miss in the sum."""
    return total([getattr(item.counts, name) for item in exposed if not only_worklist(item)])


def _genuine(exposed: Sequence[Observation]) -> Count | None:
    verdicts = ["unknown" if item.genuineness is None else item.genuineness.verdict for item in exposed]
    if set(verdicts) <= {"unknown"}:
        return None
    patients = [item for item, verdict in zip(exposed, verdicts, strict=True) if verdict == "patients"]
    counted = _sum(patients, "images") if patients else Count.exact(0)
    if counted is None or "unknown" not in verdicts:
        return counted
    return Count.at_least(counted.low, counted.source)


def only_worklist(observation: Observation) -> bool:
    """Whether it serves a worklist and no archive: it has no studies to miss."""
    counts = observation.counts
    archive = (counts.patients, counts.studies, counts.series, counts.images)
    finds = (observation.facts.get("context.study_find"), observation.facts.get("context.patient_find"))
    return counts.worklist is not None and not any(archive) and True not in finds


def _countries(exposed: Iterable[Observation]) -> dict[str, CountryTotals]:
    by_country: dict[str, list[Observation]] = defaultdict(list)
    for observation in exposed:
        by_country[observation.owner.country].append(observation)
    return {
        country: CountryTotals(services=len(items), images=_sum(items, "images"))
        for country, items in sorted(by_country.items())
    }


def _doors(services: Iterable[Observation]) -> dict[str, DoorTotals]:
    by_door: dict[str, list[Observation]] = defaultdict(list)
    for observation in services:
        by_door[observation.service.protocol].append(observation)
    totals = {
        door: DoorTotals(
            servers=_servers(items),
            exposed_servers=_servers(item for item in items if item.exposed),
            images=_sum([item for item in items if item.exposed], "images"),
        )
        for door, items in by_door.items()
    }
    return dict(sorted(totals.items(), key=lambda one: (-one[1].exposed_servers, -one[1].servers, one[0])))


def _services(observations: Iterable[Observation], active: Sequence[Finding]) -> tuple[ServiceView, ...]:
    by_service: dict[object, list[Finding]] = defaultdict(list)
    for finding in active:
        by_service[service_identity(finding.service)].append(finding)
    views = [_service(seen, tuple(by_service[service_identity(seen.service)])) for seen in observations]
    return tuple(sorted(views, key=_service_order))


def service_identity(service: Service) -> tuple[str, int, str, str]:
    """Without the name: a stored finding keeps the name under which it was first seen."""
    return str(service.endpoint.address), service.endpoint.port, service.protocol, service.resource


def _service(observation: Observation, findings: tuple[Finding, ...]) -> ServiceView:
    worst = max((finding.severity for finding in findings), key=lambda severity: severity.rank, default=None)
    return ServiceView(observation=observation, findings=findings, severity=worst)


def _service_order(view: ServiceView) -> tuple[Any, ...]:
    counts = view.observation.counts
    rank = -1 if view.severity is None else view.severity.rank
    held = tuple(-(count.low if count else 0) for count in (counts.studies, counts.images, counts.worklist))
    return not view.observation.exposed, -rank, held, _service_place(view.service)


def _controls(active: Iterable[Finding]) -> tuple[ControlView, ...]:
    by_control: dict[str, list[Finding]] = defaultdict(list)
    for finding in active:
        by_control[finding.control].append(finding)
    views = [
        ControlView(control=control, severity=items[0].severity, findings=tuple(items))
        for control, items in by_control.items()
    ]
    return tuple(sorted(views, key=lambda view: (-view.severity.rank, view.control)))


def _unknowns(observations: Iterable[Observation], unknowns: Iterable[Unknown]) -> tuple[Unknown, ...]:
    """One per place, stage and reason; where a service repeats what the run already says, the larger count stands."""
    own = (
        Unknown(endpoint=str(observation.service.endpoint), stage=failed.stage, reason=failed.reason)
        for observation in observations
        for failed in observation.unknowns
    )
    merged: dict[tuple[str, Stage, Reason], int] = {}
    for unknown in (*unknowns, *own):
        key = (unknown.endpoint, unknown.stage, unknown.reason)
        merged[key] = max(merged.get(key, 0), unknown.count)
    stages = list(Stage)
    return tuple(
        Unknown(endpoint=endpoint, stage=stage, reason=reason, count=count)
        for (endpoint, stage, reason), count in sorted(
            merged.items(), key=lambda item: (stages.index(item[0][1]), item[0][2], -item[1], item[0][0])
        )
    )


def _unknown_groups(unknowns: Iterable[Unknown]) -> tuple[UnknownView, ...]:
    groups: dict[tuple[Stage, Reason], list[Unknown]] = defaultdict(list)
    for unknown in unknowns:
        groups[unknown.stage, unknown.reason].append(unknown)
    return tuple(
        UnknownView(
            stage=stage,
            reason=reason,
            count=sum(unknown.count for unknown in items),
            places=tuple(unknown.endpoint for unknown in items),
        )
        for (stage, reason), items in groups.items()
    )
