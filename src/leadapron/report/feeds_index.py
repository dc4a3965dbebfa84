"""What stands in a folder of feeds: `leadapron/feeds/1`, held by `schema/feeds-1.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

from leadapron.model import Count, Observation, RunStatus, Severity
from leadapron.report.feeds import Feed, Feeds
from leadapron.report.feeds_csv import time
from leadapron.report.json import count_document
from leadapron.report.tlp import tlp_label
from leadapron.report.view import only_worklist, service_identity, total

SCHEMA = "leadapron/feeds/1"
INDEX = "index.json"


def feeds_schema() -> Any:
    """The published JSON Schema (draft 2020-12)."""
    file = resources.files("leadapron.report") / "schema" / "feeds-1.json"
    return json.loads(file.read_text("utf-8"))


def feeds_document(feeds: Feeds, files: Iterable[tuple[Feed, str, str]], tlp: str) -> dict[str, object]:
    """`files`: each feed with its file's name and SHA-256. Raises InputError for a marking."""
    run = feeds.run
    status = RunStatus.INCOMPLETE if run.status is RunStatus.RUNNING else run.status
    return {
        "schema": SCHEMA,
        "tlp": tlp_label(tlp),
        "run": {
            "id": run.id,
            "scope": run.scope_id,
            "vantage": run.vantage.kind.value,
            "started_at": time(run.started_at),
            "finished_at": time(run.finished_at) or None,
            "status": status.value,
        },
        "by": feeds.by.value,
        "feeds": [_feed(feed, name, digest) for feed, name, digest in files],
        "left_out": {"false_positive": feeds.false_positives},
        "unknowns": feeds.unknowns,
    }


def render_index(document: dict[str, object]) -> str:
    """ASCII; ends with a line feed."""
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _feed(feed: Feed, name: str, digest: str) -> dict[str, object]:
    exposed = _exposed(feed)
    findings = [entry.finding for entry in feed.entries]
    return {
        "group": feed.group.name,
        "file": name,
        "sha256": digest,
        "findings": len(findings),
        "severities": {severity.value: sum(each.severity is severity for each in findings) for severity in Severity},
        "endpoints": len({(each.service.endpoint.address, each.service.endpoint.port) for each in findings}),
        "exposed_services": len(exposed),
        "studies": _sum(exposed, "studies"),
        "images": _sum(exposed, "images"),
    }


def _exposed(feed: Feed) -> list[Observation]:
    """Each service once, whatever the number of its findings."""
    seen = {service_identity(entry.seen.service): entry.seen for entry in feed.entries if entry.seen is not None}
    return [observation for observation in seen.values() if observation.exposed]


def _sum(exposed: Iterable[Observation], name: str) -> dict[str, object] | None:
    counts: list[Count | None] = [getattr(each.counts, name) for each in exposed if not only_worklist(each)]
    return count_document(total(counts))
