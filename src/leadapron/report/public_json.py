"""The publication for programs: `leadapron/public/1`, held by `schema/public-1.json`."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from leadapron.report.json import count_document
from leadapron.report.public import Cell, Figures, Public, PublicTotals, Sum, Table
from leadapron.report.suppression import Hidden
from leadapron.report.tlp import PUBLIC_TLP, tlp_label

SCHEMA = "leadapron/public/1"


def render_public_json(public: Public, tlp: str = PUBLIC_TLP) -> str:
    """ASCII; ends with a line feed. Raises `InputError` for a marking."""
    return json.dumps(public_document(public, tlp), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def public_schema() -> Any:
    """The published JSON Schema (draft 2020-12)."""
    file = resources.files("leadapron.report") / "schema" / "public-1.json"
    return json.loads(file.read_text("utf-8"))


def public_document(public: Public, tlp: str = PUBLIC_TLP) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "run": {
            "day": public.day.isoformat(),
            "status": public.status.value,
            "version": public.version,
            "vantage": public.vantage.value,
            "ports": list(public.ports),
            "country_source": public.country_source or None,
            "tlp": tlp_label(tlp),
        },
        "totals": _totals(public.totals),
        "country": _table(public.country, with_images=True),
        "product": _table(public.product),
        "encryption": _table(public.encryption),
        "control": _table(public.control),
        "severity": _table(public.severity),
        "unknowns": None
        if public.unknowns is None
        else [{"reason": row.reason.value, "endpoints": row.endpoints} for row in public.unknowns],
    }


def _totals(totals: PublicTotals) -> dict[str, object]:
    return {
        "endpoints_tried": totals.endpoints_tried,
        "endpoints_reached": totals.endpoints_reached,
        "servers": totals.servers,
        "exposed_servers": totals.exposed_servers,
        "exposed_services": totals.exposed_services,
        "listed": _figures(totals.listed),
        "unique": _figures(totals.unique),
        "genuine": _figures(totals.genuine),
    }


def _figures(figures: Figures) -> dict[str, object]:
    return {"studies": _sum(figures.studies), "images": _sum(figures.images)}


def _table(table: Table, *, with_images: bool = False) -> list[dict[str, object]] | None:
    return None if table is None else [_cell(cell, with_images=with_images) for cell in table]


def _cell(cell: Cell, *, with_images: bool) -> dict[str, object]:
    row: dict[str, object] = {"cell": cell.name or None, "services": cell.services}
    return row | {"images": _sum(cell.images)} if with_images else row


def _sum(count: Sum) -> object:
    return count.value if isinstance(count, Hidden) else count_document(count)
