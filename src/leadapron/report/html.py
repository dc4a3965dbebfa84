"""The report for people: one self-contained HTML file without script or external request.

Every expression of the template passes `plain` and is then escaped; the style sheet is the one trusted text. The page
carries a content security policy that allows its own style sheet, by hash, and nothing else.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from leadapron.model import Count, RunStatus, Severity, Verdict
from leadapron.report import method, words
from leadapron.report.headline import sentence
from leadapron.report.inert import plain
from leadapron.report.messages import Messages, messages
from leadapron.report.tlp import DEFAULT_TLP, tlp_label
from leadapron.report.view import View
from leadapron.report.worldmap import LEVELS, world_map

_BLOCKS, _OTHERS, _AFFECTED, _PLACES = 500, 1000, 12, 8
"""How many exposures have a block of their own, other services a row, and how many places stand in one cell."""


def render_html(view: View, language: str = "en", tlp: str = DEFAULT_TLP) -> str:
    """Raises `InputError` for an unknown language or marking."""
    t = messages(language)
    return render_page(
        "report.html",
        t,
        tlp,
        **_numbers(view),
        exposed_of=_exposed_of(view, t),
        heading=_heading(view, t),
        view=view,
        run=view.run,
        totals=view.totals,
        map=world_map(view.totals.countries),
        levels=words.levels(LEVELS),
        sentence=sentence(view, t),
        status=words.status(t, view.run),
        ports=method.ports(t, view.run.ports),
        looked_for=method.looked_for(t, view.run.method),
        pace=method.pace(t, view.run.method),
        swept=[] if view.party else method.swept(t, view.run),
        sources=method.sources(t, view.run),
        not_looked=method.not_looked(t, view.run),
    )


def render_page(name: str, t: Messages, tlp: str, **values: Any) -> str:
    """A template that extends `page.html`, with the words of reports. Raises `InputError` for an unknown marking."""
    marking = tlp_label(tlp)
    return render_sheet(
        name,
        "report.css",
        **_words(t),
        **values,
        t=t,
        tlp=marking,
        tlp_colour=marking.removeprefix("TLP:").split("+")[0].lower(),
    )


def render_sheet(name: str, sheet: str, **values: Any) -> str:
    """A template with a style sheet, which sees the marking of a report and nothing else."""
    environment = _environment()
    style = environment.get_template(sheet).render(tlp=values.get("tlp", ""))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = environment.get_template(name).render(
        **values,
        style=Markup(style),  # noqa: S704 - our own style sheet; the marking in it is one of TLP
        style_hash=f"sha256-{digest}",
    )
    return page.strip() + "\n"


def _heading(view: View, t: Messages) -> str:
    return t("report.title_party", party=view.party) if view.party else t("report.title")


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(name: str) -> str:
    return (resources.files("leadapron.report") / "templates" / name).read_text("utf-8")


def _finalize(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _words(t: Messages) -> dict[str, Any]:
    said = (
        words.number,
        words.short_number,
        words.provenance,
        words.when,
        words.date,
        words.product,
        words.title,
        words.counted,
        words.capabilities,
        words.accesses,
        words.contexts,
        words.census,
        words.genuineness,
        words.nobodys,
        words.encryption,
        words.figure_notes,
        words.shared,
        words.evidence,
        words.control_text,
        words.product_steps,
        words.moved_from,
        words.back_ends,
        words.in_turn,
        words.standing,
        words.decision,
        words.unknown,
        words.places,
        words.by_country,
        words.map_country,
    )
    return {word.__name__: functools.partial(word, t) for word in said} | {
        "where": words.where,
        "door": words.door,
        "genuine_images": words.genuine_images,
        "mappings": words.mappings,
    }


def _is_judged(view: View) -> bool:
    """Whether a zero would say something."""
    return view.is_settled or view.totals.servers > 0


def _unknown_places(view: View) -> Count:
    """At least so many where the run has no end: what is left of its sweep is not known."""
    count = sum(group.count for group in view.unknown_groups)
    return Count.at_least(count) if view.run.status is RunStatus.RUNNING else Count.exact(count)


def _exposed_of(view: View, t: Messages) -> str:
    """What the number of exposed servers is a part of."""
    listing, servers = view.totals.listing, t.number(view.totals.servers)
    if not _is_judged(view):
        return t("report.exposed_servers_unknown")
    if unsettled := listing[Verdict.UNKNOWN] + listing[Verdict.NOT_ASKED]:
        return t("report.exposed_servers_unsettled", servers=servers, unsettled=t.number(unsettled))
    return t("report.exposed_servers_of", servers=servers)


def _numbers(view: View) -> dict[str, Any]:
    findings = view.totals.findings
    return {
        "judged": _is_judged(view),
        "severe": findings[Severity.CRITICAL] + findings[Severity.HIGH],
        "all_findings": sum(findings.values()),
        "unknown_places": _unknown_places(view),
        "count_names": ("patients", "studies", "series", "images", "worklist"),
        "largest": _largest(item.observation.counts.images for item in view.exposed),
        "largest_country": _largest(part.images for part in view.totals.countries.values()),
        "busiest_door": max((part.servers for part in view.totals.doors.values()), default=0),
        "share": _share,
        "part_of": _part_of,
        "most_open": max((run.summary.exposed_servers for run in view.trend if run.summary is not None), default=0),
        "blocks": _BLOCKS,
        "others": _OTHERS,
        "affected": _AFFECTED,
        "most_places": _PLACES,
    }


def _largest(counts: Iterable[Count | None]) -> int:
    return max((count.low for count in counts if count is not None), default=0)


def _share(count: Count, largest: int) -> int:
    """In percent; what is there is seen."""
    return _part_of(count.low, largest)


def _part_of(number: int, largest: int) -> int:
    """In percent; what is there is seen."""
    return max(1, round(100 * number / largest)) if number else 0
