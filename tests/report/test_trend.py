"""Runs of one scope beside each other: only those that can be compared, the oldest first."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from report_estate import RUN, UNKNOWNS, exposed, findings_of

from audits import place
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import VERIFY, Observation, Run, RunStatus, Summary, Vantage, VantageKind
from leadapron.report.html import render_html
from leadapron.report.json import document
from leadapron.report.trend import MOST, summary, trend
from leadapron.report.view import build_view
from listening import listening

NUMBERS = Summary(servers=9, exposed_servers=4, studies=None, images=None, findings={"high": 3})
DAY = dt.timedelta(days=1)


def past(number: int, **changes: object) -> Run:
    """A complete run, so many days ago."""
    run = dataclasses.replace(
        RUN, id=f"run-{number}", started_at=RUN.started_at - number * DAY, summary=NUMBERS, status=RunStatus.COMPLETE
    )
    return dataclasses.replace(run, **changes)  # type: ignore[arg-type]


NOW = past(0)


def ids(runs: Sequence[Run]) -> list[str]:
    return [run.id for run in runs]


def test_the_oldest_comes_first_and_this_one_last() -> None:
    assert ids(trend(NOW, [past(1), NOW, past(3), past(-1)])) == ["run-3", "run-1", "run-0"]


def test_what_cannot_be_compared_is_left_out() -> None:
    others = [
        past(1, scope_id="another"),
        past(2, vantage=Vantage(kind=VantageKind.CLINICAL, name="x")),
        past(3, status=RunStatus.STOPPED),
        past(4, summary=None),
        past(5, kind=VERIFY),
    ]
    assert trend(NOW, [*others, NOW]) == ()
    assert ids(trend(NOW, [*others, NOW, past(6)])) == ["run-6", "run-0"]


def test_a_run_that_is_not_complete_is_compared_with_nothing() -> None:
    assert trend(past(0, status=RunStatus.STOPPED), [past(1), past(2)]) == ()


def test_only_the_latest_are_shown() -> None:
    runs = [past(number) for number in range(MOST + 5)]
    assert len(trend(NOW, runs)) == MOST
    assert trend(NOW, runs)[-1] == NOW


def test_the_page_and_the_json_have_it() -> None:
    services: list[Observation] = [exposed("198.18.0.7")]
    view = build_view(NOW, services, findings_of(services), UNKNOWNS)
    with_trend = dataclasses.replace(view, trend=(past(7), NOW))
    assert "Over time" in render_html(with_trend)
    assert "Over time" not in render_html(view)
    assert [each["run"] for each in document(with_trend)["trend"]] == ["run-7", "run-0"]  # type: ignore[attr-defined]


def test_a_run_keeps_what_it_saw(tmp_path: Path) -> None:
    archive = made_up(5, 7)
    with listening(Server(Behaviour(archives={"": archive})).serve) as endpoints:
        run, seen, _ = place(tmp_path, endpoints).run()

    assert run.summary is not None
    assert (run.summary.servers, run.summary.exposed_servers) == (1, 1)
    assert run.summary.images is not None
    assert run.summary.images.value == archive.images
    assert sum(run.summary.findings.values()) > 3
    assert summary(run, seen, ()).findings == dict.fromkeys(run.summary.findings, 0)
