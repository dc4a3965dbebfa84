"""The report in a terminal: tables that fit its width; into a pipe plain lines, one a service, finding or unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from leadapron.model import Finding, Severity
from leadapron.report import method, words
from leadapron.report.headline import sentence
from leadapron.report.inert import plain
from leadapron.report.messages import Messages, messages
from leadapron.report.tlp import DEFAULT_TLP, tlp_label
from leadapron.report.view import ControlView, ServiceView, UnknownView, View

STYLES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}

_NAMED = 3
"""How many places stand beside a reason; the reports have them all."""


def show(view: View, console: Console, language: str = "en", *, store: str = "", tlp: str = DEFAULT_TLP) -> None:
    """Prints the view. The console decides: tables for a terminal, else lines that are never wrapped.

    `store`: what the hint at the full report has to name, where it is not the default.
    """
    t = messages(language)
    if console.is_terminal:
        console.print(Group(*_parts(view, t, store, tlp_label(tlp))), markup=False, highlight=False, emoji=False)
        return
    for line in lines(view, t, tlp_label(tlp)):
        console.file.write(f"{line}\n")  # not by Rich, which ends the process when the reader of a pipe leaves


# -- a terminal ----------------------------------------------------------------------------------------------------


def _parts(view: View, t: Messages, store: str, tlp: str) -> Iterator[RenderableType]:
    yield Padding(_text(sentence(view, t), "bold"), (1, 0, 0, 0))
    if status := words.status(t, view.run):
        yield _text(status, "bold yellow")
    yield _text(_run_line(view, t), "dim")
    if swept := _swept_line(view, t):
        yield _text(swept, "dim")
    if doors := words.by_door(t, view):
        yield _text(doors, "dim")
    yield _text(t("show.tlp", tlp=tlp), "dim")
    if view.exposed:
        yield _section(t("show.exposed"), _exposed_table(view.exposed, t))
    if view.controls:
        yield _section(t("show.findings"), _findings_table(view.controls, t))
    if view.decided:
        yield _section(t("show.decisions"), _decisions_table(view, t))
    if view.unsettled:
        yield _section(t("show.unsettled"), _others_table(view.unsettled, t))
    if view.refused:
        yield _section(t("show.refused"), _others_table(view.refused, t))
    if view.certified:
        yield _section(t("show.certified"), _others_table(view.certified, t))
    if view.history:
        yield _section(t("show.history"), _history_table(view.history, t))
    if view.unknown_groups:
        yield _section(t("show.unknowns"), _unknowns_table(view.unknown_groups, t))
    hint = t("show.report_hint", id=view.run.id) + (f" --store {store}" if store else "")
    yield Padding(_text(hint, "dim"), (1, 0, 0, 0))


def _text(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style, overflow="fold")


def _section(title: str, table: Table) -> RenderableType:
    return Group(Padding(_text(title, "bold"), (1, 0, 0, 0)), table)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False, expand=False)
    for column in columns:
        table.add_column(_text(column), overflow="fold")
    return table


def _exposed_table(services: Sequence[ServiceView], t: Messages) -> Table:
    named = ("severity", "server", "can", "studies", "images")
    table = _table(*(t(f"report.column_{name}") for name in named))
    for column in table.columns[3:]:
        column.justify = "right"
        column.no_wrap = True
    for item in services:
        counts = item.observation.counts
        about = _about(item, t, words.counted(t, "worklist", counts.worklist))
        can = filter(None, words.capabilities(t, item.observation.access))
        table.add_row(
            _severity(item.severity, t),
            Text("\n").join([_text(words.where(item.service), "bold"), _text(about, "dim")]),
            Text("\n").join(map(_text, can)),
            _text(words.short_number(t, counts.studies)),
            _text(words.short_number(t, counts.images)),
        )
    return table


def _findings_table(controls: Sequence[ControlView], t: Messages) -> Table:
    table = _table(t("report.column_severity"), "", t("report.column_findings"), t("report.column_services"))
    table.columns[3].justify = "right"
    for group in controls:
        table.add_row(
            _severity(group.severity, t),
            _text(group.control),
            _text(words.control_text(t, group.findings[0]).title),
            _text(t.number(len(group.findings))),
        )
    return table


def _others_table(services: Sequence[ServiceView], t: Messages) -> Table:
    named = ("severity", "server", "product", "access")
    table = _table(*(t(f"report.column_{name}") for name in named))
    for item in services:
        said = words.product(t, item.observation.product), words.in_turn(t, item.observation)
        table.add_row(
            _severity(item.severity, t),
            _text(words.where(item.service)),
            _text(" · ".join(filter(None, said))),
            _text(t(f"verdict_word.{item.observation.access.list.value}")),
        )
    return table


def _history_table(findings: Sequence[Finding], t: Messages) -> Table:
    table = _table("", *(t(f"report.column_{name}") for name in ("finding", "server", "status", "last_seen")))
    for finding in findings:
        table.add_row(*map(_text, _history_row(finding, t)))
    return table


def _decisions_table(view: View, t: Messages) -> Table:
    named = ("server", "decision", "decided_by", "why")
    table = _table("", *(t(f"report.column_{name}") for name in named))
    for control, *parts in _decision_rows(view, t):
        table.add_row(_text(control), *map(_text, parts[:-1]))
    return table


def _unknowns_table(groups: Sequence[UnknownView], t: Messages) -> Table:
    table = _table(*(t(f"report.column_{name}") for name in ("count", "stage", "reason", "where")))
    table.columns[0].justify = "right"
    for group in groups:
        stage, reason = words.unknown(t, group)
        table.add_row(_text(t.number(group.count)), _text(stage), _text(reason), _text(_places(group, t)))
    return table


def _severity(severity: Severity | None, t: Messages) -> Text:
    if severity is None:
        return _text(t("number.unknown"), "dim")
    return _text(t(f"severity.{severity.value}"), STYLES[severity])


# -- a pipe --------------------------------------------------------------------------------------------------------


def lines(view: View, t: Messages, tlp: str) -> Iterator[str]:
    """Without trailing blanks; columns are aligned within a section, two blanks apart."""
    yield sentence(view, t)
    if status := words.status(t, view.run):
        yield status
    yield _run_line(view, t)
    if swept := _swept_line(view, t):
        yield swept
    if doors := words.by_door(t, view):
        yield doors
    yield t("show.tlp", tlp=tlp)
    yield from _lines(t("show.exposed"), (_exposed_row(item, t) for item in view.exposed))
    yield from _lines(t("show.findings"), (_finding_row(group, t) for group in view.controls))
    yield from _lines(t("show.decisions"), _decision_rows(view, t))
    yield from _lines(t("show.unsettled"), (_other_row(item, t) for item in view.unsettled))
    yield from _lines(t("show.refused"), (_other_row(item, t) for item in view.refused))
    yield from _lines(t("show.certified"), (_other_row(item, t) for item in view.certified))
    yield from _lines(t("show.history"), (_history_row(finding, t) for finding in view.history))
    yield from _lines(t("show.unknowns"), (_unknown_row(group, t) for group in view.unknown_groups))


def _lines(title: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return
    yield ""
    yield title
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _exposed_row(item: ServiceView, t: Messages) -> Sequence[str]:
    observation = item.observation
    counted = [words.counted(t, name, getattr(observation.counts, name)) for name in ("studies", "images", "worklist")]
    return (
        t(f"severity.{item.severity.value if item.severity else 'none'}"),
        words.where(item.service),
        _about(item, t),
        "; ".join(filter(None, words.capabilities(t, observation.access))),
        ", ".join(filter(None, counted)),
    )


def _finding_row(group: ControlView, t: Messages) -> Sequence[str]:
    title = words.control_text(t, group.findings[0]).title
    count = len(group.findings)
    services = t.plural("show.services", count, count=t.number(count))
    return t(f"severity.{group.severity.value}"), group.control, title, services


def _other_row(item: ServiceView, t: Messages) -> Sequence[str]:
    return (
        t(f"severity.{item.severity.value if item.severity else 'none'}"),
        words.where(item.service),
        _about(item, t),
        t(f"verdict_word.{item.observation.access.list.value}"),
    )


def _unknown_row(group: UnknownView, t: Messages) -> Sequence[str]:
    return t.number(group.count), *words.unknown(t, group), _places(group, t)


def _history_row(finding: Finding, t: Messages) -> Sequence[str]:
    last_seen = t("number.unknown") if finding.last_seen is None else f"{finding.last_seen.astimezone(dt.UTC):%Y-%m-%d}"
    title, where = words.control_text(t, finding).title, words.where(finding.service)
    return finding.control, title, where, words.standing(t, finding), last_seen


def _decision_rows(view: View, t: Messages) -> Iterator[Sequence[str]]:
    for finding, decided in view.decided:
        owner, why = decided.disposition.owner, decided.disposition.why
        yield finding.control, words.where(finding.service), words.decision(t, decided), owner, why, finding.key


# -- both ----------------------------------------------------------------------------------------------------------


def _run_line(view: View, t: Messages) -> str:
    totals = view.totals
    return plain(
        t(
            "show.run_line",
            id=view.run.id,
            status=t(f"run_status.{view.run.status.value}"),
            tried=t.number(totals.endpoints_tried),
            reached=t.number(totals.endpoints_reached),
        )
    )


def _swept_line(view: View, t: Messages) -> str:
    """How ports were looked for, where it took processes of their own, or not all of the scope was asked."""
    run = view.run
    is_told = run.sweep is not None or run.seeds or run.delta is not None
    return plain(t("show.swept", how=" ".join(method.swept(t, run)))) if is_told else ""


def _about(item: ServiceView, t: Messages, *parts: str) -> str:
    """Name, title, product and `parts`, as far as they are known."""
    observation = item.observation
    known = (
        plain(item.service.endpoint.name),
        words.title(t, observation),
        words.nobodys(t, observation),
        words.product(t, observation.product),
        words.in_turn(t, observation),
        *parts,
    )
    return " · ".join(part for part in known if part and part != t("number.unknown"))


def _places(group: UnknownView, t: Messages) -> str:
    return ", ".join(words.places(t, group, _NAMED))
