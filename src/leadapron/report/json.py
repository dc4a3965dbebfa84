"""The report for programs: `leadapron/report/1`, held by `schema/report-1.json`. The same view gives the same bytes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from leadapron.model import (
    Census,
    Count,
    Counts,
    Finding,
    Genuineness,
    Moved,
    Observation,
    Run,
    RunStatus,
    SweepFigures,
    Unique,
)
from leadapron.report.tlp import DEFAULT_TLP, tlp_label
from leadapron.report.view import Decision, Totals, View

_SAID = frozenset(
    {
        "studies_elsewhere",
        "own_studies",
        "sign.own",
        "twins",
        "implementations",
        "answers_differ",
        "answers_afterwards",
        "associations",
        "queries",
    }
)
"""Facts of a service that stand in no finding, and that a reader asks for."""

SCHEMA = "leadapron/report/1"
_OF_DELTA = ("since", "part", "parts")


def render_json(view: View, tlp: str = DEFAULT_TLP) -> str:
    """ASCII, so that no text in it can act on a terminal; ends with a line feed. Raises `InputError` for a marking."""
    return json.dumps(document(view, tlp), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def schema() -> Any:
    """The published JSON Schema (draft 2020-12)."""
    file = resources.files("leadapron.report") / "schema" / "report-1.json"
    return json.loads(file.read_text("utf-8"))


def document(view: View, tlp: str = DEFAULT_TLP) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "run": _run(view.run) | {"tlp": tlp_label(tlp)},
        "party": view.party or None,
        "totals": _totals(view.totals),
        "services": [_service(service.observation) for service in view.services],
        "findings": [_finding(finding, view.decisions.get(finding.key)) for finding in view.findings],
        "trend": [_past(run) for run in view.trend],
        "unknowns": [
            {
                "endpoint": unknown.endpoint,
                "stage": unknown.stage.value,
                "reason": unknown.reason.value,
                "count": unknown.count,
            }
            for unknown in view.unknowns
        ],
    }


def _run(run: Run) -> dict[str, object]:
    """A run that still goes on is reported as incomplete."""
    status = RunStatus.INCOMPLETE if run.status is RunStatus.RUNNING else run.status
    return {
        "id": run.id,
        "kind": run.kind,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "status": status.value,
        "why": run.why,
        "version": run.version,
        "vantage": {"kind": run.vantage.kind.value, "name": run.vantage.name},
        "scope_sha256": run.scope_sha256,
        "audit_head": run.audit_head,
        "catalogue": run.catalogue,
        "data": _sorted(run.data),
        "ports": list(run.ports),
        "method": None if run.method is None else dataclasses.asdict(run.method) | {"doors": list(run.method.doors)},
        "sweep": None if run.sweep is None else _sweep(run.sweep),
        "seeds": [dataclasses.asdict(file) | {"skipped": _sorted(file.skipped)} for file in run.seeds],
        "delta": None if run.delta is None else {name: getattr(run.delta, name) for name in _OF_DELTA},
        "cpu_seconds": {stage: round(seconds, 3) for stage, seconds in sorted(run.cpu.items())},
    }


def _sweep(figures: SweepFigures) -> dict[str, object]:
    return {
        "method": figures.method,
        "sent": figures.sent,
        "sent_bytes": figures.sent_bytes,
        "duplicates": figures.duplicates,
        "late": figures.late,
        "invalid": figures.invalid,
        "dropped": figures.dropped,
        "lost": figures.lost,
        "not_sent": _sorted(figures.not_sent),
        "cpu_seconds": round(figures.cpu, 3),
        "memory_bytes": figures.memory,
        "untold": figures.untold,
    }


def _past(run: Run) -> dict[str, object]:
    assert run.summary is not None
    return {
        "run": run.id,
        "started_at": _time(run.started_at),
        "servers": run.summary.servers,
        "exposed_servers": run.summary.exposed_servers,
        "studies": count_document(run.summary.studies),
        "images": count_document(run.summary.images),
        "findings": _sorted(run.summary.findings),
    }


def _totals(totals: Totals) -> dict[str, object]:
    unique = totals.unique or Unique()
    return {
        "endpoints_tried": totals.endpoints_tried,
        "endpoints_reached": totals.endpoints_reached,
        "services": totals.services,
        "exposed_services": totals.exposed_services,
        "studies": count_document(totals.studies),
        "images": count_document(totals.images),
        "unique_studies": count_document(unique.studies),
        "unique_images": count_document(unique.images),
        "unique_genuine_studies": count_document(unique.genuine_studies),
        "unique_genuine_images": count_document(unique.genuine_images),
        "genuine_images": count_document(totals.genuine_images),
        "countries": {
            country: {"services": part.services, "images": count_document(part.images)}
            for country, part in totals.countries.items()
        },
        "doors": {
            door: {
                "servers": part.servers,
                "exposed_servers": part.exposed_servers,
                "images": count_document(part.images),
            }
            for door, part in totals.doors.items()
        },
    }


def _service(observation: Observation) -> dict[str, object]:
    service, product, access = observation.service, observation.product, observation.access
    return {
        "endpoint": {
            "address": str(service.endpoint.address),
            "port": service.endpoint.port,
            "name": service.endpoint.name,
        },
        "protocol": service.protocol,
        "resource": service.resource,
        "product": {
            "name": product.name,
            "version": product.version,
            "confidence": product.confidence,
            "candidates": list(product.candidates),
        },
        "toolkit": product.toolkit,
        "tls": None if observation.tls is None else _sorted(observation.tls),
        "access": {
            "reach": access.reach.value,
            "talk": access.talk.value,
            "list": access.list.value,
            "read": access.read.value,
            "write": access.write.value,
        },
        "counts": _counts(observation.counts),
        "census": _census(observation.census),
        "genuineness": _genuineness(observation.genuineness),
        "owner": {
            "grant": observation.owner.grant,
            "party": observation.owner.party,
            "country": observation.owner.country,
            "city": observation.owner.city,
            "as_number": observation.owner.as_number,
            "as_name": observation.owner.as_name,
        },
        "facts": _sorted({key: value for key, value in observation.facts.items() if key in _SAID}),
        "middlebox": observation.middlebox,
        "certified": observation.certified,
    }


def _counts(counts: Counts) -> dict[str, object]:
    return {
        "patients": count_document(counts.patients),
        "studies": count_document(counts.studies),
        "series": count_document(counts.series),
        "images": count_document(counts.images),
        "worklist": count_document(counts.worklist),
    }


def _finding(finding: Finding, decision: Decision | None) -> dict[str, object]:
    service = finding.service
    return {
        "key": finding.key,
        "control": finding.control,
        "title": finding.title,
        "severity": finding.severity.value,
        "service": {
            "address": str(service.endpoint.address),
            "port": service.endpoint.port,
            "protocol": service.protocol,
            "resource": service.resource,
        },
        "evidence": _sorted(finding.evidence),
        "remedy": finding.remedy,
        "status": finding.status.value,
        "first_seen": _time(finding.first_seen),
        "last_seen": _time(finding.last_seen),
        "moved_from": _moved(finding.moved_from),
        "moved_to": _moved(finding.moved_to),
        "disposition": None if decision is None else disposition(decision),
    }


def _moved(moved: Moved | None) -> dict[str, object] | None:
    if moved is None:
        return None
    return {
        "key": moved.key,
        "address": str(moved.endpoint.address),
        "port": moved.endpoint.port,
        "because": list(moved.because),
    }


def disposition(decision: Decision) -> dict[str, object]:
    decided = decision.disposition
    return {
        "kind": decided.kind.value,
        "until": None if decided.until is None else decided.until.isoformat(),
        "expired": decision.is_expired,
        "owner": decided.owner,
        "why": decided.why,
    }


def count_document(count: Count | None) -> dict[str, object] | None:
    if count is None:
        return None
    return {
        "value": count.value,
        "low": count.low,
        "high": count.high,
        "kind": count.kind.value,
        "source": count.source.value,
    }


def _census(census: Census | None) -> dict[str, object] | None:
    return None if census is None else {"sampled": census.sampled, "present": _sorted(census.present)}


def _genuineness(genuineness: Genuineness | None) -> dict[str, object] | None:
    if genuineness is None:
        return None
    return {
        "verdict": genuineness.verdict,
        "score": genuineness.score,
        "signals": list(genuineness.signals),
    }


def _sorted(mapping: Mapping[str, object]) -> dict[str, object]:
    return dict(sorted(mapping.items()))


def _time(time: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds: `2026-11-23T17:52:00Z`."""
    return None if time is None else time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
