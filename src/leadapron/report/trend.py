"""How the runs of one scope compare: what each saw, kept when it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from leadapron.model import AUDIT, Finding, Observation, Run, RunStatus, Summary
from leadapron.report.view import build_view

MOST = 12
"""Runs of a trend, the latest ones."""


def summary(run: Run, observations: Sequence[Observation], findings: Iterable[Finding]) -> Summary:
    """Of a run that ends. `findings` are those that it saw broken."""
    view = build_view(run, observations, findings, ())
    return Summary(
        servers=view.totals.servers,
        exposed_servers=view.totals.exposed_servers,
        studies=view.studies,
        images=view.images,
        findings={severity.value: count for severity, count in view.totals.findings.items()},
    )


def trend(run: Run, runs: Iterable[Run]) -> tuple[Run, ...]:
    """The complete audits of the same scope, by its id, from the same kind of vantage, up to `run`: the oldest first. Empty
    where there is nothing to compare."""
    alike = [
        each
        for each in runs
        if each.kind == AUDIT
        and each.status is RunStatus.COMPLETE
        and each.summary is not None
        and (each.scope_id, each.vantage.kind) == (run.scope_id, run.vantage.kind)
        and (each.started_at, each.id) <= (run.started_at, run.id)
    ]
    latest = sorted(alike, key=lambda each: (each.started_at, each.id))[-MOST:]
    return tuple(latest) if len(latest) > 1 and latest[-1].id == run.id else ()
