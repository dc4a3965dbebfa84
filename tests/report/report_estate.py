"""An estate as a run would have seen it: judged by the real catalogue, nothing made up but the numbers."""

from __future__ import annotations

import dataclasses
import datetime as dt
from ipaddress import ip_address

from leadapron.assess.judge import judge
from leadapron.model import (
    Access,
    Census,
    Count,
    CountKind,
    Counts,
    CountSource,
    Disposition,
    DispositionKind,
    Endpoint,
    Failed,
    Finding,
    FindingStatus,
    Method,
    Moved,
    Observation,
    Owner,
    Product,
    Reason,
    Run,
    RunStatus,
    Service,
    Stage,
    Unknown,
    Vantage,
    VantageKind,
    Verdict,
)
from leadapron.report.view import Decision, View, build_view

STARTED = dt.datetime(2026, 11, 23, 17, 52, tzinfo=dt.UTC)
OWN = Owner(grant="own-estate-2026", country="DE", city="Mainz", as_number=64500, as_name="Example Net")
PARTNER = Owner(grant="teleradiology-2026", party="Example Teleradiology", country="IT")
FINDS = {f"context.{name}": True for name in ("verification", "study_find", "patient_find")}
OPEN = {
    "associated": True,
    "rejected": False,
    "called_title_enforced": False,
    "calling_title_enforced": False,
    **FINDS,
    "context.study_move": True,
    "context.study_get": True,
    "context.patient_get": False,
    "context.ct_storage": True,
    "context.mr_storage": True,
    "context.cr_storage": False,
    "context.sc_storage": True,
    "service_classes": 3,
    "associations": 4,
    "queries": 9,
}

METHOD = Method(connections_per_second=500, per_network=100, associations=12, queries=40, answers=20_000, seconds=60)
RUN = Run(
    id="20261123-175200-4f2a",
    kind="audit",
    scope_id="own-estate",
    scope_sha256="6f2d" * 16,
    vantage=Vantage(kind=VantageKind.INTERNET, name="vm-frankfurt-1"),
    version="0.1.0",
    started_at=STARTED,
    finished_at=STARTED + dt.timedelta(minutes=41),
    status=RunStatus.COMPLETE,
    audit_head="9c1b" * 16,
    endpoints_tried=1024,
    endpoints_reached=39,
    ports=(104, 2762, 4242, 11112),
    method=METHOD,
    data={"country": "Test-Country, 2026-11-20", "city": "Test-City, 2026-11-21", "asn": "Test-ASN, 2026-11-22"},
)


def bound(low: int, high: int | None = None, source: CountSource = CountSource.ENUMERATED) -> Count:
    return Count(value=low, low=low, high=high, kind=CountKind.BOUND, source=source)


def seen(address: str, port: int = 104, *, resource: str = "ANY-SCP", name: str = "", **parts: object) -> Observation:
    service = Service(
        endpoint=Endpoint(address=ip_address(address), port=port, name=name), protocol="dicom", resource=resource
    )
    defaults: dict[str, object] = {"owner": OWN, "access": Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN)}
    return Observation(service=service, **defaults | parts)  # type: ignore[arg-type]


def exposed(address: str, port: int = 104, **parts: object) -> Observation:
    access = Access(
        reach=Verdict.PROVEN,
        talk=Verdict.PROVEN,
        list=Verdict.PROVEN,
        read=Verdict.OFFERED,
        write=Verdict.OFFERED,
    )
    return seen(address, port, **{"access": access, "facts": OPEN} | parts)


def closed(address: str, verdict: Verdict, **parts: object) -> Observation:
    """A service that is not exposed, and what it said to listing."""
    return seen(address, **{"access": Access(reach=Verdict.PROVEN, list=verdict)} | parts)  # type: ignore[arg-type]


