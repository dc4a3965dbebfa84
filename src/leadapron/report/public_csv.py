"""The publication for spreadsheets: one row per cell. RFC 4180, UTF-8; a hidden number is its mark."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from leadapron.report.inert import cell
from leadapron.report.public import Public, PublicTotals, Sum, Table
from leadapron.report.suppression import Hidden

COLUMNS = ("table", "cell", "services", "images", "studies", "servers", "endpoints")
"""`images` and `studies` are the low ends: never more than what is there."""

Row = Mapping[str, object]


def render_public_csv(public: Public) -> str:
    """No cell starts what a spreadsheet would compute; lines end with CR LF. A table that is withheld has one row."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, dialect="excel", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _rows(public):
        writer.writerow([_text(row.get(column)) for column in COLUMNS])
    return stream.getvalue()


def _rows(public: Public) -> Iterable[Row]:
    yield from _totals(public.totals)
    yield from _table("country", public.country)
    yield from _table("product", public.product)
    yield from _table("encryption", public.encryption)
    yield from _table("control", public.control)
    yield from _table("severity", public.severity)
    if public.unknowns is None:
        yield {"table": "unknown", "endpoints": Hidden.WITHHELD}
    for unseen in public.unknowns or ():
        yield {"table": "unknown", "cell": unseen.reason.value, "endpoints": unseen.endpoints}


def _totals(totals: PublicTotals) -> Iterable[Row]:
    yield {"table": "total", "cell": "tried", "endpoints": totals.endpoints_tried}
    yield {"table": "total", "cell": "reached", "endpoints": totals.endpoints_reached}
    yield {"table": "total", "cell": "answered", "servers": totals.servers}
    exposed = {"services": totals.exposed_services, "servers": totals.exposed_servers}
    yield {"table": "total", "cell": "exposed", **exposed}
    for name in ("listed", "unique", "genuine"):
        figures = getattr(totals, name)
        yield {"table": "total", "cell": name, "studies": _low(figures.studies), "images": _low(figures.images)}


def _table(name: str, table: Table) -> Iterable[Row]:
    if table is None:
        yield {"table": name, "services": Hidden.WITHHELD}
    for item in table or ():
        yield {"table": name, "cell": item.name, "services": item.services, "images": _low(item.images)}


def _low(count: Sum) -> int | Hidden | None:
    return count if count is None or isinstance(count, Hidden) else count.low


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else cell(str(value))
