"""A feed for spreadsheets and mail: one row per finding. RFC 4180, UTF-8; each row carries its marking."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Sequence

from leadapron.model import Count, Run
from leadapron.report.csv import written
from leadapron.report.feeds import Entry, Feed
from leadapron.report.tlp import tlp_label

COLUMNS = (
    *("time", "address", "port", "transport", "protocol", "name", "resource"),
    *("control", "severity", "title", "status", "exposed", "studies_low", "images_low", "genuineness", "product"),
    *("country", "as_number", "as_name", "first_seen", "last_seen", "vantage", "remedy", "key", "run", "tlp"),
)


def render_feed_csv(feed: Feed, run: Run, tlp: str) -> Iterator[str]:
    """Line by line; no cell starts what a spreadsheet would compute. Raises InputError for a marking."""
    label = tlp_label(tlp)
    yield _line(COLUMNS)
    for entry in feed.entries:
        row = _finding(entry) | _service(entry) | {"vantage": run.vantage.kind.value, "run": run.id, "tlp": label}
        yield _line([row[column] for column in COLUMNS])


def time(moment: dt.datetime | None) -> str:
    """RFC 3339, in UTC, whole seconds."""
    return "" if moment is None else moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def low(count: Count | None) -> int | None:
    """What is there at least."""
    return None if count is None else count.low


def _line(cells: Sequence[object]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, dialect="excel", lineterminator="\r\n").writerow([written(cell) for cell in cells])
    return stream.getvalue()


def _finding(entry: Entry) -> dict[str, object]:
    finding = entry.finding
    endpoint = finding.service.endpoint
    return {
        "time": time(finding.last_seen),
        "address": str(endpoint.address),
        "port": endpoint.port,
        "transport": "tcp",
        "protocol": finding.service.protocol,
        "name": endpoint.name,
        "resource": finding.service.resource,
        "control": finding.control,
        "severity": finding.severity.value,
        "title": finding.title,
        "status": finding.status.value,
        "first_seen": time(entry.first_seen),
        "last_seen": time(finding.last_seen),
        "remedy": " ".join(finding.remedy.splitlines()),
        "key": finding.key,
    }


def _service(entry: Entry) -> dict[str, object]:
    seen = entry.seen
    if seen is None:
        nothing = ("exposed", "studies_low", "images_low", "genuineness", "product", "country", "as_number", "as_name")
        return dict.fromkeys(nothing)
    return {
        "exposed": seen.exposed,
        "studies_low": low(seen.counts.studies),
        "images_low": low(seen.counts.images),
        "genuineness": None if seen.genuineness is None else seen.genuineness.verdict,
        "product": seen.product.name or " or ".join(seen.product.candidates),
        "country": seen.owner.country,
        "as_number": seen.owner.as_number,
        "as_name": seen.owner.as_name,
    }
