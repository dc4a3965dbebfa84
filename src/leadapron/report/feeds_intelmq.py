"""A feed for IntelMQ: one event per line, in its data format (`harmonization.conf` of 3.0 to 3.5).

`source` is the service that is open. Types of incidents are those of the Reference Security Incident Taxonomy, one for each
control. `tlp` knows no label of TLP 2.0: CLEAR is WHITE there, AMBER+STRICT is AMBER, and `extra.tlp` has the label.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping

from leadapron.assess.catalogue import RSIT, catalogue
from leadapron.model import Observation, Run
from leadapron.report.feeds import Entry, Feed
from leadapron.report.feeds_csv import low
from leadapron.report.inert import plain
from leadapron.report.tlp import tlp_label

NAME, CODE = "Exposed medical imaging servers", "leadapron"

_LEVELS = {"TLP:CLEAR": "WHITE", "TLP:AMBER+STRICT": "AMBER"}

_NOT_KNOWN = "undetermined"
"""The type of a finding whose control this version does not know."""


def render_feed_intelmq(feed: Feed, run: Run, tlp: str, provider: str) -> Iterator[str]:
    """Line by line, ASCII; the same run gives the same bytes. Raises InputError for a marking."""
    label = tlp_label(tlp)
    for entry in feed.entries:
        fields = _feed(run, provider) | _what(entry) | _where(entry) | _extra(entry, run, label)
        fields["tlp"] = _LEVELS.get(label, label.removeprefix("TLP:"))
        event = {key: value for key, value in sorted(fields.items()) if value is not None and value != ""}
        yield json.dumps(event, ensure_ascii=True, allow_nan=False) + "\n"


def time(moment: dt.datetime | None) -> str | None:
    """As IntelMQ wants it: `2026-11-23T17:52:00+00:00`."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def _feed(run: Run, provider: str) -> dict[str, object]:
    """What was seen was seen in the run; its times are not kept one by one."""
    return {
        "feed.name": NAME,
        "feed.code": CODE,
        "feed.provider": provider,
        "time.observation": time(run.finished_at or run.started_at),
    }


def _what(entry: Entry) -> dict[str, object]:
    finding = entry.finding
    control = catalogue().get(finding.control)
    kind = _NOT_KNOWN if control is None else control.rsit
    return {
        "time.source": time(finding.last_seen),
        "classification.taxonomy": RSIT[kind],
        "classification.type": kind,
        "classification.identifier": finding.control.lower(),
        "event_description.text": plain(finding.title),
        "protocol.application": finding.service.protocol,
        "protocol.transport": "tcp",
    }


def _where(entry: Entry) -> dict[str, object]:
    endpoint = entry.finding.service.endpoint
    owner = None if entry.seen is None else entry.seen.owner
    place: dict[str, object] = {"source.ip": str(endpoint.address), "source.port": endpoint.port}
    place["source.fqdn"] = endpoint.name
    if owner is not None:
        place["source.geolocation.cc"] = owner.country
        place["source.asn"] = owner.as_number or None
        place["source.as_name"] = plain(owner.as_name)
    return place


def _extra(entry: Entry, run: Run, label: str) -> dict[str, object]:
    finding = entry.finding
    extra: dict[str, object] = {
        "key": finding.key,
        "severity": finding.severity.value,
        "status": finding.status.value,
        "resource": plain(finding.service.resource),
        "first_seen": time(entry.first_seen),
        "last_seen": time(finding.last_seen),
        "remedy": " ".join(finding.remedy.splitlines()),
        "vantage": run.vantage.kind.value,
        "run": run.id,
        "tlp": label,
        **({} if entry.seen is None else _seen(entry.seen)),
    }
    return {f"extra.{key}": value for key, value in extra.items()}


def _seen(seen: Observation) -> Mapping[str, object]:
    return {
        "exposed": seen.exposed,
        "studies_low": low(seen.counts.studies),
        "images_low": low(seen.counts.images),
        "genuineness": None if seen.genuineness is None else seen.genuineness.verdict,
        "product": plain(seen.product.name or " or ".join(seen.product.candidates)),
    }
