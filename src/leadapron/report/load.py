"""From the store to the view, and to changes: the only place where reports read."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from leadapron.model import Endpoint, Observation, Reason, Run, RunStatus, Stage, Unknown
from leadapron.net.target import Outcome
from leadapron.report.changes import Audit, Changes, audit_before, changes
from leadapron.report.owners import By
from leadapron.report.trend import trend
from leadapron.report.view import Decision, View, build_view, place
from leadapron.store.store import Store

_SETTLED = (Outcome.CONNECTED, Outcome.REFUSED)
"""How a target of the sweep ends where we know what is there."""


def load_view(url: str, run_id: str | None) -> View:
    """The view of a run, of the latest audit for None. Raises `InputError` or `StoreError` where there is none.

    A run writes its totals and what it could not see at its end. Of one that goes on, or was killed, they are what the
    store holds so far, and something is always unknown.
    """
    with Store.open(url, create=False) as store:
        run = store.run(run_id)
        observations, unknowns = store.observations(run.id), store.unknowns(run.id)
        if run.status is RunStatus.RUNNING:
            outcomes, hits = store.outcomes(run.id), store.hits(run.id)
            unknowns += _unknown_so_far(run, outcomes, hits, observations)
            run = dataclasses.replace(run, endpoints_tried=sum(outcomes.values()), endpoints_reached=len(hits))
        view = build_view(run, observations, store.findings(run.id), unknowns, decisions(store))
        return dataclasses.replace(view, trend=trend(run, store.runs()))


def load_changes(url: str, run_id: str | None, since_id: str | None, by: By) -> Changes:
    """Of a run, of the latest audit for None, since another, since the complete audit before it for None. Raises
    `InputError` or `StoreError` where there is none, or they cannot be compared."""
    with Store.open(url, create=False) as store:
        run, runs = store.run(run_id), store.runs()
        since = audit_before(run, runs) if since_id is None else store.run(since_id)
        earlier, later = (
            Audit(run=each, findings=store.findings(each.id), observations=store.observations(each.id))
            for each in (since, run)
        )
    return changes(earlier, later, by, {each.started_at for each in runs if each.scope_id != run.scope_id})


def decisions(store: Store) -> dict[str, Decision]:
    """What is decided, as it stands today: also in the report of an earlier run."""
    today = dt.datetime.now(dt.UTC).date()
    return {
        key: Decision(disposition=disposition, is_expired=disposition.is_expired(today))
        for key, disposition in store.dispositions().items()
    }


def _unknown_so_far(
    run: Run, outcomes: Mapping[str, int], hits: Sequence[Endpoint], observations: Iterable[Observation]
) -> Iterator[Unknown]:
    """What is left of the sweep is not in the store: what was reached and not concluded stands for it, at least one."""
    for name, count in outcomes.items():
        if (outcome := Outcome(name)) not in _SETTLED:
            yield _of_scope(run, outcome.reason, count)
    concluded = {place(observation.service.endpoint)[:3] for observation in observations}
    yield _of_scope(run, Reason.STOPPED, max(1, sum(place(hit)[:3] not in concluded for hit in hits)))


def _of_scope(run: Run, reason: Reason, count: int) -> Unknown:
    return Unknown(endpoint=f"scope {run.scope_id}", stage=Stage.CONNECT, reason=reason, count=count)
