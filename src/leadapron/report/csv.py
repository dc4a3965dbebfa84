"""The report for spreadsheets: one row per service, or per finding. RFC 4180, UTF-8, column names as in the JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping

from leadapron.model import Count, Counts
from leadapron.report.inert import cell
from leadapron.report.json import document
from leadapron.report.view import ServiceView, View

Row = Mapping[str, object]


def render_csv(view: View, rows: str = "services") -> str:
    """`rows` is a key of `ROWS`. No cell starts what a spreadsheet would compute; lines end with CR LF."""
    columns, make = ROWS[rows]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, dialect="excel", lineterminator="\r\n")
    writer.writerow(columns)
    for row in make(view):
        writer.writerow([written(row[column]) for column in columns])
    return stream.getvalue()


def written(value: object) -> str:
    """As it stands in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else cell(str(value))


def _services(view: View) -> Iterable[Row]:
    return (_service(service) for service in view.services)


def _service(view: ServiceView) -> Row:
    observation = view.observation
    service, product, owner = observation.service, observation.product, observation.owner
    row: dict[str, object] = {
        "address": str(service.endpoint.address),
        "port": service.endpoint.port,
        "name": service.endpoint.name,
        "protocol": service.protocol,
        "resource": service.resource,
        "exposed": observation.exposed,
        "severity": view.severity.value if view.severity else "",
        "findings": " ".join(finding.control for finding in view.findings),
        "product": product.name or " or ".join(product.candidates),
        "product_version": product.version,
        "toolkit": product.toolkit,
        "grant": owner.grant,
        "party": owner.party,
        "country": owner.country,
        "city": owner.city,
        "as_number": owner.as_number,
        "as_name": owner.as_name,
        "middlebox": observation.middlebox,
        "certified": observation.certified,
    }
    row |= {access: getattr(observation.access, access).value for access in _ACCESSES}
    for name in _COUNTS:
        row |= _count(name, getattr(observation.counts, name))
    return row


def _count(name: str, count: Count | None) -> Row:
    """The low end is the column to add up: it is never more than what is there."""
    return {
        f"{name}_low": count.low if count else None,
        f"{name}_high": count.high if count else None,
        f"{name}_kind": count.kind.value if count else None,
        f"{name}_source": count.source.value if count else None,
    }


def _findings(view: View) -> Iterable[Row]:
    """As in the JSON, the service's parts and the evidence each in their place."""
    findings = document(view)["findings"]
    assert isinstance(findings, list)
    for finding in findings:
        evidence = "; ".join(f"{key}={written(value)}" for key, value in finding["evidence"].items())
        remedy = " ".join(finding["remedy"].splitlines())
        decided = {f"disposition_{key}": value for key, value in (finding["disposition"] or {}).items()}
        nothing = dict.fromkeys(_DECIDED)
        moved = {way: (finding[way] or {}).get("key") for way in _MOVED}
        yield finding | finding["service"] | nothing | decided | moved | {"evidence": evidence, "remedy": remedy}


_ACCESSES = ("reach", "talk", "list", "read", "write")
_COUNTS = tuple(Counts.__dataclass_fields__)
_PLACE = ("address", "port")
_MOVED = ("moved_from", "moved_to")
"""The key of the finding at the other place."""
_DECIDED = tuple(f"disposition_{part}" for part in ("kind", "until", "expired", "owner", "why"))

ROWS: Mapping[str, tuple[tuple[str, ...], Callable[[View], Iterable[Row]]]] = {
    "services": (
        (
            *_PLACE,
            *("name", "protocol", "resource", "exposed", "severity", "findings"),
            *_ACCESSES,
            *(f"{count}_{part}" for count in _COUNTS for part in ("low", "high", "kind", "source")),
            *("product", "product_version", "toolkit", "grant", "party", "country"),
            *("city", "as_number", "as_name", "middlebox", "certified"),
        ),
        _services,
    ),
    "findings": (
        (
            *("severity", "control", "title"),
            *_PLACE,
            *("protocol", "resource", "status", "evidence", "remedy", "first_seen", "last_seen", "key"),
            *_DECIDED,
            *_MOVED,
        ),
        _findings,
    ),
}