def estate() -> list[Observation]:
    refused = Access(
        reach=Verdict.PROVEN,
        talk=Verdict.REFUSED,
        list=Verdict.REFUSED,
        read=Verdict.REFUSED,
        write=Verdict.REFUSED,
    )
    stored = Access(
        reach=Verdict.PROVEN,
        talk=Verdict.PROVEN,
        list=Verdict.REFUSED,
        read=Verdict.REFUSED,
        write=Verdict.OFFERED,
    )
    return [
        exposed(
            "198.18.0.12",
            4242,
            name="pacs.hospital.example",
            counts=Counts(studies=Count.exact(3890), series=Count.exact(11_204), images=Count.exact(412_730)),
            product=Product(name="Orthanc", version="1.12.4", confidence="source", toolkit="DCMTK 3.6.8"),
            facts=OPEN | {"find_answers": 3890, "find_capped": False},
            census=Census(
                sampled=25,
                present={"PatientName": 25, "PatientID": 24, "PatientAddress": 11, "ReferringPhysicianName": 19},
            ),
        ),
        exposed(
            "198.18.0.41",
            11112,
            owner=PARTNER,
            counts=Counts(studies=bound(100), images=bound(8_412, source=CountSource.CLAIMED)),
            product=Product(candidates=("dcm4chee-arc", "Karnak"), toolkit="dcm4che 5.31"),
            facts=OPEN | {"find_answers": 100, "find_capped": True},
            unknowns=(Failed(stage=Stage.COUNT, reason=Reason.LIMIT),),
        ),
        exposed(
            "2001:db8:18::4f0:1",
            104,
            owner=PARTNER,
            name="archive.teleradiology.example",
            counts=Counts(
                studies=Count.exact(220),
                images=Count(
                    value=61_000,
                    low=54_000,
                    high=68_000,
                    kind=CountKind.ESTIMATE,
                    source=CountSource.SAMPLED,
                ),
            ),
            product=Product(toolkit="pynetdicom 3.0.1"),
            facts=OPEN | {"find_answers": 220, "find_capped": False, "census_withheld": True},
        ),
        exposed(
            "198.18.0.77",
            104,
            resource="WORKLIST",
            access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=Verdict.PROVEN, read=Verdict.REFUSED),
            counts=Counts(worklist=Count.exact(86)),
            product=Product(name="wlmscpfs", toolkit="DCMTK 3.6.7"),
            facts={
                "associated": True,
                "called_title_enforced": True,
                "calling_title_enforced": False,
                "context.worklist_find": True,
                "context.verification": True,
                "service_classes": 1,
                "worklist_answers": 86,
                "queries": 2,
            },
        ),
        seen("198.18.0.20", 104, access=stored, facts=OPEN | {"context.study_get": False, "service_classes": 1}),
        seen(
            "198.18.0.21",
            11112,
            resource="",
            access=refused,
            facts={"associated": False, "rejected": True, "called_title_enforced": True},
        ),
        seen(
            "198.18.0.22",
            11112,
            resource="",
            access=refused,
            facts={"associated": False, "rejected": True, "calling_title_enforced": True},
        ),
        seen(
            "198.18.0.23",
            104,
            access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=Verdict.UNKNOWN),
            facts={"associated": True, "called_title_enforced": False, "calling_title_enforced": False},
            unknowns=(Failed(stage=Stage.LIST, reason=Reason.EMPTY),),
        ),
        seen("198.18.0.24", 104, access=refused, resource="", facts={"associated": False, "rejected": True}),
    ]


UNKNOWNS = (
    Unknown(endpoint="198.18.0.24:4242", stage=Stage.HANDSHAKE, reason=Reason.RESET),
    Unknown(endpoint="198.18.0.64/28 port 104", stage=Stage.CONNECT, reason=Reason.TIMEOUT, count=16),
    Unknown(endpoint="198.18.0.31:104", stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL),
    Unknown(endpoint="198.18.0.200-198.18.0.219 port 104", stage=Stage.HANDSHAKE, reason=Reason.MIDDLEBOX, count=20),
)


def findings_of(observations: list[Observation], kind: VantageKind = VantageKind.INTERNET) -> list[Finding]:
    return [
        dataclasses.replace(finding, first_seen=STARTED, last_seen=STARTED)
        for observation in observations
        for finding in judge(observation, kind)
    ]


def history() -> list[Finding]:
    """What earlier runs saw broken and this one did not: closed at a service that was seen, gone, out of the way, and at
    another place by now."""
    earlier = STARTED - dt.timedelta(days=30)
    here, gone, elsewhere = exposed("198.18.0.20"), exposed("198.18.0.90"), exposed("203.0.113.7")
    moved = exposed("198.18.0.91")
    standings = (
        (here, FindingStatus.CLOSED),
        (gone, FindingStatus.NOT_OBSERVED),
        (moved, FindingStatus.MOVED),
        (elsewhere, FindingStatus.OPEN),
    )
    there = Endpoint(address=ip_address("198.18.0.20"), port=11112)
    to = Moved(key="5" * 16, endpoint=there, because=("content", "key"))
    return [
        dataclasses.replace(
            finding,
            status=status,
            first_seen=earlier,
            last_seen=earlier,
            moved_to=to if status is FindingStatus.MOVED else None,
        )
        for observation, status in standings
        for finding in findings_of([observation])
        if finding.control == "LA-11"
    ]


def moved_here() -> Finding:
    """A finding of this run whose service was elsewhere before."""
    (finding,) = (each for each in findings_of([exposed("198.18.0.20")]) if each.control == "LA-11")
    before = Endpoint(address=ip_address("198.18.0.91"), port=104)
    moved = Moved(key="6" * 16, endpoint=before, because=("name",))
    return dataclasses.replace(finding, status=FindingStatus.OPEN, moved_from=moved)


def decision(
    key: str, kind: DispositionKind = DispositionKind.ACCEPTED, *, text: str = "CISO", is_expired: bool = False
) -> Decision:
    """About the finding of this key, until the day before the last of 2026; `text` as owner and reason."""
    disposition = Disposition(
        key=key,
        kind=kind,
        until=dt.date(2026, 12, 30),
        owner=text,
        why=text,
        recorded_at=STARTED,
        recorded_by=text,
    )
    return Decision(disposition=disposition, is_expired=is_expired)


def make_view(observations: list[Observation] | None = None, **changes: object) -> View:
    observations = estate() if observations is None else observations
    run = dataclasses.replace(RUN, **changes)  # type: ignore[arg-type]
    return build_view(run, observations, findings_of(observations, run.vantage.kind), UNKNOWNS)
