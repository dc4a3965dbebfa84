"""Changes as lines for people, and for programs: `leadapron/changes/1`, held by `schema/changes-1.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from leadapron.model import Run
from leadapron.report.changes import Change, Changed, Changes
from leadapron.report.feeds_csv import time
from leadapron.report.inert import plain
from leadapron.report.json import count_document
from leadapron.report.tlp import DEFAULT_TLP, tlp_label

SCHEMA = "leadapron/changes/1"

_WORDS = {
    Change.OPENED: "opened",
    Change.REOPENED: "reopened",
    Change.SEEN_AGAIN: "seen again",
    Change.STANDING: "still open",
    Change.CLOSED: "closed",
    Change.MOVED: "moved",
    Change.NOT_OBSERVED: "not observed",
    Change.NOT_ASKED: "not looked for",
    Change.PASSED: "opened and settled in between",
}

_COLUMNS = {
    Change.OPENED: "opened",
    Change.REOPENED: "reopened",
    Change.CLOSED: "closed",
    Change.MOVED: "moved",
    Change.NOT_OBSERVED: "unseen",
    Change.STANDING: "standing",
}


def changes_schema() -> Any:
    """The published JSON Schema (draft 2020-12)."""
    file = resources.files("leadapron.report") / "schema" / "changes-1.json"
    return json.loads(file.read_text("utf-8"))


def changes_document(changes: Changes, tlp: str = DEFAULT_TLP) -> dict[str, object]:
    """Raises InputError for a marking."""
    return {
        "schema": SCHEMA,
        "tlp": tlp_label(tlp),
        "run": _run(changes.run),
        "since": _run(changes.since),
        "differs": list(changes.differs),
        "by": changes.by.value,
        "totals": {
            change.value: {"findings": count, "severities": _values(changes.severities(change))}
            for change, count in changes.count().items()
        },
        "groups": [{"group": group.name, **_values(changes.count(group))} for group in changes.groups],
        "findings": [_finding(each) for each in changes.changed if each.change is not Change.STANDING],
    }


def render_changes_json(changes: Changes, tlp: str = DEFAULT_TLP) -> str:
    """ASCII; ends with a line feed."""
    return json.dumps(changes_document(changes, tlp), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def changes_lines(changes: Changes) -> Iterator[str]:
    """Sums first, then a line for each finding that changed; none is wrapped."""
    run, since = changes.run, changes.since
    yield f"Scope {plain(run.scope_id)} from the {run.vantage.kind.value}: {_named(run)} since {_named(since)}"
    if changes.differs:
        yield f"They differ in {', '.join(changes.differs)}: what opened may have been there before."
    yield ""
    for change, count in changes.count().items():
        parts = ", ".join(
            f"{number:,} {severity.value}" for severity, number in changes.severities(change).items() if number
        )
        yield f"{_WORDS[change]:30} {count:>7,}" + (f"  ({parts})" if parts else "")
    yield from _by_group(changes)
    listed = [each for each in changes.changed if each.change is not Change.STANDING]
    if listed:
        yield ""
    for each in listed:
        yield _line(each)


def _by_group(changes: Changes) -> Iterator[str]:
    """A table that fits 80 columns."""
    yield ""
    yield f"{changes.by.value:24} " + "".join(f"{title:>9}" for title in _COLUMNS.values())
    for group in changes.groups:
        counts = changes.count(group)
        yield f"{plain(group.name)[:24]:24} " + "".join(f"{counts[change]:>9,}" for change in _COLUMNS)


def _named(run: Run) -> str:
    status = "" if run.status.value == "complete" else f", {run.status.value}"
    return f"run {run.id} ({time(run.started_at)}{status})"


def _line(changed: Changed) -> str:
    finding = changed.finding
    service = finding.service
    place = " ".join(filter(None, (str(service.endpoint), service.protocol, plain(service.resource))))
    moved = f", now at {finding.moved_to.endpoint}" if finding.moved_to is not None else ""
    what = f"{finding.severity.value} {finding.control} {plain(finding.title)}"
    return f"{_WORDS[changed.change]}: {what}: {place}{moved} [{plain(changed.group.name)}] {finding.key}"


def _run(run: Run) -> dict[str, object]:
    summary = run.summary
    return {
        "id": run.id,
        "scope": run.scope_id,
        "vantage": run.vantage.kind.value,
        "started_at": time(run.started_at),
        "finished_at": time(run.finished_at) or None,
        "status": run.status.value,
        "catalogue": run.catalogue,
        "servers": None if summary is None else summary.servers,
        "exposed_servers": None if summary is None else summary.exposed_servers,
        "studies": None if summary is None else count_document(summary.studies),
        "images": None if summary is None else count_document(summary.images),
    }


def _finding(changed: Changed) -> dict[str, object]:
    finding, service = changed.finding, changed.finding.service
    return {
        "change": changed.change.value,
        "group": changed.group.name,
        "key": finding.key,
        "control": finding.control,
        "title": finding.title,
        "severity": finding.severity.value,
        "address": str(service.endpoint.address),
        "port": service.endpoint.port,
        "protocol": service.protocol,
        "resource": service.resource,
        "status": finding.status.value,
        "first_seen": time(finding.first_seen) or None,
        "last_seen": time(finding.last_seen) or None,
        "moved_to": None if finding.moved_to is None else str(finding.moved_to.endpoint),
    }


def _values(counted: Mapping[Any, int]) -> dict[str, object]:
    return {each.value: count for each, count in counted.items()}
