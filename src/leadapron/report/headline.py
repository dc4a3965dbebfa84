"""What a run saw, in one sentence. It claims no refusal that nobody saw, and calls nothing closed that was not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leadapron.model import RunStatus
from leadapron.report.messages import Messages
from leadapron.report.view import View
from leadapron.report.words import counted


def sentence(view: View, t: Messages) -> str:
    """What is exposed; else what the servers did instead, else what was reached, else what was tried."""
    said = t("sentence.party", party=view.party, said=_said(view, t)) if view.party else _said(view, t)
    if view.run.status is RunStatus.RUNNING:
        return t("sentence.unfinished", said=said)
    if view.run.status is RunStatus.BLIND and view.totals.servers:
        return t("sentence.blind_midway", said=said)
    return said


def _said(view: View, t: Messages) -> str:
    totals, run = view.totals, view.run
    tried = t.number(totals.endpoints_tried)
    if run.status is RunStatus.BLIND and not totals.servers:
        return t("sentence.blind", tried=tried)
    if totals.exposed_servers:
        return _exposed(view, t)
    if totals.servers:
        return _listing(view, t)
    if totals.endpoints_reached:
        return _reached(view, t)
    if totals.endpoints_tried:
        return t.plural("sentence.nothing_reached", totals.endpoints_tried, tried=tried)
    return t("sentence.nothing_recorded" if run.status is RunStatus.RUNNING else "sentence.nothing_tried")


def _exposed(view: View, t: Messages) -> str:
    totals = view.totals
    anyone, what = t(f"anyone.{view.run.vantage.kind.value}"), _what(view, t)
    if totals.servers == 1:
        return t("sentence.only", anyone=anyone, what=what)
    exposed, servers = t.number(totals.exposed_servers), t.number(totals.servers)
    return t.plural(
        "sentence.exposed", totals.exposed_servers, exposed=exposed, servers=servers, anyone=anyone, what=what
    )


def _what(view: View, t: Messages) -> str:
    """`4,210 studies with at least 12,345 images, and 80 worklist entries`."""
    totals = view.totals
    studies, images, worklist = (
        counted(t, name, count)
        for name, count in (
            ("studies", view.studies),
            ("images", view.images),
            ("worklist", totals.worklist),
        )
    )
    archive = t("sentence.with", first=studies, second=images) if studies and images else studies or images
    if archive and worklist:
        return t("sentence.and", first=archive, second=worklist)
    return archive or worklist or t("sentence.something")


def _listing(view: View, t: Messages) -> str:
    """Of the servers, none of which is exposed: who refused, who could not be settled, who was not asked."""
    totals, kind = view.totals, view.run.vantage.kind.value
    counts = {verdict.value: count for verdict, count in totals.listing.items()}
    return _by_parts(t, "listing", totals.servers, counts, anyone=t(f"anyone.{kind}"), stranger=t(f"stranger.{kind}"))


def _reached(view: View, t: Messages) -> str:
    """Of the endpoints that were reached, none of which is known to be a server."""
    totals, reached = view.totals, view.totals.endpoints_reached
    if view.run.status is RunStatus.RUNNING:
        tried = t.number(totals.endpoints_tried)
        return t.plural("sentence.so_far", totals.endpoints_tried, tried=tried, reached=t.number(reached))
    unspoken = min(view.unspoken, reached)
    alike = min(view.alike, reached - unspoken)
    counts = {"silent": reached - unspoken - alike, "alike": alike, "unspoken": unspoken}
    return _by_parts(t, "reached", reached, counts)


def _by_parts(t: Messages, key: str, total: int, counts: Mapping[str, int], /, **values: str) -> str:
    """What is true of each of `total`, or how they divide. `counts` add up to `total`."""
    parts = {name: count for name, count in counts.items() if count}
    if len(parts) == 1:
        return t.plural(f"{key}.each.{next(iter(parts))}", total, total=t.number(total), **values)
    said = [t.plural(f"{key}.part.{name}", count, count=t.number(count)) for name, count in parts.items()]
    return t(f"{key}.mixed", total=t.number(total), parts=_joined(t, said), **values)


def _joined(t: Messages, said: Sequence[str]) -> str:
    """`a and b`, `a, b, and c`."""
    *first, last = said
    return t("list.two" if len(said) == 2 else "list.several", first=", ".join(first), last=last)
