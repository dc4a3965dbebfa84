"""Reading a run from the store. One that was killed, or still goes on, has written no totals: it must not look clean."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from report_estate import RUN, UNKNOWNS, decision, exposed, findings_of

from leadapron.errors import InputError, StoreError
from leadapron.model import Endpoint, Observation, Reason, RunStatus, Stage, Unknown
from leadapron.report.changes import Change
from leadapron.report.html import render_html
from leadapron.report.json import render_json
from leadapron.report.load import load_changes, load_view
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.owners import By
from leadapron.store.chunk import SweepChunk
from leadapron.store.store import Store

KILLED = dataclasses.replace(
    RUN, status=RunStatus.RUNNING, finished_at=None, audit_head="", endpoints_tried=0, endpoints_reached=0
)
HITS = [Endpoint(address=ip_address(f"198.18.0.{number}"), port=104) for number in (1, 2, 3)]
CLEAR = ("report.nothing_exposed", "report.no_findings", "report.no_unknowns", "sentence.nothing_tried")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def sweep(store: Store, outcomes: dict[str, int], hits: list[Endpoint]) -> None:
    store.create_run(KILLED, permutation_key="00" * 16)
    if outcomes:
        store.record_chunks(KILLED.id, [SweepChunk(start=0, stop=64, outcomes=outcomes, hits=hits)])


def test_a_killed_run_says_what_it_tried_and_reached(url: str, store: Store) -> None:
    sweep(store, {"connected": 3, "refused": 20, "timeout": 40, "unreachable": 1}, HITS)
    view = load_view(url, None)
    assert (view.totals.endpoints_tried, view.totals.endpoints_reached) == (64, 3)
    assert {(each.reason, each.count) for each in view.unknowns} == {
        (Reason.STOPPED, 3),
        (Reason.TIMEOUT, 40),
        (Reason.UNREACHABLE, 1),
    }
    assert {(each.endpoint, each.stage) for each in view.unknowns} == {("scope own-estate", Stage.CONNECT)}


@pytest.mark.parametrize("outcomes", [{}, {"refused": 64}])
def test_a_run_without_an_end_always_has_something_unknown(url: str, store: Store, outcomes: dict[str, int]) -> None:
    sweep(store, outcomes, [])
    assert load_view(url, None).unknowns == (
        Unknown(endpoint="scope own-estate", stage=Stage.CONNECT, reason=Reason.STOPPED, count=1),
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("outcomes", [{}, {"refused": 64}, {"connected": 3, "refused": 61}])
def test_a_killed_run_gets_no_all_clear(url: str, store: Store, outcomes: dict[str, int], language: str) -> None:
    sweep(store, outcomes, HITS if "connected" in outcomes else [])
    t, page = messages(language), render_html(load_view(url, None), language)
    assert [key for key in CLEAR if t(key) in page] == []
    assert t("sentence.unfinished", said="").strip() in page
    assert t("status.running") in page
    assert "<dd>≥ " in page


def test_what_a_run_concluded_before_it_was_killed_is_not_unknown_as_well(url: str, store: Store) -> None:
    sweep(store, {"connected": 3}, HITS)
    store.record_observations(KILLED.id, [exposed("198.18.0.1")])
    view = load_view(url, None)
    assert view.totals.exposed_servers == 1
    assert [each.count for each in view.unknowns] == [2]


def test_in_json_it_is_incomplete(url: str, store: Store) -> None:
    sweep(store, {"connected": 3, "timeout": 61}, HITS)
    document = json.loads(render_json(load_view(url, None)))
    assert document["run"]["status"] == "incomplete"
    assert document["totals"]["endpoints_tried"] == 64
    assert document["unknowns"]


def test_a_run_that_is_over_is_read_as_it_was_written(url: str, store: Store) -> None:
    observation = exposed("198.18.0.1")
    store.create_run(RUN, permutation_key="00" * 16)
    store.record_observations(RUN.id, [observation])
    store.record_unknowns(RUN.id, UNKNOWNS)
    store.apply_findings(RUN, findings_of([observation]), {}, refuted=lambda *_: False, covered=lambda _: True)
    view = load_view(url, RUN.id[:10])
    assert view.run == RUN
    assert [item.observation for item in view.services] == [observation]
    assert set(view.unknowns) == set(UNKNOWNS)
    assert len(view.findings) == len(findings_of([observation]))


def test_decisions_stand_as_they_are_today(url: str, store: Store) -> None:
    observation = exposed("198.18.0.1")
    findings, today = findings_of([observation]), dt.datetime.now(dt.UTC).date()
    store.create_run(RUN, permutation_key="00" * 16)
    store.apply_findings(RUN, findings, {}, refuted=lambda *_: False, covered=lambda *_: True)
    days = {findings[0].key: today, findings[1].key: today - dt.timedelta(days=1)}
    for key, until in days.items():
        store.record_disposition(dataclasses.replace(decision(key).disposition, until=until))

    view = load_view(url, None)

    assert {key: decided.is_expired for key, decided in view.decisions.items()} == dict(
        zip(days, (False, True), strict=True)
    )
    assert view.excused == {findings[0].key}
    assert len(view.findings) == len(findings)


def test_no_run_and_no_store_are_errors(url: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run yet"):
        load_view(url, None)
    with pytest.raises(StoreError):
        load_view(f"sqlite:///{tmp_path / 'other.db'}", None)


def test_changes_are_those_of_one_scope(url: str, store: Store) -> None:
    """The store carries the findings of all scopes along, from run to run."""
    ours, theirs = exposed("198.18.0.1"), exposed("198.18.0.2")

    def audit(name: str, day: int, scope: str, *, broken: list[Observation], refuted: list[Observation]) -> None:
        started = RUN.started_at + dt.timedelta(days=day)
        run = dataclasses.replace(RUN, id=name, scope_id=scope, started_at=started)
        store.create_run(run, permutation_key="00")
        store.record_observations(run.id, (*broken, *refuted))
        store.apply_findings(
            run,
            findings_of(broken),
            {seen.service: seen for seen in (*broken, *refuted)},
            refuted=lambda _, seen: seen in refuted,
            covered=lambda service, _: any(service == seen.service for seen in (*broken, *refuted)),
        )

    audit("b1", 0, "theirs", broken=[theirs], refuted=[])
    audit("a1", 1, "ours", broken=[ours], refuted=[])
    audit("b2", 2, "theirs", broken=[], refuted=[theirs])
    audit("a2", 3, "ours", broken=[], refuted=[ours])

    made = load_changes(url, "a2", None, By.COUNTRY)
    assert made.since.id == "a1"
    assert {str(each.finding.service.endpoint.address) for each in made.changed} == {"198.18.0.1"}
    assert {each.change for each in made.changed} == {Change.CLOSED}
    assert {each.group.name for each in made.changed} == {"DE"}
    assert {str(each.finding.service.endpoint.address) for each in load_changes(url, "b2", "b1", By.AS).changed} == {
        "198.18.0.2"
    }
    with pytest.raises(InputError, match="not audits of one scope"):
        load_changes(url, "a2", "b1", By.COUNTRY)
